"""Published results on MS COCO's Karpathy test split (5,000 images), for comparison in the table.

The papers could not be read when this was written: the figures are from memory, and their rows are marked
`unverified`. Check them against the paper before you quote them. Training images are COCO's without captions; the
column corpus names the sentences. Scores x100.
"""

COLUMNS = ("BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "METEOR", "ROUGE-L", "CIDEr", "SPICE")
RECALLED = "recalled from the paper, not read again"

#         row, corpus, B1, B2, B3, B4, M, R, C, S, origin of the figures
_ROWS = (
    ("UIC full, Feng 2019", "Shutterstock", 41.0, 22.5, 11.2, 5.6, 12.4, 28.7, 28.6, 8.1, RECALLED),
    ("UIC full, Feng 2019", "COCO, unpaired", 58.9, 40.3, 27.0, 18.6, 17.9, 43.1, 54.9, 11.1, RECALLED),
    ("pivoting, Gu 2018", "COCO, unpaired", 46.2, 24.0, 11.2, 5.4, 13.2, None, 17.7, None, RECALLED),
    ("R2M, Guo 2020", "Shutterstock", 44.0, 25.4, 12.7, 6.4, 13.0, 31.3, 29.0, 9.1, RECALLED),
    ("R2M, Guo 2020", "GCC", None, None, None, 8.3, 14.0, 35.0, 29.3, 9.6, RECALLED),
    ("Laina 2019", "GCC", None, None, None, 6.5, 12.9, 35.1, 22.7, 7.4, RECALLED),
    ("Honda 2021", "Shutterstock", None, None, None, 7.6, 13.5, 37.3, 31.8, 8.4, RECALLED),
    ("SCS, Ben 2022", "COCO, unpaired", None, None, None, None, None, None, 74.7, None, "read in the abstract"),
)


def published_rows():
    """Returns rows for evaluation.table. `published` is the origin of the figures, `unverified`: from memory."""
    rows = []
    for name, corpus, *scores, known in _ROWS:
        row = {"row": name, "corpus": corpus, "split": "test", "decode": None, "seed": None, "images": 5000}
        row |= dict(zip(COLUMNS, scores, strict=True))
        rows.append(row | {"published": known, "unverified": known == RECALLED})
    return rows
