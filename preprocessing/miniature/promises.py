"""Measures and checks the guaranteed properties of the miniature world.

A combination is the set of two or more classes of the objects in an image or a sentence. From the default sizes on: at
least 10,000 distinct sentences of 8 words or more; at least 30 % of the combinations in images occur in no sentence,
and at least 30 % of those in sentences occur in no image; every class is in at least 40 train images; the detector
misses at least 20 % of the objects and gives at least 10 % of the detected ones a wrong class. For any size: no corpus
sentence equals a caption.
"""

import collections

import cli
from preprocessing.miniature import grammar
from preprocessing.miniature.things import NAMES


def _share_absent(these, others):
    """Returns the share (0 to 1) of the combinations in the set `these` that are not in the set `others`."""
    return len(these - others) / max(1, len(these))


def measure(pictures, descriptions):
    """Measures the properties of a world.

    Args:
      pictures: dict split -> list of rows as `make_miniature.draw_pictures` writes them.
      descriptions: list of the corpus sentences.

    Returns: dict. "images" is a dict split -> number, "train_images_of_class" a dict class -> number. Shares (0 to 1)
      are "image_combinations_absent_from_text", "text_combinations_absent_from_images", "objects_missed" and
      "found_objects_confused"; "objects_invented_per_image" is a mean. All other values are counts, of what the key
      names.
    """
    rows = [row for split in pictures.values() for row in split]
    noise = collections.Counter()
    for row in rows:
        noise.update(row["noise"])
    found = noise["true"] - noise["missed"]
    in_images = {frozenset(row["classes"]) for row in rows if len(row["classes"]) > 1}
    in_text = {grammar.combination_of(text) for text in descriptions}
    in_text = {names for names in in_text if len(names) > 1}
    words = [" ".join(grammar.words_of(text)) for text in descriptions]
    distinct = set(words)
    references = {" ".join(grammar.words_of(text)) for row in rows for text in row["captions"]}
    images_of = collections.Counter(name for row in pictures["train"] for name in row["classes"])
    vocabulary = collections.Counter(word for text in distinct for word in text.split())
    return {
        "images": {split: len(rows) for split, rows in pictures.items()},
        "sentences": len(descriptions),
        "distinct_sentences": len(distinct),
        "distinct_sentences_of_8_words": sum(text.count(" ") >= 7 for text in distinct),
        "words": len(vocabulary),
        "words_with_count_5": sum(count >= 5 for count in vocabulary.values()),
        "sentences_equal_to_a_caption": len(distinct & references),
        "distinct_captions": len(references),
        "combinations_in_images": len(in_images),
        "combinations_in_text": len(in_text),
        "image_combinations_absent_from_text": round(_share_absent(in_images, in_text), 4),
        "text_combinations_absent_from_images": round(_share_absent(in_text, in_images), 4),
        "train_images_of_class": {name: images_of[name] for name in NAMES},
        "objects": noise["true"],
        "objects_missed": round(noise["missed"] / noise["true"], 4),
        "found_objects_confused": round(noise["confused"] / max(1, found), 4),
        "objects_invented_per_image": round(noise["invented"] / len(rows), 4),
    }


def check(figures, seed, full_size):
    """Raises cli.UserError when a guaranteed property does not hold.

    Args:
      figures: result of `measure`.
      seed: seed of the world, for the message.
      full_size: whether the world has at least its default sizes; a smaller one cannot have all properties.
    """
    promises = {"no corpus sentence equals a caption": figures["sentences_equal_to_a_caption"] == 0}
    if full_size:
        promises |= {
            "10,000 distinct sentences of 8 words": figures["distinct_sentences_of_8_words"] >= 10000,
            "30 % of the image combinations absent from text": figures["image_combinations_absent_from_text"] >= 0.3,
            "30 % of the text combinations absent from images": figures["text_combinations_absent_from_images"] >= 0.3,
            "40 train images of every class": min(figures["train_images_of_class"].values()) >= 40,
            "20 % of the objects missed": figures["objects_missed"] >= 0.2,
            "10 % of the found objects confused": figures["found_objects_confused"] >= 0.1,
        }
    broken = [promise for promise, kept in promises.items() if not kept]
    if broken:
        raise cli.UserError(f"seed {seed} does not give: {'; '.join(broken)}. Found: {figures}. Try another --seed.")
