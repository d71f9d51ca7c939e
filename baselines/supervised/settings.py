"""Settings of the supervised baselines, which learn from image-caption pairs (specs of other systems, 2 to 4, 7)."""

import dataclasses

from cli import choice, field
from config import Trainer


@dataclasses.dataclass(frozen=True)
class Supervised(Trainer):
    """What both supervised baselines are told."""

    captions: str = field("", "pairs:FILE.jsonl, true captions of the training images (preprocessing.train_captions)")
    lr: float = field(1e-3, "learning rate")
    lr_decay_steps: int = field(0, "steps in which the learning rate falls to 0 along a cosine, 0 = constant")
    lr_halving_epochs: float = field(0.0, "epochs after which the learning rate is halved, again and again; 0 = never")
    beta1: float = field(0.9, "beta1 of Adam")
    scst_from: int = field(0, "step at which self-critical training on CIDEr-D takes over, 0 = never")
    scst_lr: float = field(1e-4, "learning rate of self-critical training")
    max_caption_length: int = field(20, "words of a caption at most")
    standardise: bool = field(False, "image vectors minus their mean, over their std, before the projection")
    eval_images: int = field(200, "validation images whose greedy captions are watched for collapse, 0 = none")
    # Features come from the bank (no annotation: these are no flags).
    images, inc_ckpt = "bank", None


@dataclasses.dataclass(frozen=True)
class ShowTell(Supervised):
    """Show and Tell: a pooled image vector, then LSTM or GRU."""

    job_dir: str = field("runs/show_tell", "run directory; the same command continues what is there")
    cell: str = choice(
        "lstm", ("lstm", "lstm_two_biases", "gru"), "recurrent cell; lstm_two_biases is PyTorch's, gru TensorFlow 1's"
    )
    batch_norm: bool = field(False, "batch normalisation of the projected image vector (the ResNet-152 tutorial)")
    init_stddev: float = field(0.0, "initial weights from a truncated normal of this std; 0 = uniform ones")
    start_from_image: bool = field(
        False, "under --semantics reference the image's own output must say the start token (the ResNet-152 tutorial)"
    )


@dataclasses.dataclass(frozen=True)
class ShowAttendTell(Supervised):
    """Show, Attend and Tell: a grid of cells, additive attention, GRU."""

    job_dir: str = field("runs/show_attend_tell", "run directory; the same command continues what is there")
    cell_dim: int = field(256, "dimension to which the features of a cell are projected")
    attention_units: int = field(512, "units of the additive attention")
    attention_scale: float = field(1.0, "factor on the scores of the cells: larger, attention is peaked earlier")
    attend_word: bool = field(
        False, "attention knows the word that was said last; the tutorial's knows older ones only"
    )
