"""Evidence by sentence vectors: encoders of texts, vectors of images, the distribution over sentences."""

import os
import pathlib

import numpy as np
import pytest
import scipy.sparse
import scipy.special

import cli
from evaluation.retrieval import fits
from formats import records
from initialization import sentence_evidence
from models.consensus import sentence_encoders
from models.consensus.kernel_regression import unit_vectors

REALDATA = pathlib.Path(os.environ.get("UIC_REALDATA", pathlib.Path(__file__).resolve().parents[3] / "shared/realdata"))
CORPUS = [
    "a dog runs on the grass",
    "a brown dog runs in a field",
    "a puppy runs on the grass",
    "a man rides a wave on a surfboard",
    "a surfer rides a big wave",
    "a woman rides a horse in a field",
] * 2


def test_latent_semantic_analysis(monkeypatch):
    monkeypatch.setattr(sentence_encoders, "DIMENSIONS", 3)
    encode = sentence_encoders.load("tfidf", CORPUS)
    vectors = encode([*CORPUS[:6], "surfboard", "Puppy", "nothing known"])
    assert vectors.dtype == np.float32 and encode.identity == sentence_encoders.identity("tfidf")
    np.testing.assert_allclose(np.linalg.norm(vectors[:8], axis=1), 1, atol=1e-5)
    assert not vectors[8].any()
    cosine = vectors @ vectors.T
    assert cosine[6, 3] > 0.5 and cosine[6, 4] > 0.1 > cosine[6, 0], "a surfboard is near the waves, not near the dogs"
    np.testing.assert_array_equal(
        vectors, sentence_encoders.load("tfidf", CORPUS)([*CORPUS[:6], "surfboard", "Puppy", "x"])
    )


def test_unknown_encoders_and_missing_files(tmp_path):
    with pytest.raises(cli.UserError, match="expected tfidf or minilm:FILE.onnx"):
        sentence_encoders.load("bert", CORPUS)
    (tmp_path / "a.onnx").write_bytes(b"")
    with pytest.raises(cli.UserError, match="tokenizer.json is not a file"):
        sentence_encoders.load(f"minilm:{tmp_path}/a.onnx", CORPUS)


def test_minilm_without_its_packages_or_with_damaged_files(tmp_path):
    for name in ("a.onnx", "tokenizer.json"):
        (tmp_path / name).write_bytes(b"damaged")
    try:
        import onnxruntime  # noqa: F401
        import tokenizers  # noqa: F401

        expected = "a.onnx or .*tokenizer.json"
    except ImportError:
        expected = "pip install -r requirements-sentences.txt"
    with pytest.raises(cli.UserError, match=expected):
        sentence_encoders.load(f"minilm:{tmp_path}/a.onnx", CORPUS)


def test_minilm_of_realdata():
    pytest.importorskip("onnxruntime", reason="onnxruntime is not installed (requirements-sentences.txt)")
    models = REALDATA / "models"
    if not models.is_dir():
        pytest.skip("UIC_REALDATA is absent")
    spec = f"minilm:{models}/minilm_l6_int8.onnx#tokenizer={models}/minilm_tokenizer.json"
    encode = sentence_encoders.load(spec, CORPUS)
    texts = ["a puppy on a lawn", *CORPUS[:6], "x " * 500]
    vectors = encode(texts)
    assert vectors.shape == (8, 384)
    assert 1 + np.argmax(vectors[1:7] @ vectors[0]) in (1, 3)
    alone = np.concatenate([encode([text]) for text in texts])  # the padding of a batch does not change a vector
    assert (vectors * alone).sum(1).min() > 0.98  # int8 activations are quantised for each batch


def write_detections(folder, found):
    """Writes the records of images: dict name -> list of (source, class name, score)."""
    examples = [
        records.detection_example(
            name,
            [0] * len(items),
            [item[1] for item in items],
            [item[2] for item in items],
            [(0.0, 0.0, 1.0, 1.0)] * len(items),
            [item[0] for item in items],
        )
        for name, items in found.items()
    ]
    records.write_records(str(folder / "detections.tfrec"), examples)


