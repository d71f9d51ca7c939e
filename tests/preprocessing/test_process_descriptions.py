"""process_descriptions: dictionary, plurals, what is dropped, the order, and bytes that depend on the input alone."""

import collections
import dataclasses
import json

import pytest

import cli
from formats import records, sidecars
from formats.vocabulary import Vocabulary
from preprocessing import process_descriptions
from preprocessing.process_descriptions import Options, Rules, encode_sentence
from preprocessing.sharding import shards
from preprocessing.sources.dictionaries import build_dictionary, naming, read_word_list

# --------------------------------------------------------------------------------------------------------------
# The dictionary


def test_dictionary_rule():
    counts = {"the": 90, "dog": 50, "rare": 39, "often": 40, "cat": 4, "cow": 3, "odd": 60, "horse": 60, "also": 40}
    word_list = set(counts) - {"odd", "horse"}
    words = build_dictionary(counts, 70, ["cat", "cow", "dog", "horse", "oboe"], 40, word_list)
    assert list(zip(words.words, words.counts, strict=True)) == [
        ("<S>", 70),  # markers first, whatever is more frequent
        ("</S>", 70),
        ("the", 90),
        ("dog", 50),
        ("also", 40),  # equal counts in alphabetical order
        ("often", 40),
        ("cat", 4),  # a concept word may be rare, but below four occurrences
        ("cow", 0),  # or outside the word list
        ("horse", 0),
        ("oboe", 0),  # or without occurrence it has count 0
    ]


def test_dictionary_without_word_list_and_with_a_small_minimum():
    words = build_dictionary({"a": 2, "b": 1, "dog": 1}, 3, ["dog"], 1)
    assert words.words == ["<S>", "</S>", "a", "b", "dog"] and words.counts == [3, 3, 2, 1, 1]


def test_word_list_takes_the_first_word_of_each_line(tmp_path):
    path = tmp_path / "glove.txt"
    path.write_text("the 0.1 -0.2\n, 3 4\n\ndog\n")
    assert read_word_list(str(path)) == {"the", ",", "dog"}
    with pytest.raises(cli.UserError, match="none.txt"):
        read_word_list(str(tmp_path / "none.txt"))


# --------------------------------------------------------------------------------------------------------------
# One sentence

WORDS = Vocabulary(["<S>", "</S>", "a", "dog", "cat", "and", "dogs", "play"])


def rules(**changes):
    fields = {"max_unknown": 0.15, "min_length": 0, "max_length": 0, **changes}
    return Rules({"dogs": "dog", "cats": "cat"}, {"puppy": "dog"}, frozenset(["dog", "cat"]), **fields)


def test_a_synonym_stays_in_the_text_and_names_its_concept():
    words = Vocabulary(["<S>", "</S>", "dog", "puppy", "a", "barks"])
    key, ids, _ = encode_sentence(["a", "puppy", "barks"], words, rules())
    assert key == [words.id("dog")] and ids == [0, words.id("a"), words.id("puppy"), words.id("barks"), 1]


def test_naming_by_synonyms_and_kept_plurals(tmp_path):
    path = tmp_path / "synonyms.txt"
    path.write_text("# comment\nperson: man woman\nunicorn: horse\ndog: puppy cat\n")
    options = Options(plurals="keep", synonyms=str(path))
    replaced, names = naming(options, ["person", "dog", "cat"])
    assert replaced == {}
    assert names["man"] == names["men"] == names["women"] == "person" and names["puppies"] == names["dogs"] == "dog"
    assert "horse" not in names and "cat" not in names  # no such concept; a concept of its own
    assert naming(dataclasses.replace(options, plurals="none", synonyms=None), ["dog"]) == ({}, {})


def test_encoding_replaces_plurals_and_finds_each_concept_word_once():
    key, ids, reason = encode_sentence("cats and a dog and dogs play".split(), WORDS, rules())
    assert (key, ids, reason) == ([3, 4], [0, 4, 5, 2, 3, 5, 3, 7, 1], "")
    assert encode_sentence(["a"], WORDS, rules())[:2] == ([], [0, 2, 1])


@pytest.mark.parametrize("length, unknown, kept", [(18, 3, True), (17, 3, False), (5, 1, True), (4, 1, False)])
def test_unknown_share_counts_the_markers(length, unknown, kept):
    # 3 of 18 + 2 tokens are exactly 15 %, which stays; 1 of 5 + 2 is 14.3 %, 1 of 4 + 2 is 16.7 %.
    tokens = ["a"] * (length - unknown) + ["flies"] * unknown
    key, ids, reason = encode_sentence(tokens, WORDS, rules())
    assert (ids is not None) == kept and reason == ("" if kept else "unknown")


