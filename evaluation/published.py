"""Published results on MS COCO's Karpathy test split (5,000 images), for comparison in the table.

Each row says where its figures come from:

    rescored   computed again from the captions that the authors released, equal to the figures that they published
    read       read in the authors' text or files
    recalled   from memory; the row is marked `unverified`: check it against the paper before you quote it

Training images are COCO's without captions; the column corpus names the sentences. Scores x100. Rows below "CLIP" use
features that were themselves trained on image-text pairs.
"""

COLUMNS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
RESCORED, READ = "rescored from the released captions", "read in the authors' text or files"
RECALLED = "recalled from the paper, not read again"
_ = None
FEWER = {"MAGIC 2022 (CLIP)": 4982}  # images of the released captions

#         row, corpus, B1, B2, B3, B4, M, R, C, S, origin of the figures
_ROWS = (
    ("UIC full, Feng 2019", "Shutterstock", 41.0, 22.5, 11.2, 5.6, 12.4, 28.7, 28.6, 8.1, RECALLED),
    ("UIC full, Feng 2019", "COCO, unpaired", 58.9, 40.3, 27.0, 18.6, 17.9, 43.1, 54.9, 11.1, RECALLED),
    ("pivoting, Gu 2018", "COCO, unpaired", 46.2, 24.0, 11.2, 5.4, 13.2, _, 17.7, _, RECALLED),
    ("scene graphs, Gu 2019", "COCO, unpaired", _, _, _, 21.5, 20.9, _, 69.5, 15.0, RECALLED),
    ("R2M, Guo 2020", "Shutterstock", 44.0, 25.4, 12.7, 6.4, 13.0, 31.3, 29.0, 9.1, RECALLED),
    ("R2M, Guo 2020", "GCC", _, _, _, 8.3, 14.0, 35.0, 29.3, 9.6, RECALLED),
    ("Laina 2019", "GCC", _, _, _, 6.5, 12.9, 35.1, 22.7, 7.4, RECALLED),
    ("TSGAN, Zhou 2021", "COCO, unpaired", _, _, _, 18.9, 18.2, _, 55.2, _, RECALLED),
    ("Honda 2021", "Shutterstock", _, _, _, 7.6, 13.5, 37.3, 31.8, 8.4, RECALLED),
    ("SCS, Ben 2022", "COCO, unpaired", _, _, _, _, _, _, 74.7, _, READ),
    ("RaPSG 2023", "pseudo labels", _, _, _, 19.3, 21.4, _, 78.1, 14.9, READ),
    ("ZeroCap 2022 (CLIP)", "none", _, _, _, 7.0, 15.4, _, 34.5, 9.2, RESCORED),
    ("MAGIC 2022 (CLIP)", "COCO, unpaired", _, _, _, 12.9, 17.4, _, 49.3, 11.3, RESCORED),
    ("CapDec 2022 (CLIP)", "COCO, unpaired", _, _, _, 26.4, 25.1, _, 91.8, _, READ),
    ("DeCap 2023 (CLIP)", "COCO, unpaired", _, _, _, 24.7, 25.0, _, 91.2, 18.7, READ),
    ("ViECap 2023 (CLIP)", "COCO, unpaired", _, _, _, 27.2, 24.8, _, 92.9, 18.2, READ),
    ("Knight 2023 (CLIP)", "COCO, unpaired", _, _, _, 27.9, 25.7, _, 99.8, _, RESCORED),
)


def published_rows():
    """Returns the published results as a list of dicts in the format of evaluation.table.make_row.

    They have the fields from "row" to "SPICE" without intervals; scores that were not published are None. Two fields
    are added: "published" (str, one of RESCORED, READ and RECALLED: where the figures come from), and "unverified"
    (bool, whether they are from memory).
    """
    rows = []
    for name, corpus, *scores, known in _ROWS:
        row = {"row": name, "corpus": corpus, "split": "test", "decode": None, "seed": None}
        row["images"] = FEWER.get(name, 5000)
        row |= dict(zip(COLUMNS, scores, strict=True))
        rows.append(row | {"published": known, "unverified": known == RECALLED})
    return rows
