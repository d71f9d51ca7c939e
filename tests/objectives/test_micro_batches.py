"""The gradients and metrics of each objective in micro-batches are those of the whole batch (training/accumulation.py).

The full model, im_caption and R2M are in tests/training/test_accumulation.py, with their updates.
"""

import numpy as np
import pytest
import tensorflow as tf

import config
from baselines.show_attend_tell.objective import ShowAttendTellObjective
from baselines.show_tell.objective import ShowTellObjective
from baselines.supervised import settings
from models import layers
from models.generator import Masks
from objectives.obj2sen import ObjectToSentenceObjective
from objectives.sentence_ae import SentenceAutoEncoderObjective
from objectives.sentence_gan import SentenceGanObjective
from tests.objectives.conftest import D, V
from training.accumulation import accumulated

SIZES = {"emb_dim": 6, "mem_dim": 6, "keep_prob": 1.0}
SEED = tf.constant([3, 4])


def captions_of(image_BD):
    """Returns words that are a function of the image, so that micro-batches have those of the whole batch."""
    return tf.math.floormod(tf.cast(tf.abs(image_BD) * 1000.0, tf.int32), V)


class GivenAutoEncoder(SentenceAutoEncoderObjective):
    def noised(self, batch, seed):
        return batch["sentence"][:, 1:], batch["length"] - 1


class GivenGan(SentenceGanObjective):
    def generator_input(self, batch, seed):
        return batch["image"]

    def rollout(self, batch, seed, greedy=True, sample_BT=None):
        return super().rollout(batch, seed, greedy, captions_of(batch["image"]))


class GivenShowTell(ShowTellObjective):
    def rollout(self, batch, seed):
        words_BT = captions_of(batch["image"])
        return Masks(), words_BT, words_BT[:, ::-1]


def reward(words_BT, lengths_B, references_BRT, reference_lengths_BR):
    return tf.cast(lengths_B + reference_lengths_BR[:, 0], tf.float64) * tf.cast(words_BT[:, 0], tf.float64)


def obj2sen(batch):
    objective = ObjectToSentenceObjective(config.ObjectToSentence(**SIZES), V)
    return objective.gradients, batch | {"key_length": tf.ones_like(batch["key_length"])}


def sentence_ae(batch):
    return GivenAutoEncoder(config.SentenceAutoEncoder(**SIZES), V).gradients, batch


def sentence_gan(batch):
    objective = GivenGan(config.SentenceGan(max_caption_length=D, **SIZES), V)
    return objective.both_steps, batch


def show_tell(batch):
    options = settings.ShowTell(semantics="reference", start_from_image=True, **SIZES)
    return ShowTellObjective(options, V, D, 100).gradients, batch


def show_tell_self_critical(batch):
    options = settings.ShowTell(max_caption_length=D, scst_from=1, **SIZES)
    references = {"references": batch["sentence"][:, None, 1:], "reference_lengths": batch["length"][:, None] - 1}
    return GivenShowTell(options, V, D, 100, reward).self_critical_gradients, batch | references


def show_attend_tell(batch):
    options = settings.ShowAttendTell(semantics="reference", cell_dim=5, attention_units=4, **SIZES)
    cells = tf.stack([batch["image"], batch["image"] ** 2, -batch["image"]], 1)
    return ShowAttendTellObjective(options, V, D, 100).gradients, batch | {"image": cells}


CASES = [obj2sen, sentence_ae, sentence_gan, show_tell, show_tell_self_critical, show_attend_tell]


@pytest.mark.slow
@pytest.mark.parametrize("case", CASES)
def test_micro_batches_equal_the_batch(batch, case):
    function, batch = case(layers.to_longest(batch))
    whole, divided = function(batch, SEED), accumulated(function, batch, SEED, 5)
    assert len(tf.nest.flatten(whole)) == len(tf.nest.flatten(divided)) > 10
    for ours, theirs in zip(flat(divided), flat(whole), strict=True):
        # One bias of the attention has no gradient but rounding, about 1e-9.
        assert np.abs(ours - theirs).max() <= 1e-6 * max(np.abs(theirs).max(), 1e-2)


def flat(results):
    """Returns arrays: of metrics sum / count, of gradients their values; without metrics counted in a micro-batch."""
    found = []
    for part in results:
        if isinstance(part, dict):
            found += [np.asarray(pair[0] / pair[1]) for name, pair in part.items() if not name.startswith("unique")]
        else:
            found += [tf.convert_to_tensor(gradient).numpy() for gradient in part if gradient is not None]
    return found