def test_scores_of_names(tmp_path):
    ssd, scene = "tflite:ssd.tflite", "scene:places.tflite"
    found = {
        "b.jpg": [(ssd, "Dog", 0.5), (ssd, "Dog", 0.9), (ssd, "Cat", 0.1), (scene, "ski_slope", 0.1)],
        "a.jpg": [(scene, "dog", 0.25)],
        "c.jpg": [(ssd, "Dog", 0.9)],
    }
    write_detections(tmp_path, found)
    names, scores = sentence_evidence.scores_of_names(str(tmp_path), ["a.jpg", "b.jpg"])
    table = {name: scores.toarray()[:, i].tolist() for i, name in enumerate(names)}
    assert table == {"dog": [0.25, pytest.approx(0.9)], "ski slope": [0, pytest.approx(0.1)]}
    with pytest.raises(cli.UserError, match="1 training images have no record of detections, e.g. d.jpg"):
        sentence_evidence.scores_of_names(str(tmp_path), ["a.jpg", "d.jpg"])


def test_vectors_of_the_corpus_are_computed_once(tmp_path):
    calls = []

    def encode(texts):
        calls.append(len(texts))
        return np.eye(3, dtype=np.float32)[[len(text) % 3 for text in texts]]

    encode.identity = {"kind": "length"}
    first, mean = sentence_evidence.corpus_vectors(encode, ["a", "bb", "ccc"], str(tmp_path))
    np.testing.assert_allclose(mean, 1 / 3, atol=1e-3)
    np.testing.assert_allclose(first.sum(0), 0, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(first, axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(sentence_evidence.corpus_vectors(encode, ["a", "bb", "ccc"], str(tmp_path))[0], first)
    assert calls == [3]
    sentence_evidence.corpus_vectors(encode, ["a", "bb", "cccc"], str(tmp_path))
    assert calls == [3, 3], "other texts, other vectors"


def test_distribution_over_sentences(monkeypatch):
    rng = np.random.default_rng(3)
    keys = [(7,), (), (7, 9), (9,), (7,)]
    detections = [{7: 0.8}, {9: 0.4}, {}]
    sentences = unit_vectors(rng.normal(size=(5, 4)))
    images = unit_vectors(rng.normal(size=(3, 4)))
    monkeypatch.setattr(sentence_evidence, "AT_ONCE", 10)  # two images a block
    made = sentence_evidence.SentenceDistribution(keys, detections, sentences, images, 0.7, 0.2, 0.07)
    blocks = list(made.blocks("test"))
    assert [start for start, _ in blocks] == [0, 2]
    found = np.concatenate([block for _, block in blocks])
    fit = np.array(list(fits(keys[:4], detections, 0.7)))[:, [0, 1, 2, 3, 0]]
    expected = scipy.special.softmax(fit / 0.2 + images @ sentences.T / 0.07, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-6)
    np.testing.assert_allclose(made.mean(), expected.mean(0), rtol=1e-3)
    values = rng.normal(size=(5, 2)).astype(np.float32)
    np.testing.assert_allclose(made.expectations(values), expected @ values, rtol=1e-3, atol=1e-5)


def test_image_vectors_have_no_common_part():
    encode = lambda names: np.eye(3, dtype=np.float32)[: len(names)]  # noqa: E731
    scores = scipy.sparse.csr_array(np.array([[0.9, 0.1, 0], [0.9, 0, 0.2], [0.9, 0.3, 0.3]], np.float32))
    vectors = sentence_evidence.image_vectors(encode, ["person", "dog", "ball"], scores)
    assert vectors.shape == (3, 3)
    assert vectors[0] @ vectors[1] < 0.5, "the person that all images show does not make them alike"


def test_detections_without_any_class(tmp_path):
    write_detections(tmp_path, {"a.jpg": [], "b.jpg": []})
    names, scores = sentence_evidence.scores_of_names(str(tmp_path), ["a.jpg", "b.jpg"])
    assert names == [] and scores.shape == (2, 0)
