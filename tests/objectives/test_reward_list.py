"""The list of rewards: values of --reward, needs of each reward, and the return of several rewards."""

import json

import numpy as np
import pytest
import tensorflow as tf

import cli
import config
import reward_list
import train
from models import rewards
from objectives import networks
from objectives.full import FullObjective
from tests import tiny_runs, tiny_world

SEED = tf.constant([1, 2], tf.int32)
ROWS, V, D = 6, 31, 5
DEFAULT = "consensus:weight=100,contrast=0.85"

WORDS = """
import tensorflow as tf
def make(argument, options):
    return lambda tokens_BT, mask_BT, batch: float(argument) * tf.cast(tokens_BT % 3, tf.float32)
"""
SENTENCES = """
import tensorflow as tf
def make(argument, options):
    return lambda tokens_BT, mask_BT, batch: float(argument) * batch["image"][:, 0]
"""


@pytest.fixture
def files(tmp_path):
    """Returns the paths of two extensions: a reward per word and a reward per sentence."""
    for name, text in (("words.py", WORDS), ("sentences.py", SENTENCES)):
        (tmp_path / name).write_text(text)
    return str(tmp_path / "words.py"), str(tmp_path / "sentences.py")


# --------------------------------------------------------------------------------------------------------------
# Spelling


@pytest.mark.parametrize(
    "given, kept",
    [
        ([], ()),
        (["consensus"], (DEFAULT,)),
        (["consensus:contrast=.85,weight=1e2"], (DEFAULT,)),
        (["consensus:weight=3.0"], ("consensus:weight=3,contrast=0.85",)),
        (["consensus:weight=0"], ()),
        (["a.py:1", "consensus", "consensus:weight=2"], ("a.py:1", "consensus:weight=2,contrast=0.85")),
        (["consensus", "a.py:1", "consensus:weight=0"], ("a.py:1",)),
        (["consensus", "", "a.py:x=1,y=2"], ("a.py:x=1,y=2",)),
        (["a.py:1", "a.py:2", "a.py:1"], ("a.py:1", "a.py:2")),
    ],
)
def test_one_spelling(given, kept):
    assert reward_list.canonical(given) == kept == reward_list.canonical(kept)
    assert config.FullModel(reward=tuple(given)).reward == kept


@pytest.mark.parametrize(
    "spec, message",
    [
        ("own", "there is no such reward; expected consensus:weight=100,contrast=0.85, sentence_vectors:weight=10 or "),
        ("concept:weight=3", "its weight is --w_obj; expected"),
        ("consensus:weight", "'weight' is not understood; expected e.g. consensus:weight=100,contrast=0.85"),
        ("consensus:weight=x", "'weight=x' is not understood"),
        ("consensus:weight=nan", "'weight=nan' is not understood"),
        ("consensus:w=3", "'w=3' is not understood"),
        ("consensus:100", "'100' is not understood"),
    ],
)
def test_what_is_not_understood(spec, message):
    with pytest.raises(cli.UserError, match=message) as refused:
        reward_list.canonical([spec])
    assert str(refused.value).startswith(f"--reward {spec}: ") and "\n" not in str(refused.value)


def test_the_list_of_a_run(files):
    options = config.FullModel(w_mse=7.0, reward=(DEFAULT, f"{files[0]}:2", f"{files[0]}:3", f"{files[1]}:1"))
    found = reward_list.of(options)
    names = ["adversarial", "concept", "image", "consensus", "words", "words_2", "sentences"]
    assert [reward.name for reward in found] == names
    assert [reward.weight for reward in found] == [1, 10, 7, 100, 1, 1, 1]
    assert [reward.file for reward in found] == [None] * 4 + [files[0], files[0], files[1]]
    assert reward_list.needs(options) == ("neighbours",) and reward_list.needs(config.FullModel()) == ()
    assert [reward.weight for reward in reward_list.of(config.SentenceGan())] == [1, 0, 0]


