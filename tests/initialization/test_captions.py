"""Pseudo captions: which concepts are told, same bytes again and after an interruption, how they join the images."""

import dataclasses
import json
import os
import shutil

import numpy as np
import pytest

import cli
import config
from formats import records
from formats.vocabulary import Vocabulary
from initialization import caption_records, eval_obj2sen, gen_obj2sen_caption
from initialization.object_captioner import ObjectCaptioner
from initialization.pseudo_captions import load_captions
from models.concepts import select_concepts
from training import checkpoints


def images_of(trained):
    return records.read_images(records.find_files(trained.data, "image_train"))


def vocabulary_of(trained):
    return Vocabulary.load(os.path.join(trained.data, "word_counts.txt"))


# --------------------------------------------------------------------------------------------------------------
# Which concepts are told


@pytest.mark.parametrize(
    "semantics, threshold, expected",
    [
        ("reference", 0.0, [15, 14, 13, 12, 11]),  # stored a b c d e f g: told e d c b a (quirk Q7)
        ("fixed", 0.0, [15, 16, 17, 14, 12]),
        ("reference", 0.55, [17, 16, 14, 12, 0]),
        ("fixed", 0.65, [17, 14, 12, 0, 0]),
        ("fixed", 0.95, [0, 0, 0, 0, 0]),
    ],
)
def test_reads_concepts(semantics, threshold, expected):
    classes = np.array([[11, 12, 13, 14, 15, 16, 17, 99]], np.int32)
    scores = np.array([[0.3, 0.9, 0.4, 0.8, 0.5, 0.6, 0.7, 1.0]], np.float32)
    keys, lengths = select_concepts(classes, scores, np.array([7]), semantics, threshold)
    np.testing.assert_array_equal(keys, [expected])
    np.testing.assert_array_equal(lengths, [sum(word > 0 for word in expected)])


def test_rows_of_images(trained):
    captioner, images = ObjectCaptioner.from_run(trained.obj2sen), images_of(trained)
    rows = captioner.rows_of(images)
    for row, start, end in zip(rows, images.class_offsets[:-1], images.class_offsets[1:], strict=True):
        assert row.tolist() == images.class_flat[start:end].tolist() + [0] * (5 - (end - start))
    assert not captioner.rows_of(images, threshold=0.95).any()


# --------------------------------------------------------------------------------------------------------------
# gen_obj2sen_caption


@pytest.fixture
def sharded(trained, tmp_path):
    """A data folder like the tiny world's, whose training images are in three files."""
    data = tmp_path / "data"
    shutil.copytree(trained.data, data)
    for name in ("image_train.tfrec", "image_train.json"):
        (data / name).unlink()
    for path in data.glob("*_captions*"):
        path.unlink()
    examples = [data for _, _, data in records.read_examples(os.path.join(trained.data, "image_train.tfrec"))]
    for i in range(3):
        records.write_records(str(data / f"image_train-{i:05d}-of-00003.tfrec"), examples[15 * i : 15 * i + 15])
    return str(data)


def files_of(data):
    found = {}
    for name in sorted(os.listdir(data)):
        if name.startswith("obj2sen_captions"):
            with open(os.path.join(data, name), "rb") as file:
                found[name] = file.read()
    return found


def test_the_same_bytes_again_and_after_an_interruption(trained, sharded, monkeypatch):
    options = gen_obj2sen_caption.Options(job_dir=trained.obj2sen, data_dir=sharded, batch_size=4)
    gen_obj2sen_caption.main(options)
    first = files_of(sharded)
    assert list(first) == [f"obj2sen_captions-0000{i}-of-00003.tfrec" for i in range(3)] + ["obj2sen_captions.json"]
    for name in first:
        os.remove(os.path.join(sharded, name))

    write = records.write_records
    monkeypatch.setattr(records, "write_records", _failing_after(write, 2))
    with pytest.raises(KeyboardInterrupt):
        gen_obj2sen_caption.main(options)
    finished = [name for name in os.listdir(os.path.join(sharded, ".obj2sen_captions")) if name.endswith(("00", "01"))]
    assert len(finished) == 2 and not files_of(sharded)

    written = []
    monkeypatch.setattr(records, "write_records", lambda path, examples: written.append(path) or write(path, examples))
    gen_obj2sen_caption.main(options)
    assert len(written) == 1 and files_of(sharded) == first
    assert not os.path.exists(os.path.join(sharded, ".obj2sen_captions"))

    gen_obj2sen_caption.main(options)  # complete: nothing to do
    assert len(written) == 1


