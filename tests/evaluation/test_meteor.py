import gc
import time

import pytest

from evaluation import metrics
from evaluation.metrics import java
from evaluation.metrics.java import Java, JavaError
from evaluation.metrics.meteor import Meteor

REFERENCES = {"a": ["a dog"], "b": ["a", "b", "c"], "c": ["a dog runs", ""]}
CAPTIONS = {"a": ["a dog"], "b": ["a dog"], "c": [""]}


def fake_java(folder, script):
    """Writes a shell script in place of Java, which answers METEOR's protocol with the given lines."""
    path = folder / "java"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return Java(str(path), "25.0.2")


def test_real_meteor_in_a_hostile_locale(monkeypatch, capfd):
    """A German JVM prints decimal commas; the banner of JAVA_TOOL_OPTIONS must not be read as an answer."""
    monkeypatch.setenv("JAVA_TOOL_OPTIONS", "-Duser.language=de -Duser.country=DE")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    with Meteor(java.find_java()) as meteor:
        score, images = meteor.compute_score(REFERENCES, CAPTIONS)
        assert images == pytest.approx([1.0, 0.27586206896551724, 0.0])
        again, _ = meteor.compute_score(REFERENCES, CAPTIONS)
        assert again == score and 0 < score < 1
        process = meteor.process
        process.kill()
        with pytest.raises(JavaError, match="ended with code -9"):
            meteor.compute_score(REFERENCES, CAPTIONS)
    assert process.returncode == -9
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_numbers_are_pycocoevalcaps(monkeypatch, tmp_path):
    from pycocoevalcap.meteor import meteor as upstream

    (tmp_path / "java").symlink_to(java.find_java().path)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    references = {str(i): [f"a man rides horse number {i}", f"the {i} people walk"] for i in range(20)}
    captions = {str(i): [f"people ride {i} horses quickly"] for i in range(20)}
    with Meteor(java.find_java()) as meteor:
        ours = meteor.compute_score(references, captions)
    assert ours == upstream.Meteor().compute_score(references, captions)


def test_killed_midway_is_a_reason_and_no_hang(tmp_path):
    runtime = fake_java(tmp_path, "read line; echo 1 2 3; read line; echo 1 2 3; echo out of memory >&2; exit 7")
    meteor = Meteor(runtime)
    start = time.monotonic()
    with pytest.raises(JavaError, match="ended with code 7: out of memory"):
        meteor.compute_score(REFERENCES, CAPTIONS)
    del meteor  # pycocoevalcap's own object would block here for ever
    gc.collect()
    assert time.monotonic() - start < 10


def test_silent_process_is_ended_by_the_watchdog(tmp_path):
    with Meteor(fake_java(tmp_path, "exec sleep 600")) as meteor:
        process = meteor.process
        with pytest.raises(JavaError, match=r"longer than 0\.5 s"):
            meteor.compute_score(REFERENCES, CAPTIONS, timeout=0.5)
    assert process.returncode is not None


@pytest.mark.parametrize(
    "references, captions",
    [
        (REFERENCES, CAPTIONS | {"a": ["one", "two"]}),
        (REFERENCES, {"a": ["one"]}),
        (REFERENCES | {"a": []}, CAPTIONS),
    ],
)
def test_inputs_are_checked_before_the_process_is_asked(tmp_path, references, captions):
    with Meteor(fake_java(tmp_path, "exec cat")) as meteor:
        with pytest.raises(ValueError):
            meteor.compute_score(references, captions)
        meteor.send("next\n")
        assert meteor.line() == "next"


def test_closed_twice_and_not_startable(tmp_path):
    meteor = Meteor(fake_java(tmp_path, "cat > /dev/null"))
    meteor.close()
    meteor.close()
    with pytest.raises(JavaError, match="closed"):
        meteor.compute_score(REFERENCES, CAPTIONS)
    with pytest.raises(JavaError, match="could not be started"):
        Meteor(Java(str(tmp_path / "absent"), "25"))


def test_scorer_starts_a_failed_process_once_more(monkeypatch, tmp_path):
    """The first process ends at once, the second one answers."""
    script = f"""
    [ -e {tmp_path}/tried ] || {{ touch {tmp_path}/tried; exit 1; }}
    while read kind rest; do
      if [ $kind = SCORE ]; then echo 1 2; else echo 0.5; echo 0.25; fi
    done"""
    runtime = fake_java(tmp_path, script)
    monkeypatch.setattr("evaluation.metrics.java.find_java", lambda majors=None: runtime)
    with metrics.Scorer({"x": ["a dog of mine"]}, ("METEOR",), "ptb-python") as scorer:
        scores = scorer.score({"x": "a dog"})
    assert scores.values["METEOR"] == 25.0 and scores.per_image["METEOR"].tolist() == [50.0]

    dead = fake_java(tmp_path, "exit 3")
    monkeypatch.setattr("evaluation.metrics.java.find_java", lambda majors=None: dead)
    with metrics.Scorer({"x": ["a dog of mine"]}, ("METEOR", "ROUGE-L"), "ptb-python") as scorer:
        scores = scorer.score({"x": "a dog"})
    assert scores.values["METEOR"] is None and "ended with code 3" in scores.reasons["METEOR"]
    assert scores.values["ROUGE-L"] > 0
