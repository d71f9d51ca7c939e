"""The column `supervision`: what a run had beyond a detector and a corpus."""

import json

from evaluation import supervision
from formats import sidecars


def test_supervision_of_a_run(tmp_path):
    assert supervision.of_run({"captions": "pairs:x.jsonl"}, str(tmp_path)) == "image-caption pairs"
    assert supervision.of_run({"captions": "fit"}, str(tmp_path)) is None
    assert supervision.of_run({}, str(tmp_path)) is None
    for encoder, expected in (({"kind": "minilm"}, "sentence pairs"), ({"kind": "tfidf"}, None), (None, None)):
        made_from = {"sentence_encoder": encoder} if encoder else {}
        (tmp_path / "neighbours.npz").write_bytes(b"x")
        path, files = str(tmp_path / "neighbours.json"), [str(tmp_path / "neighbours.npz")]
        sidecars.write_sidecar(path, files=files, count=1, settings={}, made_from=made_from)
        assert supervision.of_run({"captions": "fit"}, str(tmp_path)) == expected


def test_pairs_of_an_earlier_run_count(tmp_path):
    """--imcap_ckpt names the run or a checkpoint of it; choose_captions wrote the captions of a run to its folder."""
    for name, settings in (("paired", {"captions": "pairs:x.jsonl"}), ("own", {"captions": "fit"})):
        (tmp_path / name).mkdir()
        content = {"stage": "ImageCaption", "settings": settings | {"data_dir": "data"}, "facts": {}}
        (tmp_path / name / "config.json").write_text(json.dumps(content))
    told = lambda **settings: supervision.of_run(settings, str(tmp_path))  # noqa: E731
    assert (
        told(imcap_ckpt=f"{tmp_path}/paired") == told(imcap_ckpt=f"{tmp_path}/paired/ckpt-9") == "image-caption pairs"
    )
    assert told(captions=f"fit:{tmp_path}/paired/fit_captions.npz") == "image-caption pairs"
    assert told(imcap_ckpt=f"{tmp_path}/own", captions=f"fit:{tmp_path}/own/fit_captions.npz") is None
    assert told(imcap_ckpt=f"{tmp_path}/gone") is None
    chain = {"captions": "fit", "imcap_ckpt": f"{tmp_path}/paired", "data_dir": "data"}
    (tmp_path / "own" / "config.json").write_text(json.dumps({"stage": "ImageCaption", "settings": chain, "facts": {}}))
    assert told(imcap_ckpt=f"{tmp_path}/own") == "image-caption pairs"