def _failing_after(write, count):
    done = []

    def interrupted(path, examples):
        if len(done) == count:
            raise KeyboardInterrupt
        done.append(path)
        return write(path, examples)

    return interrupted


def test_captions_name_their_images_and_batches_do_not_matter(trained, sharded):
    captioner = ObjectCaptioner.from_run(trained.obj2sen, "best")
    names, flat, offsets = records.read_captions(records.find_files(trained.data, "obj2sen_captions"))
    images = images_of(trained)
    assert names == images.names
    rows = captioner.rows_of(images)
    for i in (0, 1, 7):
        [[alone, *_]] = captioner.caption_vectors(rows[i : i + 1], "beam3", batch=1)
        assert flat[offsets[i] : offsets[i + 1]].tolist() == list(alone.words)
        assert not {0, 1} & set(alone.words)


def _options(trained, **changes):
    return gen_obj2sen_caption.Options(job_dir=trained.obj2sen, **changes)


def test_another_checkpoint_needs_overwrite(trained, sharded):
    options = _options(trained, data_dir=sharded, checkpoint="4", decode="greedy")
    gen_obj2sen_caption.main(options)
    with pytest.raises(cli.UserError, match=r"checkpoint: \w+ there, \w+ wanted\nAdd --overwrite"):
        gen_obj2sen_caption.main(dataclasses.replace(options, checkpoint="8"))


def test_a_run_of_another_stage_is_refused(trained):
    with pytest.raises(cli.UserError, match="a run of SentenceAutoEncoder, expected one of initialization.obj2sen"):
        gen_obj2sen_caption.main(gen_obj2sen_caption.Options(job_dir=trained.sentence_ae))


def test_objects_of_another_dictionary_are_refused(trained, sharded):
    with open(os.path.join(sharded, "word_counts.txt"), "a") as file:
        file.write("zebra 1\n")
    with pytest.raises(cli.UserError, match="not the dictionary of the run .15 words there, 14 in the run"):
        gen_obj2sen_caption.main(_options(trained, data_dir=sharded))


# --------------------------------------------------------------------------------------------------------------
# eval_obj2sen


def test_eval_obj2sen_ranks_and_adds_the_row(trained, tmp_path):
    job_dir = str(shutil.copytree(trained.obj2sen, tmp_path / "obj2sen"))
    options = eval_obj2sen.Options(job_dir=job_dir, metrics=("BLEU", "CIDEr"), corpus="tiny")
    eval_obj2sen.main(options)
    ranking = json.loads((tmp_path / "obj2sen" / "b34.json").read_text())
    assert sorted(entry[0] for entry in ranking) == ["4", "8"]
    [row] = json.loads((tmp_path / "table.json").read_text())
    assert (row["row"], row["corpus"], row["split"], row["images"]) == ("con2sen", "tiny", "val", 20)
    assert row["checkpoint"].endswith(f"ckpt-{ranking[-1][0]}")
    captions = json.loads((tmp_path / "obj2sen" / f"val_{ranking[-1][0]}.json").read_text())
    assert len(captions) == 20 and checkpoints.choose(trained.obj2sen).why == "minimum validation loss"
    best = checkpoints.choose(job_dir)
    assert (best.prefix, best.why) == (row["checkpoint"], "best by BLEU-3 + BLEU-4")


# --------------------------------------------------------------------------------------------------------------
# What im_caption learns from


def imcap(trained, **changes):
    return config.ImageCaption(data_dir=trained.data, **changes)


def test_images_without_objects_are_left_out(trained):
    images = images_of(trained)
    found = load_captions(imcap(trained), images, vocabulary_of(trained))
    objects = np.diff(images.class_offsets)
    assert [len(several) for several in found.captions] == [int(n > 0) for n in objects]
    assert found.notes == [f"{int((objects > 0).sum())} captions of 34 images; 6 images are left out"]


def test_captions_are_joined_by_name(trained, tmp_path):
    images, vocabulary = images_of(trained), vocabulary_of(trained)
    path = str(tmp_path / "mine.tfrec")
    write = [records.caption_example([2, 3], images.names[4]), records.caption_example([2, 4, 6], images.names[1])]
    records.write_records(path, [*write, records.caption_example([2], "stranger.jpg")])
    found = load_captions(imcap(trained, captions=str(tmp_path / "mine")), images, vocabulary)
    assert found.captions[4][0].tolist() == [2, 3] and found.captions[1][0].tolist() == [2, 4, 6]
    assert sum(map(len, found.captions)) == 2
    assert "1 captions belong to images that are not training images" in found.notes[0]


