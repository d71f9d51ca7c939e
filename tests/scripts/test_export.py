"""An exported captioner says what caption.py says, and runs without this program."""

import json

import numpy as np
import pytest
import tensorflow as tf

import cli
from captioning.captioner import Captioner
from captioning.exported import ExportedCaptioner
from formats.vocabulary import Vocabulary
from models.generator import Generator
from models.standardise import Standardise
from scripts import export
from tests import tiny_world
from tests.scripts import exported_runs

RUN, IMAGES = exported_runs.TRAINED, 40


@pytest.fixture(scope="module")
def captioner():
    return Captioner.from_run(RUN, "best")


@pytest.fixture(scope="module")
def vectors(captioner):
    """Image vectors of the distribution that the run was trained on, of which it says many different things."""
    mean, std = captioner.standardise.mean.numpy(), captioner.standardise.std.numpy()
    return (mean + std * np.random.default_rng(0).normal(size=(IMAGES, len(mean)))).astype(np.float32)


@pytest.fixture(scope="module")
def of_vectors(tmp_path_factory):
    """A folder with the run as a SavedModel that reads image vectors."""
    folder = str(tmp_path_factory.mktemp("export") / "new" / "saved")
    export.main(export.Options(job_dir=RUN, output=folder))
    return folder


def test_captions_and_probabilities_are_those_of_the_captioner(captioner, vectors, of_vectors):
    loaded = tf.saved_model.load(of_vectors)
    found = loaded.caption_vectors(vectors)
    expected = captioner.caption_vectors(vectors, "beam3", batch=16)
    texts = [several[0].text for several in expected]
    assert [text.decode() for text in found["caption"].numpy()] == texts and len(set(texts)) > IMAGES / 4
    for several, row, log_probs in zip(expected, found["captions"].numpy(), found["log_probs"].numpy(), strict=True):
        assert [one.text for one in several] == [text.decode() for text in row[: len(several)]]
        assert [one.log_prob for one in several] == pytest.approx(list(log_probs[: len(several)]), abs=1e-5)


def test_the_program_in_the_folder_runs_alone(captioner, vectors, of_vectors, tmp_path):
    np.save(tmp_path / "bank.npy", np.stack([vectors, vectors + 1], 1).astype(np.float16))  # two crops of each image
    banked = vectors.astype(np.float16).astype(np.float32)
    expected = [several[0].text for several in captioner.caption_vectors(banked, "beam3")]
    assert exported_runs.run_example(of_vectors, str(tmp_path / "bank.npy")) == expected


@pytest.mark.parametrize(
    ("semantics", "decode"),
    [("reference", "greedy"), ("fixed", "beam2,min_length=4"), ("reference", "beam3,length_normalization=1")],
)
def test_texts_of_unfinished_captions_and_of_unspaced_scripts(decode, semantics, tmp_path):
    words = [*tiny_world.WORDS[:2], *"\u4e2d\u6587 \u5b57 caf\u00e9 a \u0e44 dog".split()]
    vocabulary, length = Vocabulary(words), 6
    vocabulary.save(str(tmp_path / "vocabulary.txt"))
    generator = Generator(vocabulary.size, 4, 8, 8, 1.0, tf.constant([0, 3]), 8.0)
    generator.embedding.assign(generator.embedding * 40.0)
    captioner = Captioner(generator, Standardise(4), vocabulary, semantics, length)
    vectors = np.random.default_rng(1).normal(size=(30, 4)).astype(np.float32)
    expected = captioner.caption_vectors(vectors, decode)
    assert any(several[0].ids[-1] != vocabulary.end_id for several in expected)
    assert {" " in several[0].text for several in expected} == {False, True}
    exported = ExportedCaptioner(captioner, export.parse_decode(decode), (4,), str(tmp_path / "vocabulary.txt"))
    for several, row in zip(expected, exported.caption_vectors(vectors)["captions"].numpy(), strict=True):
        assert [one.text for one in several] + [""] * (len(row) - len(several)) == [text.decode() for text in row]


def test_runs_that_cannot_be_exported(tmp_path):
    def message(**flags):
        with pytest.raises(cli.UserError) as caught:
            export.main(export.Options(**{"output": str(tmp_path / "new"), **flags}))
        return str(caught.value)

    for stage, reason in (("R2M", "reads the words of detected objects"), ("SentenceGan", "cannot caption images")):
        (tmp_path / stage).mkdir()
        (tmp_path / stage / "config.json").write_text(json.dumps({"stage": stage, "settings": {}, "facts": {}}))
        assert f"a run of {stage} {reason}; expected a run that reads image vectors" in message(
            job_dir=str(tmp_path / stage)
        )
    assert "expected greedy or beamK" in message(job_dir=RUN, decode="sample2")
    assert "expected a decoding without consensus_weight" in message(job_dir=RUN, decode="beam5,consensus_weight=1")
    assert "--format tflite decodes greedily" in message(job_dir=RUN, decode="beam3", format="tflite")
    assert "exists and is not empty" in message(job_dir=RUN, output=str(tmp_path))
    assert "not a run directory" in message(job_dir=str(tmp_path / "none"))
    assert not (tmp_path / "new").exists()
