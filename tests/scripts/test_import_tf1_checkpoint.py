"""Checkpoints of the authors' program become runs with the same captions and Adam state, and training continues."""

import dataclasses
import json
import os
import shlex
import shutil

import numpy as np
import pytest
import tensorflow as tf

import cli
import config
import eval_test
import experiments
import train
from captioning.run_content import encoder_of_run
from formats import captions, records
from formats.sidecars import fingerprint, write_json
from formats.vocabulary import Vocabulary
from models.encoders import inception_v4
from scripts import import_tf1_checkpoint as importer
from tests import sidecar_edits, tiny_runs, tiny_world
from tests.parity import golden_files
from training import checkpoints
from training.run_directory import read_config, read_options

BETA1 = {"full": 0.5, "sentence_gan": 0.5, "obj2sen": 0.9, "sentence_ae": 0.9, "im_caption": 0.9}
SUFFIX = "/.ATTRIBUTES/VARIABLE_VALUE"


def found():
    """Returns [(stage, path of the index)] of all golden checkpoints."""
    paths = {}
    for folder in reversed(golden_files.folders()):
        for path in folder.glob("checkpoints/*/model.ckpt-*.index"):
            paths[path.parent.name] = path
    return sorted(paths.items())


CHECKPOINTS = dict(found())
WORDS = CHECKPOINTS["full"].parents[1] / "word_counts.txt"


def arguments(path, job_dir, **changes):
    path = str(path)
    stage = os.path.basename(os.path.dirname(path))
    given = {"checkpoint": path.removesuffix(".index"), "word_counts": str(WORDS), "job_dir": str(job_dir)}
    given |= {"stage": stage} if stage in ("obj2sen", "sentence_ae") else {}
    return importer.Options(**given | changes)


def contents(path):
    """Returns dict name -> array of a TF1 checkpoint."""
    reader = tf.train.load_checkpoint(str(path).removesuffix(".index"))
    return {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}


def write(folder, arrays, step=6):
    """Writes a TF1 checkpoint with these variables; returns its prefix."""
    os.makedirs(folder, exist_ok=True)
    prefix = os.path.join(folder, f"model.ckpt-{step}")
    tensors = [tf.constant(value) for value in arrays.values()]
    tf.raw_ops.SaveV2(prefix=prefix, tensor_names=list(arrays), shape_and_slices=[""] * len(arrays), tensors=tensors)
    return prefix


# --------------------------------------------------------------------------------------------------------------
# What is imported


@pytest.mark.parametrize("stage", CHECKPOINTS)
def test_weights_slots_and_step(stage, tmp_path):
    importer.main(arguments(CHECKPOINTS[stage], tmp_path / "run"))
    golden, run = contents(CHECKPOINTS[stage]), str(tmp_path / "run")
    assert checkpoints.steps_in(run) == [int(golden["global_step"])]
    weights = {name: value for name, value in golden.items() if name.startswith(("Generator/", "Discriminator/"))}
    weights = {name: value for name, value in weights.items() if "/Adam" not in name}
    ours = {name: v for name, v in checkpoints.read_variables(run).items() if not name.startswith("Standardise/")}
    assert ours.keys() == weights.keys()
    for name, value in weights.items():
        np.testing.assert_array_equal(ours[name], value, err_msg=name)

    saved = tiny_runs.tensors(run, int(golden["global_step"]))
    slots = [value for name, value in saved.items() if "/_variables/" in name]
    theirs = [value for name, value in golden.items() if "/Adam" in name]
    key = lambda value: (value.shape, value.tobytes())  # noqa: E731
    assert sorted(map(key, slots)) == sorted(map(key, theirs)) and len(theirs) == 2 * len(weights)
    updates = [int(value) for name, value in sorted(saved.items()) if "/_iterations/" in name]
    powers = [float(value) for name, value in sorted(golden.items()) if name.endswith("beta1_power")]
    assert updates == [round(np.log(power) / np.log(BETA1[stage])) - 1 for power in powers]


def test_each_slot_stands_beside_its_variable(tmp_path):
    """The next update from the imported state equals TF1's."""
    arrays = contents(CHECKPOINTS["full"])
    options = config.FullModel(semantics="reference", emb_dim=32, mem_dim=32, gen_lr=1e-3, dis_lr=1e-3)
    objective, optimizers = importer.build("full", options, 61, 1536)
    importer.hand_over(objective, optimizers, arrays, arguments(CHECKPOINTS["full"], tmp_path))
    for name, (variables, scope) in optimizers.items():
        rng = np.random.default_rng(0)
        gradients = [rng.normal(size=variable.shape).astype(np.float32) for variable in variables]
        objective.checkpointed()[name].apply([tf.constant(gradient) for gradient in gradients], variables)
        powers = [float(arrays[f"{scope}beta{i}_power"]) for i in (1, 2)]
        rate = 1e-3 * np.sqrt(1 - powers[1]) / (1 - powers[0])
        for variable, gradient in zip(variables, gradients, strict=True):
            key = variable.name.split(":")[0]
            m = 0.5 * arrays[f"{key}/Adam"] + 0.5 * gradient
            v = 0.999 * arrays[f"{key}/Adam_1"] + 0.001 * gradient**2
            np.testing.assert_allclose(variable, arrays[key] - rate * m / (np.sqrt(v) + 1e-8), atol=2e-7, err_msg=key)


