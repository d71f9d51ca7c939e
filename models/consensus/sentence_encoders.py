"""Encoders of texts: a sentence or the name of a class -> a vector of unit length, alike for texts that mean the same.

    tfidf           latent semantic analysis of the corpus (Deerwester et al. 1990): tf-idf weighted counts of words,
                    projected on the principal directions of the corpus; needs no other data and no package
    minilm:FILE     a sentence transformer in ONNX, e.g. all-MiniLM-L6-v2, with its tokenizer.json in the same folder;
                    minilm:FILE#tokenizer=FILE for another place. Needs requirements-sentences.txt. It was trained on
                    pairs of sentences, among them (from its model card, unverified) captions of one photograph of MS
                    COCO and Flickr30k: name it with every score.

Shapes: N texts, V words of the corpus, D dimensions of a vector.
"""

import collections
import os
import re

import numpy as np
import scipy.sparse
import scipy.sparse.linalg

import cli
from formats import sidecars
from models.consensus.kernel_regression import unit_vectors

KINDS = ("tfidf", "minilm:FILE.onnx[#tokenizer=FILE.json]")
DIMENSIONS = 384  # of a vector by tfidf
BATCH = 64  # sentences of one call
MANY = 1000  # more texts than these get a progress bar
LONGEST = 64  # tokens of a sentence; later ones are cut off
INSTALL = "pip install -r requirements-sentences.txt"


def load(spec, corpus, arrays=None):
    """Returns an encoder of texts, a function (list of N str) -> float32 [N, D], with the attribute `identity`.

    `identity` is a dict for JSON that determines the vectors, together with the corpus.

    Args: spec: value of --sentence_encoder. corpus: list of str, the sentences of the corpus; words are separated by
      spaces. arrays: for tfidf in place of the corpus, the attribute `arrays` of the encoder of that corpus.
    Raises: cli.UserError if the kind is unknown, or a file or a package is missing.
    """
    described = identity(spec)
    encode = LatentSemanticAnalysis(corpus, arrays) if spec == "tfidf" else SentenceTransformer(*_files(spec))
    encode.identity = described
    return encode


def identity(spec):
    """Returns the attribute `identity` of the encoder of a --sentence_encoder value, without loading it.

    Raises: cli.UserError if the kind is unknown or a file is missing.
    """
    if spec == "tfidf":
        return {"kind": "tfidf", "dimensions": DIMENSIONS}
    if re.match("minilm:.", spec):
        return {"kind": "minilm", "files": [sidecars.fingerprint(path)["sha256"] for path in _files(spec)]}
    raise cli.UserError(f"--sentence_encoder {spec!r}: expected {' or '.join(KINDS)}")


def _files(spec):
    """Returns (path of the network, path of the tokenizer) that `minilm:FILE[#tokenizer=FILE]` names.

    Raises: cli.UserError if one of them is missing.
    """
    network, _, tokenizer = spec.removeprefix("minilm:").partition("#tokenizer=")
    tokenizer = tokenizer or os.path.join(os.path.dirname(network), "tokenizer.json")
    for path in (network, tokenizer):
        if not os.path.isfile(path):
            raise cli.UserError(
                f"--sentence_encoder {spec}: {path} is not a file; expected minilm:FILE.onnx with its "
                "tokenizer.json in the same folder, or minilm:FILE.onnx#tokenizer=FILE.json"
            )
    return network, tokenizer