# --------------------------------------------------------------------------------------------------------------
# In the objective


@pytest.fixture
def batch():
    random = np.random.default_rng(0)
    arrays = {
        "image": random.normal(size=[ROWS, D]).astype(np.float32),
        "classes": random.integers(2, V, [ROWS, 4]).astype(np.int32),
        "scores": random.uniform(0.3, 1, [ROWS, 4]).astype(np.float32),
        "num": np.full(ROWS, 4, np.int32),
        "sentence": np.tile(np.array([0, 5, 6, 7, 1], np.int32), [ROWS, 1]),
        "length": np.full(ROWS, 5, np.int32),
    }
    return {name: tf.constant(array) for name, array in arrays.items()}


def objective_of(*specs, **changes):
    small = {"emb_dim": 8, "mem_dim": 8, "max_caption_length": 7, "keep_prob": 1.0}
    return FullObjective(config.FullModel(**small, reward=specs, **changes), V, D)


def terms_of(objective, batch):
    rollout = objective.rollout(batch, SEED)
    return rollout, objective.rewards_and_advantages(batch, rollout, SEED)


def test_rewards_of_words_and_of_sentences_become_one_return(batch, files):
    """Rewards per word are discounted; rewards per sentence are added to every word once."""
    words, sentences = files
    objective = objective_of(f"{words}:2", f"{sentences}:3", f"{words}:-1", gamma=0.9)
    rollout, found = terms_of(objective, batch)
    for prefix, tokens in (("", rollout.sample_BT), ("baseline/", rollout.greedy_BT)):
        mask = rollout.mask_BT.numpy()
        own = np.asarray(tokens) % 3 * mask
        np.testing.assert_allclose(found[f"{prefix}reward/words"], 2 * own)
        np.testing.assert_allclose(found[f"{prefix}reward/words_2"], -own)
        of_sentences = 3 * batch["image"].numpy()[:, 0]
        np.testing.assert_allclose(found[f"{prefix}reward/sentences"], of_sentences, rtol=1e-6)
        each = found[f"{prefix}reward/adversarial"] + found[f"{prefix}reward/concept"] + own
        once = found[f"{prefix}reward/image"] + of_sentences
        expected = np.zeros(mask.shape)
        for t in range(mask.shape[1]):
            later = sum(0.9 ** (s - t) * each[:, s] for s in range(t, mask.shape[1]))
            expected[:, t] = once * mask[:, t] + later
        np.testing.assert_allclose(found[f"{prefix}returns"], expected, rtol=1e-5, atol=1e-5)
    assert np.any(own)


def test_each_reward_has_a_curve(batch, files):
    objective = objective_of(f"{files[0]}:2", f"{files[1]}:3")
    metrics, _ = objective.generator_step(batch, SEED)
    rollout, found = terms_of(objective, batch)
    total, count = metrics["reward/words"]
    np.testing.assert_allclose(total, tf.reduce_sum(found["reward/words"]), rtol=1e-6)
    assert count == tf.reduce_sum(rollout.mask_BT)
    total, count = metrics["reward/sentences"]
    np.testing.assert_allclose(total, 3 * tf.reduce_sum(batch["image"][:, 0]), rtol=1e-5)
    assert count == ROWS and {"reward/adversarial", "reward/concept", "reward/image"} <= set(metrics)


def test_rewards_of_the_program_in_closed_form(batch):
    """They are computed without weights, by the same functions as extensions."""
    objective = objective_of(w_adv=0.5, w_obj=2.0, w_mse=0.25)
    rollout, found = terms_of(objective, batch)
    mask = rollout.mask_BT
    adversarial = rewards.adversarial_reward(found["logits"])
    np.testing.assert_allclose(found["reward/adversarial"], 0.5 * adversarial * mask)
    objects = (batch[name] for name in ("classes", "scores", "num"))
    np.testing.assert_allclose(found["reward/concept"], 2 * rewards.concept_reward(rollout.sample_BT, mask, *objects))
    _, feature_BE = objective.discriminator(rollout.sample_BT, rollout.sample_lengths_B, SEED)
    distance = rewards.feature_distance(rollout.feature_BE, feature_BE)
    np.testing.assert_allclose(found["reward/image"], -0.25 * distance, rtol=1e-5)