@pytest.mark.parametrize("updates", [0, 1, 6, 400, 10_000, 65_000, 200_000])
def test_the_number_of_updates_from_the_beta_power(updates):
    power = np.float32(0.999)
    for _ in range(updates):
        power *= np.float32(0.999)
    assert importer.updates_made(float(power), updates) == updates
    if 0 < updates <= 400:
        assert importer.updates_made(float(power), 3 * updates + 50) == updates, "an optimizer that started later"


def test_settings_of_the_run(tmp_path, capsys):
    importer.main(arguments(CHECKPOINTS["full"], tmp_path / "run", settings=("batch_size=8", "gen_lr=1e-4")))
    options = read_options(str(tmp_path / "run"), config.FullModel)
    assert (options.semantics, options.emb_dim, options.mem_dim, options.images) == ("reference", 32, 32, "bank")
    assert (options.batch_size, options.gen_lr, options.dis_lr) == (8, 1e-4, 1e-3)
    [line] = [line for line in capsys.readouterr().out.splitlines() if line.startswith("train on with: ")]
    words = shlex.split(line.removeprefix("train on with: "))
    assert words[:3] == ["python", "train.py", "--recipe=coco_shutterstock/full"]
    again = cli.parse(config.FullModel, words[2:], experiments.Rows())
    assert dataclasses.replace(again, data_dir=options.data_dir) == options
    assert Vocabulary.load(str(tmp_path / "run" / "vocabulary.txt")).size == 61


# --------------------------------------------------------------------------------------------------------------
# What can be done with the run


def write_bank(folder, split, names, vectors, encoder=tiny_world.ENCODER):
    """Writes a feature bank of centre crops in float32, because the golden captions were made from float32 vectors."""
    tiny_world.write_features(folder, split, names, vectors[:, None], encoder)
    path = os.path.join(folder, f"features_{split}")
    np.save(path + ".npy", vectors[:, None].astype(np.float32))
    with open(path + ".json") as file:
        sidecar = json.load(file)
    sidecar["files"] = [fingerprint(path + ".npy")]
    sidecar_edits.rewrite(path + ".json", sidecar)


@pytest.fixture(scope="module")
def golden_world(tmp_path_factory):
    """A data folder whose images are the golden vectors."""
    folder = str(tmp_path_factory.mktemp("golden") / "data")
    os.makedirs(folder)
    shutil.copy(WORDS, os.path.join(folder, "word_counts.txt"))
    vectors = np.load(WORDS.parent / "infer_full.npz")["net"]
    names = [f"net_{i:02d}.jpg" for i in range(len(vectors))]
    rng = np.random.default_rng(0)
    sentences = [[0, *rng.integers(2, 60, rng.integers(4, 9)).tolist(), 1] for _ in range(50)]
    tiny_world.write(folder, "sentence", [records.sentence_example([], ids) for ids in sentences])
    for split in ("train", "val", "test"):
        examples = [records.image_example(name, b"", [5 + i % 7], [0.8]) for i, name in enumerate(names)]
        tiny_world.write(folder, f"image_{split}", examples)
        write_bank(folder, split, names, vectors)
        notes = [{"image_id": name, "id": i, "caption": "a thing"} for i, name in enumerate(names)]
        images = [{"id": name, "file_name": name} for name in names]
        write_json(os.path.join(folder, f"refs_{split}.json"), {"images": images, "annotations": notes})
    return folder


SMALL = ("batch_size=8", "save_checkpoint_steps=4", "save_summary_steps=2", "steps_per_loop=2", "max_steps=12")


@pytest.fixture
def run(tmp_path):
    importer.main(arguments(CHECKPOINTS["full"], tmp_path / "run", settings=SMALL))
    return tmp_path / "run"


@pytest.mark.parametrize("decode", ["beam3", "beam1", "beam5"])
def test_the_captions_are_those_of_the_authors_program(run, golden_world, decode):
    options = eval_test.Options(
        job_dir=str(run), data_dir=golden_world, checkpoint="newest", decode=decode, metrics=("BLEU",)
    )
    eval_test.main(options)
    name = "test.json" if decode == "beam3" else f"test_{decode}.json"
    ours = captions.read_captions(str(run / name))
    golden = json.loads((WORDS.parent / "infer_full.json").read_text())[f"{decode}_lnf0_max20"]
    assert [ours[image] for image in sorted(ours)] == [several[0]["text"] for several in golden]


