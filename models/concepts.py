"""Selects the detected concept words that obj2sen reads for an image (quirk Q7 of docs/implementation_details.md).

A concept word is the name of an object class, e.g. `dog`.

Shapes: B batch, C objects of an image (zero padded), K selected words. All results are NumPy arrays.
"""

import numpy as np

LIMIT = 5


def select_concepts(classes_BC, scores_BC, num_B, semantics, threshold=0.0, limit=LIMIT):
    """Returns the concept words that obj2sen reads for each image.

    Args:
      classes_BC: int32, word id of each object's class, in the order of the image's record.
      scores_BC: float32, detection score of each object.
      num_B: int32, number of objects of each image; entries past it are padding.
      semantics: value of --semantics: "reference" takes the first objects, in reverse order (`first_concepts`); "fixed"
        takes the distinct words with the highest scores, the best one last (`best_concepts`).
      threshold: minimum detection score (0 to 1) of a selected object.
      limit: K, the maximum number of words.

    Returns: (key, key_length): word ids int32 [B, K], zero padded; number of words of each row int32 [B].
    """
    classes_BC, scores_BC = np.array(classes_BC), np.array(scores_BC)
    kept_BC = (np.arange(classes_BC.shape[1]) < np.asarray(num_B)[:, None]) & (scores_BC >= threshold)
    order_BC = np.argsort(~kept_BC, axis=1, kind="stable")  # kept objects move to the front
    classes_BC, scores_BC = (np.take_along_axis(array, order_BC, 1) for array in (classes_BC, scores_BC))
    if semantics == "reference":
        return first_concepts(classes_BC, kept_BC.sum(1), limit)
    return best_concepts(classes_BC, scores_BC, kept_BC.sum(1), limit)


def first_concepts(classes_BC, num_B, limit=LIMIT):
    """Returns the first words of each record in reverse order, which is the authors' choice.

    The authors' program reverses the list of classes and keeps its last five. Records are sorted by class id of the
    detector, in which frequent classes come first. So the words are those of the most frequent classes, the most
    frequent one last. Scores are ignored, and a word that two classes share occurs twice.

    Args:
      classes_BC: int32, word id of each object's class, in the order of the image's record.
      num_B: int32, number of objects of each image.
      limit: K, the maximum number of words.

    Returns: (key, key_length): word ids int32 [B, K], zero padded; number of words of each row int32 [B].
    """
    return _rows([row[: min(num, limit)][::-1] for row, num in zip(classes_BC, num_B, strict=True)], limit)


def last_concepts(classes_BC, num_B, limit=LIMIT):
    """Returns the last words of each record, in its order, which is the choice of R2M's authors for training images.

    Source: docs/implementation_details.md, "order of concepts".

    Args:
      classes_BC: int32, word id of each object's class, in the order of the image's record.
      num_B: int32, number of objects of each image.
      limit: K, the maximum number of words.

    Returns: (key, key_length): word ids int32 [B, K], zero padded; number of words of each row int32 [B].
    """
    return _rows([row[max(0, num - limit) : num] for row, num in zip(classes_BC, num_B, strict=True)], limit)


def best_concepts(classes_BC, scores_BC, num_B, limit=LIMIT):
    """Returns the distinct words with the highest detection scores, the best one last; ties keep the record's order.

    Args:
      classes_BC: int32, word id of each object's class. scores_BC: float32, detection score of each object.
      num_B: int32, number of objects of each image.
      limit: K, the maximum number of words.

    Returns: (key, key_length): word ids int32 [B, K], zero padded; number of words of each row int32 [B].
    """
    chosen = []
    for classes, scores, num in zip(classes_BC, scores_BC, num_B, strict=True):
        order = np.argsort(-scores[:num], kind="stable")
        words = list(dict.fromkeys(classes[order].tolist()))
        chosen.append(words[:limit][::-1])
    return _rows(chosen, limit)


def _rows(chosen, limit):
    """Returns lists of word ids as two arrays: ids int32 [B, limit], zero padded; lengths of the lists int32 [B].

    Args: chosen: list of B lists of at most `limit` word ids. limit: number of columns.
    """
    key_BK = np.zeros([len(chosen), limit], np.int32)
    for row, words in zip(key_BK, chosen, strict=True):
        row[: len(words)] = words
    return key_BK, np.asarray([len(words) for words in chosen], np.int32)
