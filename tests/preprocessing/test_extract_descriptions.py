"""extract_descriptions: input formats, deduplication, what is kept, and bytes that depend on the input alone."""

import hashlib
import json

import pytest

import cli
from preprocessing import extract_descriptions
from preprocessing.extract_descriptions import Options
from preprocessing.sharding import shards
from preprocessing.sources import corpus_files

LONG = "a dog and a cat play in the green park"  # ten tokens


def run(folder, **options):
    """Runs the stage into `folder`/out; returns (sentences, sidecar)."""
    options = {"data_dir": str(folder / "out"), "input": str(folder / "raw"), "processes": 1, **options}
    extract_descriptions.main(Options(**options))
    text = (folder / "out" / "sentences.txt").read_text()
    return text.split("\n")[:-1], json.loads((folder / "out" / "sentences.json").read_text())


@pytest.fixture
def raw(tmp_path):
    (tmp_path / "raw").mkdir()
    return tmp_path / "raw"


def test_every_input_format(raw, tmp_path):
    (raw / "a.txt").write_text(f"{LONG} 1\n{LONG} 2\r\n")
    objects = [{"category": "dog", "description": f"{LONG} 3"}, {"page": 1}, {"description": None}]
    (raw / "b.jsonl").write_text("\n".join(json.dumps(value) for value in objects) + "\n\n")
    dump = {"1": [{"description": f"{LONG} 4", "keywords": None}, {"name": "x"}], "2": []}
    (raw / "c.json").write_text(json.dumps(dump))
    (raw / "notes.md").write_text("not read")
    sentences, sidecar = run(tmp_path, shards=1)
    assert sentences == [f"{LONG} {i}" for i in range(1, 5)]
    counts = {"texts": 4, "without_description": 3, "unreadable": 0, "distinct_lines": 4, "kept": 4}
    assert sidecar["counts_read"] == counts and sidecar["unreadable"] == []
    assert sidecar["count"] == 4 and sorted(sidecar["made_from"]) == ["a.txt", "b.jsonl", "c.json"]
    assert sidecar["settings"]["tokenizer"] == "nltk_word" and sidecar["settings"]["nltk"]


def test_ascii_lines_and_global_deduplication(raw, tmp_path):
    (raw / "a.jsonl").write_text(
        "".join(
            json.dumps({"description": text}) + "\n"
            for text in [
                f"Café für Hunde: {LONG}",
                f"{LONG}\nCafe fur Hunde: {LONG}\nshort line",
                f"{LONG} \u6f22\u5b57",
            ]
        )
    )
    (raw / "b.txt").write_text(f"{LONG}\n{LONG.upper()}\n")
    sentences, sidecar = run(tmp_path, shards=1)
    # Exact repetitions go, before lower-casing; the line that lost its Chinese keeps a space at its end and is another.
    assert sentences == [LONG] * 3 + [f"cafe fur hunde : {LONG}"]
    assert sidecar["counts_read"]["distinct_lines"] == 5


def test_min_tokens_counts_real_tokens(raw, tmp_path):
    (raw / "a.txt").write_text("one two three four five six seven\none two three four five six seven .\n")
    assert run(tmp_path)[0] == ["one two three four five six seven ."]
    assert len(run(tmp_path, min_tokens=7, overwrite=True)[0]) == 2


@pytest.fixture
def corpus(raw):
    """Files that make several pieces and shards."""
    lines = [f"Sentence number {i % 700} is about a dog, a cat and {i % 30} birds." for i in range(1500)]
    (raw / "a.txt").write_text("\n".join(lines[:1000]))
    (raw / "b.jsonl").write_text("".join(json.dumps({"description": line}) + "\n" for line in lines[1000:]))
    return sorted({line.lower().replace(",", " ,").replace(".", " .") for line in lines})