@pytest.mark.parametrize(
    "result, shape",
    [
        ("tf.reduce_sum(mask_BT)", r"\[\]"),
        ("mask_BT[:, :3]", r"\[6, 3\]"),
        ("mask_BT[:, 0:1]", r"\[6, 1\]"),
        ("mask_BT[0]", r"\[7\]"),
        ("tf.zeros([6, 7, 1])", r"\[6, 7, 1\]"),
    ],
)
def test_numbers_of_another_shape_are_refused(batch, tmp_path, result, shape):
    path = tmp_path / "wrong.py"
    path.write_text(f"import tensorflow as tf\ndef make(a, o): return lambda tokens_BT, mask_BT, batch: {result}\n")
    message = rf"--reward {path}:1: wrong shape, got {shape}, expected \[6, 7\], .*word, or \[6\], .*sentence"
    with pytest.raises(cli.UserError, match=message):
        terms_of(objective_of(f"{path}:1"), batch)


@pytest.mark.parametrize(
    "program, argument, message",
    [
        ("open(argument)", "words.txt", "words.txt is missing"),
        ("texts.read(argument)", "words.txt", "words.txt"),
        ("int(argument)", "many", "invalid literal for int.*'many'"),
        ("{}[argument]", "x", "KeyError: 'x'"),
    ],
)
def test_what_goes_wrong_in_make_is_one_line(tmp_path, program, argument, message):
    path = tmp_path / "own.py"
    path.write_text(f"from formats import texts\ndef make(argument, options): {program}\n")
    with pytest.raises(cli.UserError, match=f"--reward {path}:{argument}: .*{message}") as refused:
        objective_of(f"{path}:{argument}")
    assert "\n" not in str(refused.value)


def test_what_goes_wrong_in_a_step_is_one_line(world, tmp_path):
    """The shapes do not fit inside of the reward."""
    path = tmp_path / "own.py"
    path.write_text("def make(a, o):\n    return lambda tokens_BT, mask_BT, batch: mask_BT * mask_BT[:, 0][None, :3]\n")
    with pytest.raises(cli.UserError, match=r"--reward .*own.py: .*\[8,8\], \[1,3\]") as refused:
        train.main(tiny_runs.full(world, tmp_path / "run", max_steps=4, eval_images=0, reward=(str(path),)))
    assert "\n" not in str(refused.value)


def test_words_that_are_not_in_the_dictionary_are_said(world, tmp_path, capsys):
    path = tmp_path / "own.py"
    path.write_text(
        "import os\nimport tensorflow as tf\nfrom formats.vocabulary import Vocabulary\n"
        "def make(argument, options):\n"
        "    words = Vocabulary.load(os.path.join(options.data_dir, 'word_counts.txt'))\n"
        "    wanted = tf.constant(words.encode(argument.split()))\n"
        "    return lambda t, m, b: tf.cast(tf.reduce_any(t[:, :, None] == wanted, 2), tf.float32)\n"
    )
    networks.build_rewards(config.FullModel(data_dir=world, reward=(f"{path}:dog unicorn cat gnu",)), 12)
    said = capsys.readouterr().err
    assert f"WARNING: --reward {path}:dog unicorn cat gnu: 2 words are not in the dictionary" in said
    assert said.rstrip().endswith("'unicorn', 'gnu'")


