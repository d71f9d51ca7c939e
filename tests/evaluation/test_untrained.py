import json
import os
import random

import pytest

from cli import UserError
from evaluation import metrics, table, untrained
from evaluation.metrics import tokenizers
from formats import captions, concepts, records, vocabulary

OBJECTS = ["dog", "cat", "horse"]
OTHERS = "a the red runs sits on grass sofa two sleeps here".split()


def references_of(split, objects):
    return {
        f"{split}{i}.jpg": [
            f"a {objects[i % len(objects)]} runs on grass",
            f"the {objects[i % len(objects)]} sits here",
        ]
        for i in range(8)
    }


def write_references(path, references):
    annotations = [{"image_id": name, "caption": text} for name in references for text in references[name]]
    captions.write_json(path, {"images": [{"id": name} for name in references], "annotations": annotations})


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    """Writes records of a small corpus, and of eight images in each of two splits."""
    folder = tmp_path_factory.mktemp("data")
    words = vocabulary.Vocabulary(["<S>", "</S>", *OBJECTS, *OTHERS])
    words.save(str(folder / "word_counts.txt"))
    captions.write_json(folder / "concepts.json", {word: [word.title()] for word in OBJECTS})
    generator = random.Random(1)
    texts = [" ".join(generator.choices(OBJECTS + OTHERS, k=generator.randint(3, 8))) for _ in range(60)]
    texts += ["a dog runs on grass", "a cat runs on grass", "a horse runs on grass", "a unicorn runs on grass"]
    examples = []
    for text in texts:
        ids = words.encode(text.split())
        examples.append(records.sentence_example(sorted({i for i in ids if 2 <= i < 5}), [0, *ids, 1]))
    records.write_records(str(folder / "sentence.tfrec"), examples)
    for split, objects in (("val", ["dog", "cat"]), ("test", ["horse", "cat"])):
        references = references_of(split, objects)
        write_references(folder / f"refs_{split}.json", references)
        images = [
            records.image_example(name, b"jpeg", [words.id(objects[i % 2]), words.id("dog")], [0.9, 0.3])
            for i, name in enumerate(references)
        ]
        records.write_records(str(folder / f"image_{split}.tfrec"), images)
    return str(folder)


def brute_force(texts, references):
    """Returns the best constant caption by scoring each one with pycocoevalcap; all texts are tokenized."""
    from pycocoevalcap.cider.cider import Cider

    scores = [Cider().compute_score(references, dict.fromkeys(references, [text]))[0] for text in texts]
    return texts[scores.index(max(scores))], 100 * max(scores)


def test_corpus_is_the_records_without_unknown_words(data_dir):
    corpus = untrained.load_corpus(data_dir)
    assert len(corpus.texts) == 63 and "a dog runs on grass" in corpus.texts
    assert not any("unicorn" in text or "<" in text for text in corpus.texts)
    for text, key in zip(corpus.texts, corpus.keys, strict=True):
        assert key == tuple(sorted(set(text.split()) & set(OBJECTS)))


def test_random_is_a_function_of_the_seed():
    texts, names = [str(i) for i in range(1000)], [f"{i}.jpg" for i in range(200)]
    one = untrained.random_captions(names, texts, 1)
    assert one == untrained.random_captions(names, texts, 1) != untrained.random_captions(names, texts, 2)
    assert len(set(one.values())) > 150 and set(one.values()) <= set(texts)


def test_constant_is_the_brute_force_choice(data_dir):
    texts = list(dict.fromkeys(untrained.load_corpus(data_dir).texts))
    references = references_of("val", ["dog", "cat"])
    [(text, score)] = untrained.best_constant(texts, [references], tokenizers.find())
    expected, expected_score = brute_force(texts, references)
    assert text == expected and score == pytest.approx(expected_score)


def test_constant_on_one_split_is_chosen_on_the_other_half(data_dir):
    texts = untrained.load_corpus(data_dir).texts
    references = references_of("val", ["dog", "horse", "dog", "horse", "dog", "horse", "cat", "cat"])
    made, extra = untrained.constant_captions(texts, references, tokenizers.find())
    for half, other in ((0, 1), (1, 0)):
        best, _ = brute_force(list(dict.fromkeys(texts)), {n: references[n] for n in sorted(references)[other::2]})
        assert {made[name] for name in sorted(references)[half::2]} == {best}
    assert len(set(made.values())) == 2 and extra["chosen_on"] == "the other half"


def test_constant_on_test_is_chosen_on_validation(data_dir):
    texts = untrained.load_corpus(data_dir).texts
    test, val = references_of("test", ["horse"]), references_of("val", ["dog"])
    # n-grams that occur in every image have weight 0, so the words differ
    val["val0.jpg"] = ["a cat sleeps"]
    made, extra = untrained.constant_captions(texts, test, tokenizers.find(), val)
    assert len(set(made.values())) == 1 and "horse" not in set(made.values()).pop() and extra["chosen_on"] == "val"