class LatentSemanticAnalysis:
    """The encoder `tfidf` of a corpus.

    Args: corpus: list of str, words separated by spaces; None if `arrays` are given. arrays: dict with the arrays of an
      earlier one, from its attribute `arrays`.
    """

    def __init__(self, corpus, arrays=None):
        if arrays is not None:
            self._column = {word: i for i, word in enumerate(arrays["words"].tolist())}
            self._idf_V, self._directions_DV = arrays["idf"], arrays["directions"]
            return
        counts = collections.Counter(word for text in corpus for word in set(text.split()))
        self._column = {word: i for i, word in enumerate(sorted(counts))}
        self._idf_V = np.array([np.log(len(corpus) / counts[word]) for word in sorted(counts)], np.float32)
        weighted_NV = self._weighted(corpus)
        dim = min(DIMENSIONS, min(weighted_NV.shape) - 1)
        # A fixed start vector, or each call returns other directions. Not ones: orthogonal to what a corpus may be
        # symmetrical in, e.g. two words in the same sentences, they make the method start again at random.
        start = np.random.default_rng(0).normal(size=min(weighted_NV.shape)).astype(np.float32)
        _, _, self._directions_DV = scipy.sparse.linalg.svds(weighted_NV, k=dim, v0=start)

    @property
    def arrays(self):
        """Arrays that make it again without the corpus: words str [V], idf float32 [V], directions float32 [D, V]."""
        directions_DV = self._directions_DV.astype(np.float32)
        return {"words": np.array(list(self._column)), "idf": self._idf_V, "directions": directions_DV}

    def __call__(self, texts):
        """Returns the vectors of texts: float32 [N, D], of unit length; zeros if no word is in the corpus."""
        return unit_vectors(self._weighted(texts) @ self._directions_DV.T)

    def _weighted(self, texts):
        """Returns the tf-idf weighted counts of words, each row at unit length: float32 CSR matrix [N, V]."""
        places = [[self._column[word] for word in text.lower().split() if word in self._column] for text in texts]
        starts = np.cumsum([0, *map(len, places)])
        columns = np.array([column for row in places for column in row], np.int64)
        matrix = scipy.sparse.csr_array((self._idf_V[columns], columns, starts), (len(texts), len(self._idf_V)))
        matrix.sum_duplicates()
        norms_N = np.sqrt(matrix.multiply(matrix).sum(axis=1))
        return (scipy.sparse.diags_array(1.0 / np.maximum(norms_N, 1e-9)) @ matrix).astype(np.float32)


class SentenceTransformer:
    """The encoder `minilm:`: the mean of the network's last hidden states over the tokens, at unit length.

    Args: network: path of the .onnx file, with the inputs input_ids, attention_mask and token_type_ids, int64 [N, T],
      and the output last_hidden_state, float32 [N, T, D]. tokenizer: path of its tokenizer.json.
    Raises: cli.UserError if a package is missing or a file cannot be read.
    """

    def __init__(self, network, tokenizer):
        try:
            import onnxruntime
            import tokenizers
        except ImportError as error:
            raise cli.UserError(
                f"--sentence_encoder minilm: {error.name} is not installed ({INSTALL}); `tfidf` needs no other package"
            ) from error
        try:
            self._tokenizer = tokenizers.Tokenizer.from_file(tokenizer)
            self._session = onnxruntime.InferenceSession(network, providers=["CPUExecutionProvider"])
        except Exception as error:  # both packages raise bare Exceptions of their own
            message = str(error).splitlines()[0]
            raise cli.UserError(f"--sentence_encoder minilm: {network} or {tokenizer}: {message}") from error
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(LONGEST)

    def __call__(self, texts):
        """Returns the vectors of texts: float32 [N, D], of unit length."""
        order = np.argsort([len(text) for text in texts], kind="stable")  # texts of one batch have similar lengths
        vectors = []
        starts = range(0, len(texts), BATCH)
        for start in cli.progress(starts, "sentence vectors") if len(texts) > MANY else starts:
            encoded = self._tokenizer.encode_batch([texts[i] for i in order[start : start + BATCH]])
            ids_NT = np.zeros((len(encoded), max(len(one.ids) for one in encoded)), np.int64)
            mask_NT = np.zeros_like(ids_NT)
            for row, one in enumerate(encoded):
                ids_NT[row, : len(one.ids)], mask_NT[row, : len(one.ids)] = one.ids, 1
            inputs = {"input_ids": ids_NT, "attention_mask": mask_NT, "token_type_ids": np.zeros_like(ids_NT)}
            (hidden_NTD,) = self._session.run(["last_hidden_state"], inputs)
            vectors.append((hidden_NTD * mask_NT[:, :, None]).sum(1) / mask_NT.sum(1, keepdims=True))
        result_ND = np.empty((len(texts), vectors[0].shape[1] if vectors else 0), np.float32)
        result_ND[order] = np.concatenate(vectors) if vectors else result_ND
        return unit_vectors(result_ND)