def test_whole_numbers_and_float64_are_numbers(batch, tmp_path):
    for kind in ("int32", "float64"):
        path = tmp_path / f"{kind}.py"
        path.write_text(
            f"import tensorflow as tf\ndef make(a, o): return lambda t, m, b: tf.cast(t[:, 0], tf.{kind})\n"
        )
        rollout, found = terms_of(objective_of(str(path)), batch)
        np.testing.assert_array_equal(found[f"reward/{kind}"], rollout.sample_BT[:, 0])


# --------------------------------------------------------------------------------------------------------------
# In a run


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    return tiny_world.make(str(tmp_path_factory.mktemp("world")))


def test_a_run_with_several_rewards_goes_on_with_the_same_files_alone(world, tmp_path, files):
    specs = (f"{files[0]}:0.5", f"{files[1]}:2")
    options = tiny_runs.full(world, tmp_path / "run", max_steps=8, eval_images=0, reward=specs)
    train.main(options)
    assert {"reward/words", "reward/sentences"} <= tiny_runs.entries(tmp_path / "run")[0].keys()
    content = json.loads((tmp_path / "run" / "config.json").read_text())
    assert content["settings"]["reward"] == list(specs) and set(content["facts"]["rewards"]) == set(files)
    train.main(options)  # complete
    (tmp_path / "words.py").write_text(WORDS + "# changed\n")
    with pytest.raises(cli.UserError, match=f"rewards {files[0]}: .* in the run, .* now") as refused:
        train.main(options)
    assert len(str(refused.value).splitlines()) == 2


def test_what_is_wrong_is_said_before_tensorflow_starts(world, tmp_path):
    for changes, message in [
        ({"reward": (f"{tmp_path}/none.py:1",)}, f"--reward {tmp_path}/none.py:1: {tmp_path}/none.py is missing"),
        ({"reward": ("consensus",)}, "neighbours: missing. Make it with: python -m"),
        ({"w_adv": 0.0, "w_obj": 0.0, "w_mse": 0.0, "w_sen": 0.0}, "all losses have weight 0"),
    ]:
        with pytest.raises(cli.UserError, match=message):
            train.check(tiny_runs.full(world, tmp_path / "run", **changes))
    assert not (tmp_path / "run").exists()


def test_a_wrong_shape_ends_a_run_with_one_line(world, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text("def make(argument, options):\n    return lambda tokens_BT, mask_BT, batch: mask_BT[:, :3]\n")
    with pytest.raises(cli.UserError, match=r"--reward .*wrong.py: .* got \[8, 3\], expected \[8, 8\]") as refused:
        train.main(tiny_runs.full(world, tmp_path / "run", max_steps=4, eval_images=0, reward=(str(path),)))
    assert "\n" not in str(refused.value)


def test_a_reward_of_ones_own_may_be_the_only_one(world, tmp_path, files):
    train.check(
        tiny_runs.full(world, tmp_path / "run", w_adv=0.0, w_obj=0.0, w_mse=0.0, w_sen=0.0, reward=(f"{files[0]}:1",))
    )


def test_a_stored_list_never_runs_a_program(world, tmp_path):
    """Only the command line may name programs; the list in config.json is compared, not loaded."""
    options = tiny_runs.full(world, tmp_path / "run", max_steps=4, eval_images=0)
    train.main(options)
    sentinel, path = tmp_path / "ran", tmp_path / "program.py"
    path.write_text(f"import pathlib\npathlib.Path({str(sentinel)!r}).touch()\n")
    config_path = tmp_path / "run" / "config.json"
    content = json.loads(config_path.read_text())
    content["settings"]["reward"] = [f"{path}:1"]
    config_path.write_text(json.dumps(content))
    with pytest.raises(cli.UserError, match=f"reward: {path}:1 in the run, none now"):
        train.main(options)
    other = tiny_runs.full(world, tmp_path / "other", max_steps=4, eval_images=0, imcap_ckpt=str(tmp_path / "run"))
    train.main(other)
    assert not sentinel.exists()