def test_lengths_are_in_tokens():
    limits = rules(min_length=2, max_length=3)
    reasons = [encode_sentence(["a"] * n, WORDS, limits)[2] for n in range(6)]
    assert reasons == ["length", "length", "", "", "length", "length"]
    assert encode_sentence([], WORDS, rules())[2] == "length"


# --------------------------------------------------------------------------------------------------------------
# The stage


@pytest.fixture
def folder(tmp_path):
    """A data folder with sentences and class names."""
    subjects, places = ["a dog", "two dogs", "a cat", "someone"], ["park", "street", "kitchen", "zoo"]
    sentences = [
        f"{subject} and {i % 25} birds in the {place} at {i if i % 3 else 3} o'clock"
        for i, (subject, place) in enumerate([(s, p) for s in subjects for p in places] * 40)
    ]
    (tmp_path / "sentences.txt").write_text("".join(f"{sentence}\n" for sentence in sentences))
    (tmp_path / "classes.txt").write_text("Dog\nHot dog\nCat\nBird\nOboe\n")
    return tmp_path


def run(folder, **options):
    """Runs the stage; returns (Vocabulary, records as list of (key words, sentence words), sidecar)."""
    options = {
        "data_dir": str(folder),
        "class_names": str(folder / "classes.txt"),
        "new_dict": True,
        "min_word_count": 20,
        "processes": 1,
        **options,
    }
    process_descriptions.main(Options(**options))
    words = Vocabulary.load(str(folder / "word_counts.txt"))
    read = records.read_sentences(records.find_files(str(folder), "sentence"))
    found = []
    for i in range(len(read)):
        key = read.key_flat[read.key_offsets[i] : read.key_offsets[i + 1]]
        ids = read.flat[read.offsets[i] : read.offsets[i + 1]]
        assert ids[0] == 0 and ids[-1] == 1
        found.append((frozenset(words.word(id) for id in key), " ".join(words.word(id) for id in ids[1:-1])))
    return words, found, json.loads((folder / "sentence.json").read_text())


def digests(folder):
    """sha256 of every output; in the sidecars without the command."""
    found = {}
    for path in sorted(folder.glob("*")):
        if path.suffix == ".json":
            content = json.loads(path.read_text())
            content.pop("command", None)
            found[path.name] = json.dumps(content, sort_keys=True)
        elif path.is_file():
            found[path.name] = sidecars.fingerprint(path)["sha256"]
    return found


def test_outputs(folder):
    words, found, sidecar = run(folder, shards=3)
    assert words.id("dogs") < words.unknown_id and words.id("oboe") == words.unknown_id - 1
    assert len(found) == 640 == sidecar["count"] == sum(entry["count"] for entry in sidecar["files"])
    assert [entry["name"] for entry in sidecar["files"]] == [f"sentence-0000{i}-of-00003.tfrec" for i in range(3)]
    number = collections.Counter()
    for key, text in found:
        assert key == {"bird"} | {"dog", "cat"}.intersection(text.split())
        assert "dogs" not in text.split() and "birds" not in text.split()
        number[" ".join(text.split()[:2])] += 1
    assert number == {"a dog": 160, "two dog": 160, "a cat": 160, "someone and": 160}
    assert 400 < sum("<UNK>" in text for _, text in found) < 640  # most of the hours are rare words
    assert json.loads((folder / "concepts.json").read_text()) == {
        "bird": ["Bird"],
        "cat": ["Cat"],
        "dog": ["Dog", "Hot dog"],
        "oboe": ["Oboe"],
    }
    assert sidecar["vocabulary"] == words.fingerprint()
    assert sidecar["plurals"] == {"birds": "bird", "cats": "cat", "dogs": "dog", "oboes": "oboe"}
    assert sidecar["sentences"] == {"count": 640, "with_concept": 640, "dropped_length": 0, "dropped_unknown": 0}
    assert not (folder / ".process_descriptions").exists()


def test_counts_are_taken_before_plurals_are_replaced(folder):
    words, _, _ = run(folder)
    counts = dict(zip(words.words, words.counts, strict=True))
    assert (counts["dogs"], counts["dog"], counts["birds"], counts["bird"]) == (160, 160, 640, 0)
    assert counts["<S>"] == counts["</S>"] == 640


