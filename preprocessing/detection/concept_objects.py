"""Converts detections to the objects of an image record: vocabulary ids of concept words, with scores.

A concept word is the word of the dictionary that names an object class.
"""

import collections
import os

import numpy as np

from formats import readers, vocabulary

CLASSIFIERS = ("classifier:", "scene:")  # first parts of the sources of classifiers' detections


def read_class_map(path):
    """Returns the table in the file --class_map: dict class name -> concept word or None; {} without a file."""
    if path is None:
        return {}
    expected = "for --class_map a JSON object class name -> word or null"
    table = readers.read_json(path, expected, dict)
    readers.check_fields(table, dict.fromkeys(table, readers.optional(readers.is_text)), path, f"expected {expected}")
    return table


def class_map_of(options):
    """Returns the table of process_images: dict class name -> concept word or None.

    It holds the table with which the dictionary of the data folder was made, and --class_map before it.

    Args: options: process_images.Options. Raises: cli.UserError if a file is damaged.
    """
    made = os.path.join(options.data_dir, "word_counts.json")
    table = readers.read_json(made, "a sidecar", dict).get("class_map", {}) if os.path.exists(made) else {}
    return table | read_class_map(options.class_map)


def class_words(class_names, words, class_map):
    """Finds the concept word of each class and its vocabulary id.

    Args:
      class_names: iterable of display names.
      words: vocabulary.Vocabulary.
      class_map: dict class name -> word; a class with the value None is left out of both results. For a class that is
        not in it the last word of its name is used.

    Returns:
      (dict class name -> vocabulary id, dict class name -> its word, for the classes whose word is not in the
        vocabulary).
    """
    ids, absent = {}, {}
    for name in sorted(set(class_names)):
        word = class_map.get(name, vocabulary.concept_word(name))
        if word is None:
            continue
        if word in words:
            ids[name] = words.id(word)
        else:
            absent[name] = word
    return ids, absent


def is_classification(detection):
    """Returns whether a records.Detection comes from a classifier: its box is the whole image."""
    return detection.source.startswith(CLASSIFIERS)


def objects_of(detections, ids, threshold, word_threshold=None):
    """Returns the objects of one image as they are stored in a record.

    Args:
      detections: list of records.Detection.
      ids: dict class name -> vocabulary id; detections of other classes are left out.
      threshold: minimum score of a detector's detection.
      word_threshold: minimum score of a word of a classifier (a source "classifier:NAME"); None: `threshold`.

    Returns: (list of vocabulary ids, list of scores), of equal length. First one entry per class of a detector,
      ascending by class number, with the best score of its detections; two classes with the same word stay two entries.
      Then one entry per word of a classifier, ascending by the first class number, with the sum of the probabilities of
      the labels with this word, at most 1.
    Source: docs/stages.md; the authors had no classifier.
    """
    best, classified = {}, {}
    for detection in detections:
        if detection.class_name not in ids:
            continue
        word_id = ids[detection.class_name]
        if is_classification(detection):
            first, score = classified.get(word_id, (detection.class_id, 0.0))
            classified[word_id] = (min(first, detection.class_id), score + detection.score)
        elif detection.score >= threshold:
            _, score = best.get(detection.class_id, (None, -1.0))
            best[detection.class_id] = (word_id, max(score, detection.score))
    least = threshold if word_threshold is None else word_threshold
    ordered = [best[class_id] for class_id in sorted(best)]
    ordered += [
        (word_id, min(score, 1.0))
        for word_id, (_, score) in sorted(classified.items(), key=lambda item: item[1][0])
        if score >= least
    ]
    return [word_id for word_id, _ in ordered], [score for _, score in ordered]


def prior_factors(objects, key_flat, sentences, strength):
    """Returns the factor by which the odds of each concept's detections are multiplied: dict vocabulary id -> 0 to 1.

    A detector trained on other photographs has false detections. If a concept is detected often but the corpus hardly
    mentions it, most of its detections are false. This is Bayes' rule with the corpus as prior, weakened by `strength`
    because the corpus describes other photographs.

    Args:
      objects: list over the training images, each with a list of vocabulary ids, which are the keys of the result.
      key_flat: int [n], the concept ids of all sentences, concatenated.
      sentences: number of sentences.
      strength: exponent, 0 to 1.
    """
    found = collections.Counter(word_id for ids in objects for word_id in set(ids))
    named = np.bincount(key_flat, minlength=max(found, default=0) + 1).tolist()
    share = {i: (named[i] / max(1, sentences)) / (found[i] / len(objects)) for i in found}
    return {i: min(1.0, ratio) ** strength for i, ratio in share.items()}


def with_prior(ids, scores, factors, threshold, below=1.0):
    """Applies the factors of `prior_factors` to the objects of one image and drops those below a threshold.

    Args:
      ids, scores: list of vocabulary ids and list of their scores (0 to 1), of equal length.
      factors: dict vocabulary id -> factor by which the odds of its scores are multiplied; 1 for other ids.
      threshold: minimum score after the change.
      below: scores above this value are not changed.

    Returns: (ids, scores), two lists of the objects that are kept, in the same order.
    """
    kept = []
    for word_id, score in zip(ids, scores, strict=True):
        if score <= below:
            odds = factors.get(word_id, 1.0) * score
            score = odds / (odds + 1.0 - score) if odds else 0.0
        if score >= threshold:
            kept.append((word_id, score))
    return [word_id for word_id, _ in kept], [score for _, score in kept]


def thresholds_by_share(objects, sentences):
    """Returns the minimum score of each concept word: dict vocabulary id -> float.

    With it, a word is found in as large a share of the images as it has among the sentences, or in all images in which
    it was detected, if these are fewer. A word whose share rounds to no image is left out. No caption of an image is
    used.

    Args:
      objects: list over the training images of (list of vocabulary ids, list of their scores).
      sentences: records.Sentences, the corpus.
    """
    scores = collections.defaultdict(list)
    for ids, values in objects:
        for word_id, score in _best(ids, values).items():
            scores[word_id].append(score)
    named = np.bincount(sentences.key_flat, minlength=max(scores, default=0) + 1)
    result = {}
    for word_id, values in scores.items():
        count = min(len(values), round(named[word_id] / max(1, len(sentences)) * len(objects)))
        if count:
            result[word_id] = float(sorted(values, reverse=True)[count - 1])
    return result


def above_thresholds(ids, scores, thresholds):
    """Returns the words of an image whose score reaches their threshold: (list of vocabulary ids, list of scores).

    Each word has one entry, with its highest score. Words without a threshold are left out.

    Args: ids, scores: vocabulary ids and scores, of equal length. thresholds: dict vocabulary id -> minimum score.
    """
    best = {i: score for i, score in _best(ids, scores).items() if score >= thresholds.get(i, float("inf"))}
    return list(best), list(best.values())


def _best(ids, scores):
    """Returns the highest score of each word: dict vocabulary id -> score, in the order of first occurrence."""
    best = {}
    for word_id, score in zip(ids, scores, strict=True):
        best[word_id] = max(score, best.get(word_id, score))
    return best