def test_bytes_do_not_depend_on_the_number_of_processes(corpus, tmp_path):
    digests = set()
    for processes in (1, 2):
        sentences, sidecar = run(tmp_path, shards=5, processes=processes, overwrite=True)
        assert sorted(sentences) == corpus and sidecar["count"] == len(corpus)
        del sidecar["command"]
        digests.add(hashlib.sha256(json.dumps([sentences, sidecar]).encode()).hexdigest())
    assert len(digests) == 1


def test_shards_are_sorted_inside(corpus, tmp_path):
    sentences, _ = run(tmp_path, shards=3)
    descents = [i for i in range(1, len(sentences)) if sentences[i] < sentences[i - 1]]
    assert len(descents) == 2 and min(descents) > 200 and max(descents) < len(sentences) - 200


def test_complete_output_is_kept_and_other_settings_are_refused(corpus, raw, tmp_path, capsys):
    run(tmp_path)
    before = (tmp_path / "out" / "sentences.txt").stat().st_mtime_ns
    run(tmp_path)
    assert "nothing to do" in capsys.readouterr().out
    assert (tmp_path / "out" / "sentences.txt").stat().st_mtime_ns == before
    with pytest.raises(cli.UserError, match="(?s)min_tokens: 8 there, 5 wanted.*--overwrite"):
        run(tmp_path, min_tokens=5)
    (raw / "c.txt").write_text(LONG)
    with pytest.raises(cli.UserError, match="c.txt: None there"):
        run(tmp_path)
    assert run(tmp_path, overwrite=True)[1]["count"] == len(corpus) + 1
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["sentences.json", "sentences.txt"]


def test_finished_parts_are_used_again(corpus, tmp_path, monkeypatch, capsys):
    finished = []

    def fail_late(task, tokenise=extract_descriptions.tokenise):
        if task.shard == 3:
            raise OSError("disk full")
        finished.append(task.shard)
        return tokenise(task)

    with monkeypatch.context() as patch:
        patch.setattr(extract_descriptions, "tokenise", fail_late)
        with pytest.raises(OSError, match="disk full"):
            run(tmp_path, shards=5)
    assert finished == [0, 1, 2] and not (tmp_path / "out" / "sentences.txt").exists()
    splits = []
    original = extract_descriptions.tokenizers.tokenizer
    monkeypatch.setattr(
        extract_descriptions.tokenizers, "tokenizer", lambda *name: splits.append(name) or original(*name)
    )
    assert sorted(run(tmp_path, shards=5)[0]) == corpus
    assert "continuing" in capsys.readouterr().out
    assert len(splits) == 1 + 2  # the check at the start, then the two shards that were missing


# --------------------------------------------------------------------------------------------------------------
# Bad input


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("a.jsonl", b'{"description": "x"}\n{"description": \n', r"a\.jsonl: line 2: Expecting value"),
        ("a.jsonl", b'{"description": "x"}\n\n["x"]\n', r"a\.jsonl: line 3: expected an object"),
        ("a.jsonl", b'{"description": 7}\n', r"a\.jsonl: line 1: the description is not a text but '7'"),
        (
            "a.txt",
            b"one\ntwo \xff\xfe\n",
            r"a\.txt: line 2: byte 0xff at position 4 is not UTF-8; name the encoding by --encoding",
        ),
        ("a.json", b'{"1": [', r"a\.json: not a JSON file \(Expecting"),
        ("a.json", b'[{"description": "x"}]', r"a\.json: the format is not recognised; expected a crawl dump"),
        ("a.json", b'{"1": ["x"]}', r"a\.json: page 1, object 1: expected an object"),
        ("a.md", b"x", "expected files that end in .txt, .jsonl, .ndjson, .json"),
        ("a.txt", b"too short\n", "no sentence of at least 8 tokens in 1 texts"),
        ("a.txt", b"", "no sentence of at least 8 tokens in 0 texts"),
    ],
)
def test_bad_input_is_named(raw, tmp_path, name, content, message):
    (raw / name).write_bytes(content)
    with pytest.raises(cli.UserError, match=message):
        run(tmp_path)
    assert not (tmp_path / "out" / "sentences.txt").exists()