def test_one_shard_is_one_file_and_the_order_is_the_same_for_any_division(folder):
    orders = []
    for count in (1, 2, 5):
        orders.append(run(folder, shards=count, overwrite=True)[1])
        assert len(list(folder.glob("sentence*.tfrec"))) == count  # the files of the earlier division are gone
        assert (folder / "sentence.tfrec").exists() == (count == 1)
    assert orders[0] == orders[1] == orders[2]


def test_any_range_of_the_records_is_a_random_sample(folder):
    _, found, _ = run(folder, shards=2)
    for start in (0, 160, 320, 480):
        part = found[start : start + 160]
        assert 20 <= sum(text.startswith("someone") for _, text in part) <= 60  # 40 expected, deviation 5.5


def test_bytes_do_not_depend_on_the_number_of_processes(folder):
    run(folder, shards=4, processes=1)
    first = digests(folder)
    run(folder, shards=4, processes=2, overwrite=True)
    assert digests(folder) == first and len(first) == 4 + 3 + 4


def test_filters(folder):
    _, found, sidecar = run(folder, max_unknown=0.0)
    assert 0 < len(found) == sidecar["count"] < 640
    assert sidecar["sentences"]["dropped_unknown"] == 640 - len(found) and all("<UNK>" not in text for _, text in found)
    _, found, sidecar = run(folder, min_length=11, overwrite=True)
    lengths = collections.Counter(len(line.split()) for line in (folder / "sentences.txt").open())
    assert sidecar["sentences"]["dropped_length"] == lengths[10] and len(found) == lengths[11]


def test_only_sentences_with_certain_words_are_counted_and_kept(folder):
    (folder / "wanted.txt").write_text("zoo\ncat\nwalrus\n")
    every = (folder / "sentences.txt").read_text().splitlines()
    wanted = [line for line in every if {"zoo", "cat"} & set(line.split())]
    words, found, sidecar = run(folder, only_with=str(folder / "wanted.txt"), max_unknown=1.0)
    assert 0 < len(found) == sidecar["count"] == len(wanted) < len(every)
    assert words.counts[words.id("street")] == sum("street" in line.split() for line in wanted)
    assert words.counts[0] == len(wanted)


def test_existing_dictionary_is_used_as_it_is(folder, tmp_path, capsys):
    dictionary = "<S> 9\n</S> 9\nand 5\na 4\ntwo 4\nin 3\nthe 3\nat 3\no'clock 3\npark 2\ncat 1\nbird 1\nbirds 1"
    (folder / "authors.txt").write_text(dictionary)
    words, found, sidecar = run(
        folder, new_dict=False, word_counts=str(folder / "authors.txt"), max_unknown=0.5, plurals="none"
    )
    assert (folder / "word_counts.txt").read_text() == dictionary
    assert sidecar["concepts_left_out"] == ["dog", "oboe"] and sidecar["plurals"] == {}
    assert "2 concept words are not in" in capsys.readouterr().out
    assert set(json.loads((folder / "concepts.json").read_text())) == {"bird", "cat"}
    assert {key for key, _ in found} == {frozenset(), frozenset(["cat"])}  # "birds" stays
    # The dictionary in the data folder is the default from then on.
    run(folder, new_dict=False, max_unknown=0.5, plurals="none")
    assert "nothing to do" in capsys.readouterr().out


def test_complete_output_is_kept_and_other_input_is_refused(folder, capsys):
    run(folder)
    before = digests(folder)
    run(folder)
    assert "nothing to do" in capsys.readouterr().out and digests(folder) == before
    for change in ({"min_word_count": 5}, {"plurals": "none"}, {"max_length": 30}, {"shards": 2}):
        with pytest.raises(cli.UserError, match=f"(?s){next(iter(change))}: .* there, .*--overwrite"):
            run(folder, **change)
    (folder / "classes.txt").write_text("Dog\n")
    with pytest.raises(cli.UserError, match="class_names: "):
        run(folder)
    assert set(run(folder, overwrite=True)[2]["plurals"]) == {"dogs"}


def test_damaged_output_is_made_again(folder, capsys):
    run(folder, shards=2)
    before = digests(folder)
    (folder / "sentence-00001-of-00002.tfrec").write_bytes(b"")
    run(folder, shards=2)
    assert "making it again" in capsys.readouterr().out and digests(folder) == before
    (folder / "concepts.json").unlink()
    run(folder, shards=2)
    assert "concepts.json is missing; making it again" in capsys.readouterr().out and digests(folder) == before


