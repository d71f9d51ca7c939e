"""Reads the captions that im_caption learns from: pseudo captions joined with the training images, or true captions."""

import dataclasses
import hashlib
import os
import shlex

import numpy as np

import cli
import input_pipeline
from formats import made_by, readers, records, sidecars
from formats.languages import unicode_text
from formats.vocabulary import plurals
from preprocessing.sources import caption_lists, text_rules

STEMS = {"obj2sen": "obj2sen_captions", "retrieved": "retrieved_captions"}
PAIRS = "pairs:"
POINTS = "fit"


@dataclasses.dataclass
class PseudoCaptions:
    """The captions that im_caption learns from: several, one or none for each training image or point.

    They are pseudo captions (generated from the detected objects, or retrieved from the corpus, without a human caption
    of the image) or, with `--captions pairs:FILE`, true ones. A point is a caption embedding without a photograph, to
    which initialization.assign_captions assigned a corpus sentence (`load_points`).

    Attributes:
      captions: list with one entry for each image or point, in their order: a list of arrays of word ids without start
        and end token; [] if it has no caption, then batches leave it out.
      notes: list of messages (str) for the log, for example how many images have no caption.
    """

    captions: list
    notes: list

    def digest(self):
        """Returns the first 16 hexadecimal digits (str) of a sha256 of all captions, which identifies them."""
        found = hashlib.sha256()
        for several in self.captions:
            for ids in several:
                found.update(np.asarray(ids, np.int32).tobytes() + b";")
            found.update(b"\n")
        return found.hexdigest()[:16]


def load_captions(options, images, vocabulary):
    """Returns the captions that the setting --captions names, as PseudoCaptions in the order of `images`.

    Captions that are empty or longer than --max_sentence_length are left out.

    Args:
      options: config.ImageCaption, or baselines.supervised.settings.Supervised.
      images: records.Images of the training images.
      vocabulary: formats.vocabulary.Vocabulary of the data folder.

    Raises: cli.UserError if the captions are missing or belong to other images or to another vocabulary, or if none is
      left.
    """
    if options.captions.startswith(PAIRS):
        found = _true_pairs(options, images, vocabulary)
    else:
        found = _generated(options, images, vocabulary)
    if options.max_sentence_length:
        room = options.max_sentence_length - 2  # both markers are not stored
        found.captions = [[ids for ids in several if len(ids) <= room] for several in found.captions]
    found.captions = [[ids for ids in several if len(ids)] for several in found.captions]
    total, used = sum(map(len, found.captions)), sum(map(bool, found.captions))
    if not total:
        raise cli.UserError(f"--captions {options.captions}: none of {len(images)} training images has a caption")
    found.notes.append(f"{total} captions of {used} images; {len(images) - used} images are left out")
    return found


