import json
import subprocess
import sys

import pytest

from cli import UserError
from evaluation import compare
from formats import captions


@pytest.fixture
def files(tmp_path):
    names = [f"{i}.jpg" for i in range(30)]
    annotations = [{"image_id": name, "id": i, "caption": f"a dog runs past house {i}"} for i, name in enumerate(names)]
    captions.write_json(
        tmp_path / "refs.json", {"images": [{"id": name} for name in names], "annotations": annotations}
    )
    captions.write_captions(tmp_path / "a.json", [(name, f"a dog runs past house {i}") for i, name in enumerate(names)])
    captions.write_captions(tmp_path / "b.json", [(name, "a dog runs") for name in names])
    return tmp_path


def test_command_compares(files):
    command = [sys.executable, "-m", "evaluation.compare", f"{files}/a.json", f"{files}/b.json"]
    command += [f"--references={files}/refs.json", "--metrics=BLEU,CIDEr", f"--output={files}/out.json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "30 images, 30 references" in done.stdout
    content = json.loads((files / "out.json").read_text())
    cider = content["comparison"]["CIDEr"]
    assert cider["first"] == pytest.approx(1000.0) and cider["difference"] == cider["first"] - cider["second"] > 0
    assert cider["interval"][0] > 0 and cider["p"] < 0.05
    assert content["comparison"]["BLEU-4"]["first"] == pytest.approx(100.0)
    assert "CIDEr-D" in content["versions"]["CIDEr"] and content["images"] == 30


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"paths": ("a.json",)}, "found 1 caption files"),
        ({"references": ""}, "--references is missing"),
        ({"resamples": 3}, "--resamples 3"),
    ],
)
def test_wrong_use(changes, message):
    options = {"paths": ("a.json", "b.json"), "references": "r.json"} | changes
    with pytest.raises(UserError, match=message):
        compare.main(compare.Options(**options))