def test_captions_without_names_are_joined_by_position(trained, tmp_path):
    images, vocabulary = images_of(trained), vocabulary_of(trained)
    options = imcap(trained, captions=str(tmp_path / "theirs"))
    records.write_records(str(tmp_path / "theirs.tfrec"), [records.caption_example([2, i % 5]) for i in range(40)])
    found = load_captions(options, images, vocabulary)
    assert found.captions[8][0].tolist() == [2, 3] and "joined by position" in found.notes[0]
    records.write_records(str(tmp_path / "theirs.tfrec"), [records.caption_example([2])] * 39)
    with pytest.raises(cli.UserError, match="39 captions without image names, but 40 training images"):
        load_captions(options, images, vocabulary)


def test_captions_of_another_dictionary_are_refused(trained, tmp_path):
    data = str(shutil.copytree(trained.data, tmp_path / "data"))
    with open(os.path.join(data, "word_counts.txt"), "a") as file:
        file.write("zebra 1\n")
    trained = type(trained)(data=data)
    with pytest.raises(cli.UserError, match="another dictionary.*gen_obj2sen_caption --data_dir .* --overwrite"):
        load_captions(imcap(trained), images_of(trained), vocabulary_of(trained))
    records.write_records(os.path.join(data, "mine.tfrec"), [records.caption_example([2, 15])] * 40)
    with pytest.raises(cli.UserError, match="word id 15 is not in the dictionary of 15 words"):
        load_captions(imcap(trained, captions="mine"), images_of(trained), vocabulary_of(trained))


def test_several_retrieved_captions_of_an_image(trained):
    found = load_captions(imcap(trained, captions="retrieved"), images_of(trained), vocabulary_of(trained))
    assert {len(several) for several in found.captions} == {0, 2}


def test_true_pairs_are_made_into_ids_as_the_corpus_was(trained, tmp_path):
    """Lower case, singular nouns, no accents; captions with more than 15 % unknown words are left out."""
    path = tmp_path / "pairs.jsonl"
    texts = [
        "A Dóg runs on the grass",
        "Cats runs on the red grass",
        "a dog flies over it",
        "the small bird of grass sleeps on the red cat",
    ]
    lines = [{"image": "train_001.jpg", "captions": texts}, {"image": "val_000.jpg", "captions": texts}]
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    vocabulary = vocabulary_of(trained)
    found = load_captions(imcap(trained, captions=f"pairs:{path}"), images_of(trained), vocabulary)
    row = images_of(trained).names.index("train_001.jpg")
    assert [vocabulary.decode(ids) for ids in found.captions[row]] == [
        "a dog runs on the grass",
        "cat runs on the red grass",
        "the small bird <UNK> grass sleeps on the red cat",
    ]
    assert sum(map(len, found.captions)) == 3
    assert "1 captions with too many unknown words" in found.notes[0] and "1 images" in found.notes[1]


def test_long_captions_are_left_out_and_none_left_is_an_error(trained):
    options = imcap(trained, captions="retrieved", max_sentence_length=9)
    found = load_captions(options, images_of(trained), vocabulary_of(trained))
    assert 0 < max(len(ids) for several in found.captions for ids in several) <= 7
    with pytest.raises(cli.UserError, match="none of 40 training images has a caption"):
        load_captions(dataclasses.replace(options, max_sentence_length=4), images_of(trained), vocabulary_of(trained))


def test_the_digest_tells_captions_apart(trained):
    images, vocabulary = images_of(trained), vocabulary_of(trained)
    retrieved = load_captions(imcap(trained, captions="retrieved"), images, vocabulary)
    generated = load_captions(imcap(trained), images, vocabulary)
    again = load_captions(imcap(trained), images, vocabulary)
    assert generated.digest() == again.digest() != retrieved.digest()


def test_the_sidecar_says_what_was_made(trained):
    sidecar = json.loads(open(os.path.join(trained.data, "obj2sen_captions.json")).read())
    assert (sidecar["count"], sidecar["images"], sidecar["without_caption"]) == (40, 40, 0)
    _, flat, offsets = records.read_captions(records.find_files(trained.data, "obj2sen_captions"))
    assert sidecar["distinct"] == len({tuple(flat[a:b]) for a, b in zip(offsets[:-1], offsets[1:], strict=True)})
    assert (
        set(sidecar["made_from"]) == {"checkpoint", "images"}
        and caption_records._content(trained.data, []) == sidecar["made_from"]["images"]
    )
