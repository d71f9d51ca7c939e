"""Draws word vectors in two dimensions; the words of captions and the words with the most similar vectors are marked.

Shapes: V words, E embedding.
"""

import numpy as np

import cli

METHODS = ("pca", "tsne")
MOST_WORDS = 3000  # only the most frequent words are drawn, which come first; t-SNE of more takes minutes


def project(vectors_VE, method="pca", seed=1):
    """Returns word vectors projected to two dimensions: float [V, 2].

    They are first normalised to length 1, so that a small distance means a large cosine.

    Args: vectors_VE: float. method: "pca" or "tsne" (slow: about a second for 100 words, minutes for thousands).
      seed: of t-SNE.
    Raises: cli.UserError for another method.
    """
    unit = np.asarray(vectors_VE, np.float64)
    unit = unit / np.maximum(np.linalg.norm(unit, axis=1, keepdims=True), 1e-12)
    if method == "pca":
        from sklearn.decomposition import PCA

        return PCA(2, svd_solver="full").fit_transform(unit)
    if method == "tsne":
        from sklearn.manifold import TSNE

        perplexity = min(30.0, max(1.0, (len(unit) - 1) / 4))
        return TSNE(2, perplexity=perplexity, init="pca", random_state=seed).fit_transform(unit)
    raise cli.UserError(f"no method {method!r} to project word vectors; expected one of {', '.join(METHODS)}")


def neighbours(vectors_VE, ids, count=5, skip=(0, 1)):
    """Returns the words with the most similar vectors by cosine, most similar first: dict id -> list of (id, cosine).

    Args:
      vectors_VE: float. ids: iterable of word ids, the keys of the result. count: maximum number of words for each; the
        word itself is not among them.
      skip: ids of the markers, which are never returned; nor is the unknown word, the last id.
    """
    vectors = np.asarray(vectors_VE, np.float64)
    unit = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    found = {}
    for word in ids:
        cosine = unit @ unit[word]
        cosine[[*skip, word, len(unit) - 1]] = -np.inf
        best = np.argsort(-cosine, kind="stable")[:count]
        found[int(word)] = [(int(i), float(cosine[i])) for i in best if np.isfinite(cosine[i])]
    return found


def figure(vectors_VE, vocabulary, ids, method="pca", count=5):
    """Returns a matplotlib Figure of the word vectors; words of captions and their nearest words have labels.

    Of all other words, only the MOST_WORDS most frequent ones are drawn.

    Args:
      vectors_VE: float, the network's input embedding.
      vocabulary: formats.vocabulary.Vocabulary.
      ids: word ids of the captions; unknown words and markers are omitted.
      method: "pca" or "tsne". count: number of nearest words, by cosine, for each word of the captions.
    """
    from matplotlib.figure import Figure

    ids = sorted({int(i) for i in ids if 1 < i < vocabulary.unknown_id})
    near = neighbours(vectors_VE, ids, count)
    around = sorted({i for found in near.values() for i, _ in found} - set(ids))
    shown = np.unique([*range(2, min(vocabulary.unknown_id, MOST_WORDS)), *ids, *around]).astype(int)
    points = dict(zip(shown.tolist(), project(np.asarray(vectors_VE)[shown], method), strict=True))
    drawing = Figure(figsize=(9, 9))
    panel = drawing.subplots()
    everything = np.array([points[i] for i in shown])
    panel.scatter(everything[:, 0], everything[:, 1], s=6, color="0.82", label="other words")
    for group, colour, size, label in ((around, "tab:blue", 8, "neighbours"), (ids, "tab:red", 11, "in the captions")):
        if group:
            places = np.array([points[i] for i in group])
            panel.scatter(places[:, 0], places[:, 1], s=18, color=colour, label=label)
        for i in group:
            panel.annotate(vocabulary.word(i), points[i], fontsize=size, color=colour)
    panel.set_title(f"word vectors, {method}; neighbours by cosine")
    panel.legend(loc="best", fontsize=8)
    drawing.tight_layout()
    return drawing