def load_points(captions, data_dir, vocabulary, max_sentence_length=0):
    """Returns embeddings and their captions (`--captions fit`), which assign_captions or choose_captions wrote.

    Args: captions: value of --captions, "fit" or "fit:FILE.npz". data_dir: the data folder. vocabulary:
      formats.vocabulary.Vocabulary of the data folder. max_sentence_length: as of the trainer; 0 keeps all.

    Returns: (input_pipeline.PointSet, PseudoCaptions in the same order), with one caption for each embedding, or none
      if it is empty or longer than max_sentence_length.
    Raises: cli.UserError if the files are missing or damaged, or belong to another vocabulary or other vectors, or if
      all captions are longer.
    """
    path = captions.partition(":")[2] or os.path.join(data_dir, "fit_captions.npz")
    sidecar = os.path.splitext(path)[0] + ".json"
    exists = os.path.exists(sidecar)
    if captions == POINTS:
        mend = made_by.command(data_dir, "fit_captions", again=exists)
    else:
        mend = f"python -m initialization.choose_captions --job_dir {shlex.quote(os.path.dirname(path) or '.')}"
        mend += " --overwrite" if exists else ""
    if not exists:
        raise cli.UserError(f"{sidecar} is missing. Make the captions with: {mend}")
    damage, about = sidecars.damaged_file(sidecar), sidecars.read_sidecar(sidecar)
    features = sidecars.read_sidecar(os.path.join(data_dir, "features_train.json"))
    if not damage and about.get("vocabulary") != vocabulary.fingerprint():
        damage = f"{path} was made with another dictionary"
    digests = [entry["sha256"] for entry in features.get("files", ())]
    if not damage and about.get("made_from", {}).get("features_train") != digests:
        damage = f"{path} was made from other image vectors"
    again = f"make it again with: {mend}"
    if damage:
        raise cli.UserError(f"{damage}; {again}")
    found = readers.read_npz(path)
    readers.check_arrays(found, {"vectors": ("f", 2), "words": ("iu", 1), "offsets": ("iu", 1)}, path, again)
    points, words, offsets = input_pipeline.PointSet(found["vectors"]), found["words"], found["offsets"]
    fits = len(offsets) == len(points) + 1 and offsets[0] == 0 and offsets[-1] == len(words)
    if not fits or (np.diff(offsets) < 0).any() or words.max(initial=0) >= vocabulary.size:
        raise cli.UserError(f"{path}: its words and offsets do not fit together; {again}")
    room = max_sentence_length - 2 if max_sentence_length else len(words)
    pairs = zip(offsets[:-1].tolist(), offsets[1:].tolist(), strict=True)
    kept = [[words[a:b]] if 0 < b - a <= room else [] for a, b in pairs]
    if not any(kept):
        raise cli.UserError(f"--max_sentence_length {max_sentence_length}: all captions are longer")
    return points, PseudoCaptions(kept, [f"{sum(map(len, kept))} embeddings with an assigned caption"])


# --------------------------------------------------------------------------------------------------------------
# Caption records


def _generated(options, images, vocabulary):
    """Returns the captions that gen_obj2sen_caption or retrieve_captions wrote, as PseudoCaptions.

    Args: options: settings of the run, of which --captions is obj2sen, retrieved, or the path of record files without
      shard number and extension. images: records.Images of the training images. vocabulary: Vocabulary.
    Raises: cli.UserError if the files are missing, were made with another vocabulary, or cannot be joined with the
      images.
    """
    folder, stem = os.path.split(STEMS.get(options.captions, options.captions))
    folder = folder or options.data_dir
    paths = records.find_files(folder, stem)
    sidecar = os.path.join(folder, f"{stem}.json")
    if os.path.exists(sidecar):
        theirs = sidecars.read_sidecar(sidecar).get("vocabulary")
        if theirs not in (None, vocabulary.fingerprint()):
            known = stem in made_by.OUTPUTS
            again = made_by.command(folder, stem, again=True) if known else "the command in that file, and --overwrite"
            raise cli.UserError(
                f"{sidecar}: these captions were made with another dictionary than {options.data_dir}/word_counts.txt; "
                f"make them again with: {again}"
            )
    names, flat, offsets = records.read_captions(paths)
    if len(flat) and flat.max() >= vocabulary.size:
        raise cli.UserError(
            f"{paths[0]}: word id {flat.max()} is not in the dictionary of {vocabulary.size} words; was it another one?"
        )
    joined, notes = _join(names, [flat[a:b] for a, b in zip(offsets[:-1], offsets[1:], strict=True)], images, paths)
    if stem == STEMS["obj2sen"]:  # obj2sen captions images without objects too; the authors leave these out
        objects = np.diff(images.class_offsets)
        joined = [several if n else [] for several, n in zip(joined, objects, strict=True)]
    return PseudoCaptions(joined, notes)


