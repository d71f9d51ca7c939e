"""Reads the objects detected in the photographs of a split: concept words with scores, from the image records.

A concept word is the word of the dictionary that names an object class.
"""

import dataclasses
import os

from formats import made_by, records, vocabulary
from formats.readers import are_texts, check_fields, is_text, read_json


@dataclasses.dataclass(frozen=True)
class Concepts:
    """The objects detected in the photographs of one split.

    Attributes:
      scores: dict image name -> dict concept word -> score in 0 to 1, the best of the word's detections in the image.
      words: frozenset of all concept words.
      singular: dict word -> the concept word that it names: plurals by rule, and the words of names.json. Metrics
        always use this table, whatever table of plurals the corpus was made with, so that runs remain comparable.
    """

    scores: dict
    words: frozenset
    singular: dict

    def image_words(self, threshold=0.5):
        """Returns dict image name -> set of its concept words with a detection score of at least `threshold`.

        The set is empty for an image without such words.
        """
        return {
            name: {word for word, score in found.items() if score >= threshold} for name, found in self.scores.items()
        }


def load_concepts(data_dir, split):
    """Reads the objects of a split from `image_SPLIT*.tfrec` and `word_counts.txt`.

    `concepts.json` (all concept words) and `names.json` (their synonyms) are read too if they exist.

    Args:
      data_dir: the data folder that all stages share.
      split: "train", "val" or "test".

    Returns: `Concepts`. Without `concepts.json`, as with the files that the authors released, its `words` are only
      those that occur in the images of the split.
    Raises: cli.UserError if a file is missing or damaged.
    """
    words = vocabulary.Vocabulary.load(os.path.join(data_dir, "word_counts.txt"))
    images = records.read_images(records.find_files(data_dir, f"image_{split}"))
    scores = {}
    for i, name in enumerate(images.names):
        found = scores.setdefault(name, {})
        for k in range(images.class_offsets[i], images.class_offsets[i + 1]):
            word = words.word(int(images.class_flat[k]))
            found[word] = max(found.get(word, 0.0), float(images.score_flat[k]))
    listed = os.path.join(data_dir, "concepts.json")
    if os.path.exists(listed):
        expected = f"the concept words; make it again: {made_by.command(data_dir, 'dictionary', again=True)}"
        concepts = read_json(listed, expected, dict)
        check_fields(concepts, dict.fromkeys(concepts, are_texts), listed, expected)
        known = frozenset(concepts)
    else:
        known = frozenset(word for found in scores.values() for word in found)
    return Concepts(scores, known, vocabulary.plurals("inflect", sorted(known)) | load_names(data_dir))


def load_names(data_dir):
    """Returns dict word -> concept word that it names: synonyms, and plurals that stay in the text.

    They are read from `names.json` in the data folder; {} without this file. Raises: cli.UserError if it is damaged.
    """
    path = os.path.join(data_dir, "names.json")
    expected = f"other names of the concept words; make it again: {made_by.command(data_dir, 'dictionary', again=True)}"
    names = read_json(path, expected, dict) if os.path.exists(path) else {}
    check_fields(names, dict.fromkeys(names, is_text), path, expected)
    return names
