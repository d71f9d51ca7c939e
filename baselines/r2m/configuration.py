"""Settings of R2M (recurrent relational memory, Guo et al., IJCAI 2020), its stages and its quirks (docs/r2m.md).

A quirk is behaviour of the authors' program that was probably not intended; its setting keeps or corrects it.
"""

import dataclasses
import os

from cli import UserError, choice, field
from config import INC_CKPT, Trainer, check_trainer

# The losses of each stage; `all` runs the first four, each from the best checkpoint of the one before.
LOSSES = {
    "xe": ("xe",),
    "xe_rec": ("xe", "rec_text"),
    "tri": ("triplet",),
    "tri_rec": ("triplet", "rec_image"),
    "end2end": ("xe", "rec_text", "triplet", "rec_image"),
}
STAGES = tuple(LOSSES)
IN_A_ROW = STAGES[:4]

# Quirks of the authors' program that can be switched one by one: setting -> its value under each semantics.
QUIRKS = {
    "triplet": {"reference": "unmasked", "fixed": "masked"},
    "projection": {"reference": "frozen", "fixed": "trained"},
    "concept_order": {"reference": "class", "fixed": "score"},
    "rec_reduction": {"reference": "mean", "fixed": "sum"},
}
BY_SEMANTICS = "semantics"


def _quirk(name, help):
    """Returns the dataclass field of a quirk's setting; its default "semantics" lets --semantics decide.

    Args: name: a key of QUIRKS. help: text of the flag in --help.
    """
    return choice(BY_SEMANTICS, (BY_SEMANTICS, *QUIRKS[name].values()), help)


@dataclasses.dataclass(frozen=True)
class R2M(Trainer):
    """Settings of R2M: a translator from concept words to sentences, learned on text, then adapted to images."""

    job_dir: str = field("runs/r2m", "run directory; with --stage all the folder of the stages' run directories")
    stage: str = choice(
        "all", ("all", *STAGES), "all: xe, xe_rec, tri, tri_rec one after the other; end2end: all losses at once"
    )
    start_ckpt: str | None = field(
        None, "run (its best checkpoint) or checkpoint of the stage before; initialises encoder, decoder, reconstructor"
    )
    batch_size: int = field(256, "global batch, split over the devices")
    max_steps: int = field(0, "last step; 0 = the stage's value in --stage_steps")
    lr: float = field(0.0, "learning rate; 0 = the stage's value in --stage_lr")
    save_checkpoint_steps: int = field(0, "steps between checkpoints; 0 = the stage's value in --stage_save")
    unroll: int = field(0, "maximum sentence length, end token counted; 0 = the stage's value in --stage_unroll")
    stage_steps: tuple[int, ...] = field((5000, 6000, 50, 100, 10000), f"last step of {', '.join(STAGES)}")
    stage_lr: tuple[float, ...] = field((1e-4, 1e-4, 1e-5, 1e-5, 1e-4), "learning rate of each stage")
    stage_save: tuple[int, ...] = field((5000, 100, 10, 10, 1000), "steps between checkpoints of each stage")
    stage_unroll: tuple[int, ...] = field((30, 40, 40, 40, 20), "maximum sentence length of each stage")
    lr_decay: bool = field(False, "cosine decay of the learning rate of xe and xe_rec to 0")
    lr_decay_steps: int = field(0, "steps of the cosine decay; 0 = up to the stage's last step")
    beta1: float = field(0.9, "beta1 of Adam")
    mem_slots: int = field(1, "slots of the decoder's memory; the reconstructor has one")
    num_heads: int = field(2, "attention heads; the size of a head is emb_dim / num_heads")
    gates: str = choice("unit", ("unit", "slot"), "unit: one gate for each unit of the memory; slot: one for each slot")
    forget_bias: float = field(1.0, "added to the forget gate of the memory")
    fusion: str = choice(
        "attention", ("attention", "concat"), "how word and concept vector are joined; concat: an ablation"
    )
    fm_residual: bool = field(False, "add the input of the fusion memory to its output")
    w_rec: float = field(1.0, "weight of the reconstruction losses (beta and gamma of the paper)")
    w_triplet: float = field(1.0, "weight of the triplet loss")
    margin: float = field(0.2, "margin of the triplet loss")
    triplet: str = _quirk(
        "triplet", "unmasked: the pair itself is also a negative, so the loss is at least twice the margin"
    )
    projection: str = _quirk(
        "projection", "projection of the image vector; frozen: random, drawn anew in each image stage"
    )
    concept_order: str = _quirk(
        "concept_order", "class: training reads an image's last five classes, captioning the first five in reverse"
    )
    rec_reduction: str = _quirk(
        "rec_reduction", "reduction of the squared distance over the dimensions; with mean the loss is next to 0"
    )
    images: str = choice(
        "auto", ("auto", "bank", "records"), "bank: feature bank; records: the encoder in the step; auto: by --inc_ckpt"
    )
    inc_ckpt: str | None = field(None, INC_CKPT)
    standardise: bool = field(False, "image vectors minus their mean, over their std, before the projection")
    detector: str = field("", "the detector that found the concepts; copied into the run for caption.py")
    labels: str | None = field(None, "class names of --detector")
    metrics: tuple[str, ...] = field(("BLEU", "METEOR", "CIDEr"), "--stage all: metrics that score the checkpoints")
    corpus: str = field("", "--stage all: name of the corpus in the table; empty = name of the data folder")
    table: str = field("", "--stage all: table file; empty = table.json in the job directory")

    def outputs(self):
        """Returns (files, folders) that the command writes, two tuples of paths.

        cli.run checks that they are writable.
        """
        return (self.table,), (self.job_dir,)


