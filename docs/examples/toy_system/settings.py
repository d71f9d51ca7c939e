"""The settings of both stages: one frozen dataclass each, whose fields are the flags of its command."""

import dataclasses

import cli
import config


@dataclasses.dataclass(frozen=True)
class Toy(config.Trainer):
    """Base class with the settings that both stages share.

    The commands use its subclasses: ToyWords (first stage, concept words -> sentence), ToyPictures (second stage).
    """

    emb_dim: int = cli.field(64, "word vectors, and states of the network")
    lr: float = cli.field(1e-2, "learning rate")
    lr_decay_steps: int = cli.field(0, "steps of the cosine decay of the learning rate to 0; 0 = constant rate")
    beta1: float = cli.field(0.9, "beta1 of Adam")


@dataclasses.dataclass(frozen=True)
class ToyWords(Toy):
    """Settings of the first stage: concept words -> sentence."""

    job_dir: str = cli.field("runs/toy/words", "run directory; the same command continues an interrupted run")


@dataclasses.dataclass(frozen=True)
class ToyPictures(Toy):
    """Settings of the second stage: image vector -> feature of the detected concept words."""

    job_dir: str = cli.field("runs/toy/pictures", "run directory; the same command continues an interrupted run")
    start_ckpt: str | None = cli.field(None, "run or checkpoint of the first stage")
    standardise: bool = cli.field(
        True, "standardise image vectors (zero mean, unit standard deviation) before the projection"
    )
    max_caption_length: int = cli.field(20, "maximum number of words of a caption")
    eval_images: int = cli.field(200, "validation images captioned greedily to detect collapse; 0 = none")
    images, inc_ckpt = "bank", None  # image vectors come from the feature bank: these are not flags
