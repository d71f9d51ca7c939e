"""Selection of the concept words that obj2sen reads for an image (quirk Q7 of docs/implementation_details.md).

Shapes: B batch, C objects of an image, K selected words.
"""

import numpy as np

LIMIT = 5


def select_concepts(classes_BC, scores_BC, num_B, semantics, threshold=0.0, limit=LIMIT):
    """Returns the concept words that obj2sen reads for each image.

    Args:
      classes_BC: int32 word ids in the record's order. scores_BC: float32. num_B: int32, valid entries.
      semantics: `reference` takes the first entries, `fixed` those with the highest scores.
      threshold: minimum detection score of a selected object.
      limit: K, the maximum number of words.

    Returns: key int32 [B, K], zero padded; key_length int32 [B].
    """
    classes_BC, scores_BC = np.array(classes_BC), np.array(scores_BC)
    kept_BC = (np.arange(classes_BC.shape[1]) < np.asarray(num_B)[:, None]) & (scores_BC >= threshold)
    order_BC = np.argsort(~kept_BC, axis=1, kind="stable")  # kept objects move to the front
    classes_BC, scores_BC = (np.take_along_axis(array, order_BC, 1) for array in (classes_BC, scores_BC))
    if semantics == "reference":
        return first_concepts(classes_BC, kept_BC.sum(1), limit)
    return best_concepts(classes_BC, scores_BC, kept_BC.sum(1), limit)


def first_concepts(classes_BC, num_B, limit=LIMIT):
    """Returns the authors' choice: the first entries of the record, the detector's most frequent classes.

    They reverse the stored classes and keep the last five, so the most frequent class comes last. Scores are ignored,
    and a word that two classes share is given twice.

    Args:
      classes_BC: int32 word ids in the record's order (ascending class id of the detector). num_B: int32.

    Returns: key int32 [B, K], zero padded; key_length int32 [B].
    """
    return _rows([row[: min(num, limit)][::-1] for row, num in zip(classes_BC, num_B, strict=True)], limit)


def last_concepts(classes_BC, num_B, limit=LIMIT):
    """Returns the choice of R2M's authors for training images: the last entries of the record, in its order.

    Source: docs/implementation_details.md, "order of concepts".

    Args and returns: as `first_concepts`.
    """
    return _rows([row[max(0, num - limit) : num] for row, num in zip(classes_BC, num_B, strict=True)], limit)


def best_concepts(classes_BC, scores_BC, num_B, limit=LIMIT):
    """Returns the `limit` distinct words with the highest scores, the best one last; ties keep the record's order.

    Args: classes_BC: int32 word ids. scores_BC: float32. num_B: int32.

    Returns: key int32 [B, K], zero padded; key_length int32 [B].
    """
    chosen = []
    for classes, scores, num in zip(classes_BC, scores_BC, num_B, strict=True):
        order = np.argsort(-scores[:num], kind="stable")
        words = list(dict.fromkeys(classes[order].tolist()))
        chosen.append(words[:limit][::-1])
    return _rows(chosen, limit)


def _rows(chosen, limit):
    key_BK = np.zeros([len(chosen), limit], np.int32)
    for row, words in zip(key_BK, chosen, strict=True):
        row[: len(words)] = words
    return key_BK, np.asarray([len(words) for words in chosen], np.int32)
