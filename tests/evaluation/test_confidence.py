"""evaluation.confidence: the expected CIDEr of a caption, and captions that are withheld."""

import dataclasses
import json

import numpy as np
import pytest

import caption
import cli
from captioning.captioner import Hypothesis
from evaluation import confidence


def said(log_prob, count=4):
    return Hypothesis("a dog", tuple(range(count)), log_prob, log_prob)


def test_the_function_rises_and_fits_best():
    """Neighbours in the wrong order get their mean (pool adjacent violators)."""
    x_P, y_P = confidence.isotonic(np.array([-4.0, -3, -2, -1]), np.array([10.0, 30, 20, 50]))
    assert np.interp([-4, -3, -2, -1], x_P, y_P) == pytest.approx([10, 25, 25, 50])
    found = confidence.Confidence(x_P, y_P)
    assert found([said(-16.0), said(-8.0), said(-2.0), said(-80.0)]) == pytest.approx([10, 25, 50, 10])


def test_predictions_are_of_images_that_were_left_out():
    rng = np.random.default_rng(1)
    x, noise = rng.normal(size=400), rng.normal(size=400)
    predicted = confidence.cross_validated(x, noise)
    assert abs(np.corrcoef(predicted, noise)[0, 1]) < 0.2, "noise cannot be predicted"
    assert np.corrcoef(confidence.cross_validated(x, x), x)[0, 1] > 0.98
    assert "0.2" not in confidence.report(x, x)[-1] and "rank correlation" in confidence.report(x, x)[-1]


def test_a_file_that_is_damaged_is_named(tmp_path):
    assert confidence.load(tmp_path, "beam3") is None
    path = tmp_path / "confidence_beam5.json"
    path.write_text(json.dumps({"decode": "beam5", "step": 3, "x": [-2.0, -1.0], "y": [1.0, 2.0]}))
    assert confidence.load(str(tmp_path), "beam5")([said(-6.0)]) == pytest.approx([1.5])
    for content in ({"x": [-1.0, -2.0], "y": [1.0, 2.0]}, {"x": [-1.0], "y": [1.0, 2.0]}, {"x": [], "y": []}):
        path.write_text(json.dumps({"step": 3} | content))
        with pytest.raises(cli.UserError, match="make it again: python -m evaluation.confidence"):
            confidence.load(str(tmp_path), "beam5")


def test_an_entry_has_the_expectation():
    assert caption.entry("a.jpg", [said(-2.0)], 1, 81.234)["expected_cider"] == 81.23
    assert "expected_cider" not in caption.entry("a.jpg", [said(-2.0)], 1)


def test_withholding_needs_the_calibration(tmp_path):
    options = caption.Options(paths=(str(tmp_path),), job_dir=str(tmp_path), min_confidence=50.0)
    with pytest.raises(cli.UserError, match="confidence.json is missing; make it.*--decode beam3"):
        caption.check(options)
    with pytest.raises(cli.UserError, match="confidence_beam5.json is missing"):
        caption.check(dataclasses.replace(options, decode="beam5"))


def test_a_calibration_of_another_checkpoint_is_not_used(tmp_path):
    for step in (3, 4):
        (tmp_path / f"ckpt-{step}.index").write_bytes(b"x")
        (tmp_path / f"ckpt-{step}.data-00000-of-00001").write_bytes(b"x")
    (tmp_path / "confidence.json").write_text(json.dumps({"decode": "beam3", "step": 3, "x": [-2.0], "y": [1.0]}))
    options = caption.Options(job_dir=str(tmp_path), checkpoint="3", min_confidence=50.0)
    assert caption.calibration(options).step == 3
    other = dataclasses.replace(options, checkpoint="4")
    with pytest.raises(cli.UserError, match="made for step 3, these are captions of step 4; make it again: .*point 4"):
        caption.calibration(other)
    assert caption.calibration(dataclasses.replace(other, min_confidence=None)) is None