def test_the_line_number_is_that_of_the_file_in_a_late_piece(raw, tmp_path):
    (raw / "a.jsonl").write_text("".join(f'{{"description": "{LONG} {i}"}}\n' for i in range(100)) + "oops\n")
    with pytest.raises(cli.UserError, match=r"a\.jsonl: line 101: "):
        run(tmp_path, shards=7)


def test_bad_lines_are_named_counted_and_left_out_when_that_is_accepted(raw, tmp_path, capsys):
    lines = [json.dumps({"description": f"{LONG} {i}"}) for i in range(200)]
    lines[10:10] = ["oops"] * 30
    (raw / "a.jsonl").write_text("\n".join(lines))
    with pytest.raises(cli.UserError, match="30 of 230 texts cannot be read") as caught:
        run(tmp_path, shards=1, max_failures=0.1)
    message = str(caught.value)
    assert message.count("a.jsonl: line ") == 20 and "line 11: Expecting value" in message and "and 10 more" in message
    assert "--max_failures 0.131" in message and not (tmp_path / "out" / "sentences.txt").exists()
    sentences, sidecar = run(tmp_path, shards=1, max_failures=0.131)
    printed = capsys.readouterr().out
    assert "continuing" in printed and "NOTE: 30 of 230 texts cannot be read" in printed
    assert len(sentences) == 200 and sidecar["counts_read"]["unreadable"] == 30 and len(sidecar["unreadable"]) == 20


def test_a_named_format_is_a_setting(raw, tmp_path):
    (raw / "a.tsv").write_text("".join(f"{LONG} {i}\thttp://host/{i}.jpg\n" for i in range(3)))
    recognised, sidecar = run(tmp_path)
    assert recognised == [f"{LONG} {i}" for i in range(3)] and "formats" not in sidecar["settings"]
    with pytest.raises(cli.UserError, match="formats: None there"):
        run(tmp_path, input=f"text:{raw / 'a.tsv'}")
    sentences, sidecar = run(tmp_path, input=f"text:{raw / 'a.tsv'}", overwrite=True)
    assert sidecar["settings"]["formats"] == {"a.tsv": "text"} and all("http" in sentence for sentence in sentences)


def test_missing_input(tmp_path):
    with pytest.raises(cli.UserError, match="no such file or folder"):
        run(tmp_path, input=str(tmp_path / "none"))
    with pytest.raises(cli.UserError, match="names no file"):
        run(tmp_path, input="")


def test_a_file_that_the_stage_did_not_make_is_not_replaced(raw, tmp_path):
    (raw / "a.txt").write_text(LONG + "\n")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sentences.txt").write_text("mine\n")
    for _ in range(2):  # asking again does not help
        with pytest.raises(cli.UserError, match="this stage did not make it"):
            run(tmp_path)
    assert (tmp_path / "out" / "sentences.txt").read_text() == "mine\n"
    assert run(tmp_path, overwrite=True)[0] == [LONG]


def test_several_inputs_and_one_piece_for_a_crawl_dump(raw, tmp_path):
    (raw / "a.json").write_text(json.dumps({"1": [{"description": f"{LONG} {i}"} for i in range(50)]}))
    (tmp_path / "b.txt").write_text(LONG + "\n")
    files = [file.path for file in corpus_files.corpora_of(f"{raw},{tmp_path / 'b.txt'}")[0]]
    assert files == sorted([str(raw / "a.json"), str(tmp_path / "b.txt")])
    pieces = shards.cut(files, 100, is_whole=lambda path: path.endswith(".json"))
    assert [piece.path.rsplit("/")[-1] for piece in pieces] == sorted(["a.json", "b.txt"], key=lambda n: n == "a.json")
    assert len(run(tmp_path, input=f"{raw},{tmp_path / 'b.txt'}", shards=9)[0]) == 51