def quirk(options, name):
    """Returns the value of a quirk's setting as a str, for example "masked" for the quirk "triplet".

    If the setting has the value "semantics", this is the value that QUIRKS has for the value of --semantics.

    Args: options: R2M, or a dict of its settings. name: a key of QUIRKS.
    """
    settings = options if isinstance(options, dict) else dataclasses.asdict(options)
    value = settings[name]
    return QUIRKS[name][settings["semantics"]] if value == BY_SEMANTICS else value


def of_stage(options, stage, **changes):
    """Returns the settings of one stage, a new R2M.

    Where max_steps, lr, save_checkpoint_steps or unroll is 0, it has the stage's element of stage_steps, stage_lr,
    stage_save or stage_unroll. lr_decay_steps is set too; 0 means no decay.

    Args:
      options: R2M.
      stage: a key of LOSSES.
      changes: values that override other fields of `options`, such as job_dir and start_ckpt.
    """
    at = STAGES.index(stage)
    names = {"max_steps": "steps", "lr": "lr", "save_checkpoint_steps": "save", "unroll": "unroll"}
    own = {name: getattr(options, name) or getattr(options, f"stage_{short}")[at] for name, short in names.items()}
    own["lr_decay_steps"] = 0
    if options.lr_decay and "triplet" not in LOSSES[stage]:
        own["lr_decay_steps"] = options.lr_decay_steps or own["max_steps"]
    return dataclasses.replace(options, stage=stage, **own, **changes)


def check(options):
    """Checks the settings (R2M) before TensorFlow starts.

    Raises: cli.UserError if one is invalid or two contradict each other.
    """
    for name in ("steps", "lr", "save", "unroll"):
        values = getattr(options, f"stage_{name}")
        if len(values) != len(STAGES) or min(values) <= 0:
            raise UserError(
                f"--stage_{name}: expected {len(STAGES)} numbers above 0, one for each of {', '.join(STAGES)}"
            )
    for stage in IN_A_ROW if options.stage == "all" else (options.stage,):
        check_trainer(of_stage(options, stage), *(["start_ckpt"] if options.stage != "all" else []))
    if options.num_heads < 1 or options.emb_dim % options.num_heads:
        raise UserError(f"--num_heads {options.num_heads} does not divide --emb_dim {options.emb_dim}")
    if options.mem_slots < 1:
        raise UserError(f"--mem_slots {options.mem_slots}: expected at least 1")
    if options.stage == "all" and os.environ.get("TF_CONFIG"):
        raise UserError("--stage all scores between the stages, in one process: in a cluster run them one by one")
    if options.stage == "all" and options.start_ckpt:
        raise UserError("--stage all starts from fresh weights; --start_ckpt is for a single --stage")
    if options.detector:
        from preprocessing.detection import detectors

        detectors.parse(options.detector, options.labels)
