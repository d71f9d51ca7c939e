"""Settings of the supervised baselines, which learn from image-caption pairs (docs/supervised.md)."""

import dataclasses

from cli import choice, field
from config import Trainer


@dataclasses.dataclass(frozen=True)
class Supervised(Trainer):
    """Base class with the settings that Show and Tell and Show, Attend and Tell have in common."""

    captions: str = field("", "pairs:FILE.jsonl, true captions of the training images (preprocessing.train_captions)")
    lr: float = field(1e-3, "learning rate")
    lr_decay_steps: int = field(0, "steps of the cosine decay of the learning rate to 0; 0 = constant rate")
    lr_halving_epochs: float = field(0.0, "the learning rate is halved every so many epochs; 0 = never")
    beta1: float = field(0.9, "beta1 of Adam")
    scst_from: int = field(0, "step at which self-critical training on CIDEr-D starts; 0 = never")
    scst_lr: float = field(1e-4, "learning rate of self-critical training")
    max_caption_length: int = field(20, "maximum number of words of a caption")
    standardise: bool = field(False, "image vectors minus their mean, over their std, before the projection")
    eval_images: int = field(200, "validation images captioned greedily to detect collapse; 0 = none")
    # Features come from the bank. Without annotations these are not fields, so not flags.
    images, inc_ckpt = "bank", None


@dataclasses.dataclass(frozen=True)
class ShowTell(Supervised):
    """Settings of Show and Tell, in which an LSTM or a GRU reads a pooled image vector."""

    job_dir: str = field("runs/show_tell", "run directory; the same command continues an interrupted run")
    cell: str = choice(
        "lstm", ("lstm", "lstm_two_biases", "gru"), "recurrent cell; lstm_two_biases is PyTorch's, gru TensorFlow 1's"
    )
    batch_norm: bool = field(False, "batch normalisation of the projected image vector (the ResNet-152 tutorial)")
    init_stddev: float = field(0.0, "standard deviation of truncated normal initial weights; 0 = uniform weights")
    start_from_image: bool = field(
        False, "with --semantics reference: the image step must predict the start token (the ResNet-152 tutorial)"
    )


@dataclasses.dataclass(frozen=True)
class ShowAttendTell(Supervised):
    """Settings of Show, Attend and Tell, in which a GRU attends to a grid of cells by additive attention."""

    job_dir: str = field("runs/show_attend_tell", "run directory; the same command continues an interrupted run")
    cell_dim: int = field(256, "dimension to which the features of a cell are projected")
    attention_units: int = field(512, "units of the additive attention")
    attention_scale: float = field(
        1.0, "factor on the attention scores; a larger one makes attention peaked earlier in training"
    )
    attend_word: bool = field(
        False, "attention depends on the last word too; in the tutorial only on the words before it"
    )