def _join(names, captions, images, paths):
    """Joins captions with images, by name, or by position if the captions have no names.

    Captions whose image is not in `images` are left out.

    Args: names: list with the image name of each caption; None if the records have no names. captions: list of word id
      arrays. images: records.Images. paths: files of the captions, for messages.

    Returns: (list over images of lists of captions, list of messages for the log).
    Raises: cli.UserError if they cannot be joined.
    """
    if names is None:
        if len(captions) != len(images):
            raise cli.UserError(
                f"{paths[0]}: {len(captions)} captions without image names, but {len(images)} training images: they "
                "cannot be joined by position. Make them again: "
                + made_by.command(os.path.dirname(paths[0]) or ".", "obj2sen_captions", again=True)
            )
        note = f"WARNING: {paths[0]} has no image names; joined by position, which needs the same image_train records"
        return [[ids] for ids in captions], [note]
    row_of = {name: row for row, name in enumerate(images.names)}
    joined, strangers = [[] for _ in images.names], 0
    for name, ids in zip(names, captions, strict=True):
        if name in row_of:
            joined[row_of[name]].append(ids)
        else:
            strangers += 1
    if strangers == len(names):
        raise cli.UserError(f"{paths[0]}: none of its images is a training image, the first is {names[0]}")
    return joined, [f"WARNING: {strangers} captions belong to images that are not training images"] if strangers else []


# --------------------------------------------------------------------------------------------------------------
# True pairs: the supervised ceiling


def _true_pairs(options, images, vocabulary):
    """Returns the true captions of the training images as PseudoCaptions, from a file with lines {"image", "captions"}.

    The captions are tokenised and encoded by the same rules as the corpus; those with too many unknown words are left
    out.

    Args: options: settings of the run, of which --captions is pairs:FILE. images: records.Images of the training
      images. vocabulary: Vocabulary.
    Raises: cli.UserError if the file is missing or damaged.
    """
    path = options.captions.removeprefix(PAIRS)
    encode = _corpus_encoder(options.data_dir, vocabulary)
    row_of = {name: row for row, name in enumerate(images.names)}
    joined, dropped, strangers = [[] for _ in images.names], 0, 0
    for name, texts in caption_lists.jsonl_entries(path):
        if name not in row_of:
            strangers += 1
            continue
        found = [encode(text) for text in texts]
        joined[row_of[name]] += [ids for ids in found if ids is not None]
        dropped += sum(ids is None for ids in found)
    notes = [f"true captions of {path}: supervised. {dropped} captions with too many unknown words are left out"]
    if strangers:
        notes.append(f"WARNING: {strangers} images of {path} are not training images")
    return PseudoCaptions(joined, notes)


def _corpus_encoder(data_dir, vocabulary):
    """Returns a function that encodes a text by the rules of the corpus: text -> word ids int32, or None.

    The ids are without start and end token. The function returns None for a text with too many unknown words. The rules
    are those of text and tokenizer, singular forms and the largest share of unknown words, from the sidecars of the
    data folder.

    Args: data_dir: data folder. vocabulary: Vocabulary.
    Raises: cli.UserError if the corpus was tokenised by a program.
    """
    made = [os.path.join(data_dir, name) for name in ("sentences.json", "sentence.json", "concepts.json")]
    sentences, sentence, concepts = (readers.read_json(p, kind=dict) if os.path.exists(p) else {} for p in made)
    split = text_rules.tokens_of(sentences.get("settings", {}))
    singulars = sentence["plurals"] if "plurals" in sentence else plurals("inflect", sorted(concepts))
    max_unknown = sentence.get("settings", {}).get("max_unknown", 0.15)
    merge = unicode_text.merger({*vocabulary.words, *singulars})

    def encode(text):
        tokens = merge(split(text))
        ids = vocabulary.encode([singulars.get(token, token) for token in tokens])
        unknown = ids.count(vocabulary.unknown_id)
        return np.asarray(ids, np.int32) if unknown <= max_unknown * (len(ids) + 2) else None  # markers counted

    return encode