def test_too_few_images_to_choose_on():
    with pytest.raises(UserError, match="at least 2 images"):
        untrained.best_constant(["a dog"], [{"x": ["a dog"]}], tokenizers.find())


def test_concepts_of_a_split(data_dir):
    found = concepts.load_concepts(data_dir, "test")
    assert found.words == set(OBJECTS) and found.singular["dogs"] == "dog"
    assert found.scores["test0.jpg"] == pytest.approx({"horse": 0.9, "dog": 0.3})
    assert found.image_words()["test0.jpg"] == {"horse"} and found.image_words(0.2)["test1.jpg"] == {"cat", "dog"}


def run(folder, table_path, **changes):
    options = {"table": str(table_path), "metrics": ("BLEU", "CIDEr"), "corpus": "toy"} | changes
    options.setdefault("data_dir", folder)
    untrained.main(untrained.Options(**options))
    return {row["row"]: row for row in table.read_table(table_path)}


def test_stage_makes_rows_and_captions_and_does_it_once(data_dir, tmp_path, capsys):
    path = tmp_path / "run" / "table.json"
    rows = run(data_dir, path, split="test")
    assert list(rows) == ["random", "constant", "retrieval"]
    assert all(row["split"] == "test" and row["corpus"] == "toy" and row["images"] == 8 for row in rows.values())
    assert rows["random"]["seed"] == 0 and rows["constant"]["seed"] is None
    assert rows["constant"]["unique"] == 1 / 8 and rows["constant"]["chosen_on"] == "val"
    assert rows["retrieval"]["class_recall"] == rows["retrieval"]["class_precision"] == 1.0
    made = captions.read_captions(path.parent / "retrieval_toy_test.json")
    assert all("horse" in made[f"test{i}.jpg"] for i in (0, 2)) and "cat" in made["test1.jpg"]
    references = captions.read_references(os.path.join(data_dir, "refs_test.json"))
    again = metrics.score(made, references, ("CIDEr",)).values["CIDEr"]
    assert rows["retrieval"]["CIDEr"] == pytest.approx(again, abs=1e-4)
    assert "retrieval" in capsys.readouterr().out

    before = path.read_bytes()
    run(data_dir, path, split="test")
    assert path.read_bytes() == before and capsys.readouterr().out.count("nothing to do") == 3
    rows = run(data_dir, path, split="test", threshold=0.2)
    assert rows["retrieval"]["made_from"]["threshold"] == 0.2 and "nothing to do" not in capsys.readouterr().out


def test_lost_captions_are_made_again(data_dir, tmp_path, capsys):
    path = tmp_path / "table.json"
    run(data_dir, path, rows=("random",), seed=4)
    made = tmp_path / "random_toy_val_seed4.json"
    content = made.read_bytes()
    made.unlink()
    run(data_dir, path, rows=("random",), seed=4)
    assert made.read_bytes() == content and "nothing to do" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"rows": ("best",)}, "--rows best"),
        ({"rows": ()}, "--rows"),
        ({"threshold": 1.5}, "--threshold 1.5"),
        ({"bonus": -1.0}, "--bonus"),
        ({"data_dir": "absent"}, "process_images"),
    ],
)
def test_wrong_use(data_dir, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        run(data_dir, tmp_path / "table.json", **changes)


def test_reference_without_image_record_is_named(data_dir):
    known = concepts.load_concepts(data_dir, "val")
    with pytest.raises(UserError, match=r"other\.jpg"):
        untrained.retrieval_captions(["other.jpg"], untrained.SentenceTexts(["a"], [()]), known, 0.5, 0.7)


def test_real_sentences_on_real_references():
    """On Flickr8k's development split, one COCO sentence for all images has a CIDEr of 11 to 13."""
    folder = os.environ.get("UIC_REALDATA", "../shared/realdata")
    corpus = os.path.join(folder, "corpora", "coco_val2017_sentences.txt")
    if not os.path.exists(corpus):
        pytest.skip(f"no real data at {folder}; set UIC_REALDATA")
    with open(os.path.join(folder, "flickr8k", "dev.txt")) as file:
        references = {line.strip(): [] for line in file}
    with open(os.path.join(folder, "flickr8k", "captions.token.txt")) as file:
        for line in file:
            name, text = line.rstrip("\n").split("\t")
            if name.split("#")[0] in references:
                references[name.split("#")[0]].append(text)
    with open(corpus) as file:
        texts = list(dict.fromkeys(line.strip() for line in file))
    [(text, score)] = untrained.best_constant(texts, [references], tokenizers.find())
    assert 11 < score < 13
    scored = metrics.score(dict.fromkeys(references, text), references, ("CIDEr",)).values["CIDEr"]
    assert scored == pytest.approx(score, rel=1e-9)
    drawn = metrics.score(untrained.random_captions(sorted(references), texts, 0), references, ("CIDEr",))
    assert 1.5 < drawn.values["CIDEr"] < 2.5
    assert json.loads(json.dumps(drawn.to_json()))["images"] == 1000
