"""The column `supervision`: what a run had beyond a detector and a corpus."""

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