def test_training_goes_on(run, golden_world):
    options = read_options(str(run), config.FullModel)
    train.main(type(options)(**{**vars(options), "data_dir": golden_world}))
    assert checkpoints.steps_in(str(run)) == [6, 8, 12]
    entries = tiny_runs.entries(run)
    assert [entry["step"] for entry in entries if "loss/generator" in entry] == [8, 10, 12]
    before, after = tiny_runs.tensors(run, 6), tiny_runs.tensors(run, 12)
    counts = [
        name for name in before if before[name].shape == () and before[name].dtype == np.int64 and before[name] == 6
    ]
    assert len([name for name in counts if "optimizer" in name and after[name] == 12]) == 2
    facts = read_config(str(run))["facts"]
    assert facts["encoder"]["kind"] == "tflite", "the run records an encoder that it did not know before"


def test_the_run_asks_for_its_encoder_and_takes_one_that_fits(run):
    with pytest.raises(cli.UserError, match="has no saved encoder.*--encoder"):
        encoder_of_run(str(run), "newest")
    with pytest.raises(cli.UserError, match="encoder 'compact:none.npz'"):
        encoder_of_run(str(run), "newest", "compact:none.npz")


def test_a_bank_says_which_encoder_it_was(golden_world, tmp_path):
    features = os.path.join(golden_world, "features_train.json")
    importer.main(arguments(CHECKPOINTS["full"], tmp_path / "run", features=features))
    assert read_config(str(tmp_path / "run"))["facts"]["encoder"]["kind"] == "tflite"


# --------------------------------------------------------------------------------------------------------------
# What cannot be imported


def refused(options, message):
    with pytest.raises(cli.UserError, match=message):
        importer.main(options)
    assert not os.path.exists(os.path.join(options.job_dir, "config.json")), "no partial run remains"


@pytest.mark.parametrize(
    "name",
    [
        "Generator/softmax_b",
        "Generator/embedding",
        "Generator/fully_connected/weights",
        "Discriminator/recon/biases",
        "Discriminator/recon/weights",
        "Discriminator/fc/biases",
        "global_step",
        "Generator/softmax_b/Adam_1",
        "train/discriminator_train/beta2_power",
    ],
)
def test_a_missing_variable_is_named(tmp_path, name):
    arrays = contents(CHECKPOINTS["full"])
    del arrays[name]
    prefix = write(tmp_path / "full", arrays)
    refused(arguments(prefix, tmp_path / "run"), f"has no (variable )?{name}")
    if "Adam" in name or "beta" in name:
        importer.main(arguments(prefix, tmp_path / "run", fresh_optimizer=True))
        assert int(tiny_runs.tensors(tmp_path / "run", 6)["discriminator_optimizer/_iterations" + SUFFIX]) == 0


def test_another_vocabulary_is_named(tmp_path):
    (tmp_path / "words.txt").write_text(WORDS.read_text().rstrip("\n") + "\nextra 1\n")
    options = arguments(CHECKPOINTS["full"], tmp_path / "run", word_counts=str(tmp_path / "words.txt"))
    refused(options, "words.txt makes a dictionary of 62 words.* was trained with 61")


@pytest.mark.parametrize("ending,size", [("data-00000-of-00001", 3000), ("index", 100), ("index", 0)])
def test_a_checkpoint_cut_short_is_named(tmp_path, ending, size):
    for path in CHECKPOINTS["full"].parent.glob("model.ckpt-*"):
        shutil.copy(path, tmp_path / path.name)
    os.truncate(tmp_path / f"model.ckpt-6.{ending}", size)
    refused(arguments(tmp_path / "model.ckpt-6", tmp_path / "run"), "model.ckpt-6: damaged or cut short")


def test_other_mistakes(tmp_path, run):
    given = arguments(CHECKPOINTS["obj2sen"], tmp_path / "new")
    refused(importer.Options(**{**vars(given), "stage": "auto"}), "obj2sen or sentence_ae.*--stage")
    refused(importer.Options(**{**vars(given), "stage": "im_caption"}), "has no variable Generator/fully_connected")
    refused(importer.Options(**{**vars(given), "checkpoint": str(tmp_path / "none")}), "neither a run directory nor")
    refused(importer.Options(**{**vars(given), "settings": ("nonsense=1",)}), "has no setting 'nonsense'")
    refused(importer.Options(**{**vars(given), "settings": ("batch_size=x",)}), "expected a value of type int")
    prefix = write(tmp_path / "other", {"weights": np.zeros(3, np.float32)})
    refused(
        importer.Options(**{**vars(given), "checkpoint": prefix}),
        "not a checkpoint of the authors' trainers; it holds weights",
    )
    with pytest.raises(cli.UserError, match="is already a run"):
        importer.main(arguments(CHECKPOINTS["full"], run))


@pytest.mark.slow
def test_the_encoder_in_the_checkpoint_itself(tmp_path):
    """As in the released files, which contain InceptionV4 as well as the captioner."""
    prefix = write(tmp_path / "full", contents(CHECKPOINTS["full"]) | inception_v4.rule_weights())
    importer.main(arguments(prefix, tmp_path / "run"))
    facts = read_config(str(tmp_path / "run"))["facts"]["encoder"]
    assert facts["kind"] == "inception_v4" and facts["dim"] == 1536
    encoder = encoder_of_run(str(tmp_path / "run"), "newest")
    assert encoder.encode(np.zeros([1, 299, 299, 3], np.float32)).shape == (1, 1536)