def test_finished_shards_are_used_again(folder, monkeypatch, capsys):
    run(folder, shards=4)
    before = digests(folder)
    for path in list(folder.glob("sentence*.tfrec")) + list(folder.glob("*.json")) + [folder / "word_counts.txt"]:
        path.unlink()
    encoded = []

    def encode(task, original=process_descriptions.encode):
        if len(encoded) == 2:
            raise OSError("disk full")
        encoded.append(task.shard)
        return original(task)

    with monkeypatch.context() as patch:
        patch.setattr(process_descriptions, "encode", encode)
        with pytest.raises(OSError, match="disk full"):
            run(folder, shards=4)
    assert encoded == [0, 1] and not (folder / "sentence.json").exists()
    written = []
    monkeypatch.setattr(
        records,
        "write_records",
        lambda path, data, write=records.write_records: written.append(path) or write(path, data),
    )
    run(folder, shards=4)
    assert "continuing" in capsys.readouterr().out and len(written) == 2 and digests(folder) == before


@pytest.mark.parametrize("last", ["word_counts.json", "sentence.json"])
def test_an_end_among_the_last_steps_is_mended(folder, monkeypatch, last):
    run(folder, shards=2)
    before = digests(folder)

    def write_sidecar(path, write=sidecars.write_sidecar, **fields):
        if path.endswith(last):
            raise OSError("disk full")
        write(path, **fields)

    with monkeypatch.context() as patch:
        patch.setattr(sidecars, "write_sidecar", write_sidecar)
        with pytest.raises(OSError, match="disk full"):
            run(folder, shards=2, overwrite=True)
    assert not (folder / "sentence.json").exists()
    run(folder, shards=2)
    assert digests(folder) == before


# --------------------------------------------------------------------------------------------------------------
# Mistakes


@pytest.mark.parametrize(
    "options, message",
    [
        ({"max_unknown": 1.5}, "--max_unknown 1.5"),
        ({"min_length": -1}, "no negative numbers"),
        ({"word_counts": "x.txt"}, "give only one of them"),
        ({"new_dict": False, "word_list": "x.txt"}, "add --new_dict"),
        ({"new_dict": False}, "word_counts.txt: no such file.*--new_dict"),
        ({"class_names": "none.txt"}, "none.txt: no such file"),
        ({"plurals": "none.json"}, "none.json: no such file; expected a JSON table for --plurals"),
        ({"word_list": "none.txt"}, "none.txt: no such file"),
        ({"max_length": 3}, "no sentence is left, 0 have too many unknown words and 640 the wrong length"),
    ],
)
def test_mistakes_are_named(folder, options, message):
    with pytest.raises(cli.UserError, match=message):
        run(folder, **options)
    assert not (folder / "sentence.json").exists()


def test_missing_or_damaged_sentences(folder):
    sentences = folder / "sentences.txt"
    sidecars.write_sidecar(str(folder / "sentences.json"), files=[str(sentences)], count=640, settings={}, made_from={})
    sentences.write_text(sentences.read_text()[:100])
    with pytest.raises(cli.UserError, match="sentences.txt has 100 bytes, not.*extract_descriptions"):
        run(folder)
    (folder / "sentences.json").unlink()
    sentences.unlink()
    with pytest.raises(cli.UserError, match="sentences.txt: no such file.*extract_descriptions"):
        run(folder)


@pytest.mark.parametrize("name", ["sentence.tfrec", "word_counts.txt"])
def test_files_that_the_stage_did_not_make_are_not_replaced(folder, name):
    (folder / name).write_text("released by the authors")
    for _ in range(2):  # asking again does not help
        with pytest.raises(cli.UserError, match=f"{name} exists without .*this stage did not make it"):
            run(folder)
    assert (folder / name).read_text() == "released by the authors"
    assert len(run(folder, overwrite=True)[1]) == 640


def test_shards_hold_the_sentences_of_their_hash(folder):
    run(folder, shards=4, plurals="none", max_unknown=1.0, min_word_count=1)
    words = Vocabulary.load(str(folder / "word_counts.txt"))
    for i in range(4):
        read = records.read_sentences([shards.shard_path(str(folder), "sentence", i, 4)])
        for j in range(len(read)):
            text = words.decode(read.flat[read.offsets[j] : read.offsets[j + 1]])
            assert shards.shard_of(text, 4) == i
