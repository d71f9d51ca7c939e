"""The settings of the trainers: one frozen dataclass a stage. Named sets of values are in configs/."""

import dataclasses
import glob
import os
import shlex

import reward_list
from cli import UserError, choice, field, repeated


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Settings that every trainer shares."""

    recipe: str | None = field(None, "named configuration to start from; single flags override it")
    data_dir: str = field("data/default", "folder that all stages share")
    job_dir: str = field("runs/run", "run directory: checkpoints, logs; the same command continues what is there")
    seed: int = field(1, "seed of initial weights, data order, dropout and sampling")
    semantics: str = choice(
        "fixed",
        ("fixed", "reference"),
        "reference: the authors' program, quirk by quirk (docs/implementation_details.md)",
    )
    batch_size: int = field(64, "global batch, split over the devices")
    max_steps: int = field(1_000_000, "last step")
    save_checkpoint_steps: int = field(1000, "steps between checkpoints")
    keep_checkpoints: int = field(100, "newest checkpoints that are kept (the authors keep 100)")
    keep_every_steps: int = field(0, "checkpoints at multiples of this are kept for ever, 0 = none")
    save_summary_steps: int = field(100, "steps between two lines of metrics")
    steps_per_loop: int = field(10, "updates in one call of the compiled loop")
    emb_dim: int = field(512, "word vectors; equal to mem_dim because the output matrix is the embedding")
    mem_dim: int = field(512, "LSTM units")
    keep_prob: float = field(0.8, "share kept by dropout on inputs and outputs of the LSTMs (UIC spec 7.2)")
    clip_norm: float = field(10.0, "global norm at which the gradients of a network are clipped (UIC spec 8.4)")
    max_sentence_length: int = field(0, "drop corpus sentences of more words than this, markers counted; 0 keeps all")
    multi_gpu: bool = field(False, "all visible GPUs through tf.distribute.MirroredStrategy")
    devices: tuple[str, ...] = field((), "devices of a MirroredStrategy by name, e.g. GPU:0,GPU:1")
    worker_timeout: int = field(600, "seconds that a worker of a cluster waits for the others before it gives up")
    precision: str | None = field(
        None, "bfloat16: number format of matrix products, for GPUs that have it; else float32"
    )
    xla: bool = field(False, "let XLA compile what has fixed shapes; one device only")
    verify: bool = field(False, "compare the checksums of all data files with their sidecars before the first step")
    skip_damaged: bool = field(False, "leave damaged records out and count them; without it they are an error")
    optimizer: str = choice("adam", ("adam", "sgd"), "sgd is there for numerical tests")
    intra_op_parallelism_threads: int = field(0, "TensorFlow threads inside an operation, 0 = all")
    inter_op_parallelism_threads: int = field(0, "TensorFlow threads between operations, 0 = all")

    def outputs(self):
        """The files and the folders that it writes, see cli.run."""
        return (), (self.job_dir,)


@dataclasses.dataclass(frozen=True)
class UnpairedTrainer(Trainer):
    """Settings that the stages of the full model share: they hand the same networks on."""

    feature_scale: float = field(1.0, "factor on the unit feature where it enters the LSTM; the losses see it unscaled")


@dataclasses.dataclass(frozen=True)
class AdversarialTrainer(UnpairedTrainer):
    """Settings of the two stages in which a generator learns from a discriminator (UIC spec 8, 9.5)."""

    gen_lr: float = field(1e-4, "learning rate of the generator")
    dis_lr: float = field(1e-4, "learning rate of the discriminator")
    beta1: float = field(0.5, "beta1 of both Adam optimizers")
    max_caption_length: int = field(20, "words that are sampled for a caption")
    gamma: float = field(0.9, "discount of later rewards")
    label_smoothing: float = field(0.25, "of real sentences: their target is 1 - half of this")
    advantage_clip: float = field(5.0, "advantages are clipped to plus and minus this")
    baseline: str = choice("greedy", ("greedy", "none"), "greedy: self-critical; none: the return itself")
    baseline_mask: str = choice(
        "sample",
        ("sample", "own"),
        "whose length ends the baseline's rewards (quirk Q1); under own, ending early pays and captions shrink",
    )


@dataclasses.dataclass(frozen=True)
class FullModel(AdversarialTrainer):
    """The full model: adversarial, concept and reconstruction objectives (UIC spec 8, 11)."""

    job_dir: str = field("runs/full", "run directory: checkpoints, logs; the same command continues what is there")
    images: str = choice(
        "auto",
        ("auto", "bank", "records"),
        "bank: features of extract_features; records: JPEGs through the encoder in "
        "every step; auto: records when --inc_ckpt is given",
    )
    inc_ckpt: str | None = field(None, "slim Inception-v4 checkpoint: the encoder then runs inside the step")
    imcap_ckpt: str | None = field(None, "im_caption run or checkpoint: all generator variables start from it")
    sae_ckpt: str | None = field(None, "sentence_gan run or checkpoint: the discriminator's LSTM, embedding and fc")
    w_adv: float = field(1.0, "weight of the adversarial reward and loss; 0 switches them off")
    w_obj: float = field(10.0, "weight of the concept reward; 0 switches it off")
    w_mse: float = field(100.0, "weight of the image reconstruction, on a mean over dimensions; 0 switches it off")
    w_sen: float = field(1.0, "weight of the sentence reconstruction; 0 switches it off")
    reward: tuple[str, ...] = repeated(
        "a reward beside these; may be repeated. consensus:weight=100,contrast=0.85: similarity of a caption to the "
        "predicted caption embedding of the image, for vectors of initialization.predict_caption_embeddings; weight=0 "
        "switches a recipe's off. FILE.py:ARGUMENT: a reward of your own, per word or per sentence (docs/extending.md)"
    )
    dis_warmup_steps: int = field(0, "first steps in which only the discriminator learns, at dis_warmup_lr")
    dis_warmup_lr: float = field(1e-3, "learning rate of the discriminator during the warm-up")
    standardise: bool = field(False, "image vectors minus their mean, over their std, before the projection")
    eval_images: int = field(200, "validation images whose greedy captions are watched for collapse, 0 = none")

    def __post_init__(self):
        object.__setattr__(self, "reward", reward_list.canonical(self.reward))


@dataclasses.dataclass(frozen=True)
class CrossEntropyTrainer(UnpairedTrainer):
    """Settings of the initialization stages that learn sentences by teacher forcing (UIC spec 9.1, 9.3, 9.4)."""

    batch_size: int = field(512, "global batch, split over the devices")
    lr: float = field(1e-3, "learning rate")
    lr_decay_steps: int = field(0, "steps in which the learning rate falls to 0 along a cosine, 0 = constant")
    beta1: float = field(0.9, "beta1 of Adam")


@dataclasses.dataclass(frozen=True)
class ObjectToSentence(CrossEntropyTrainer):
    """obj2sen: concept words -> sentence (UIC spec 9.1)."""

    job_dir: str = field("runs/obj2sen", "run directory; the same command continues what is there")
    save_checkpoint_steps: int = field(5000, "steps between checkpoints")
    detector: str = field("", "the detector that found the concepts, kept with the run so that caption.py can use it")
    labels: str | None = field(None, "class names of --detector")


@dataclasses.dataclass(frozen=True)
class ImageCaption(CrossEntropyTrainer):
    """im_caption: image -> pseudo caption (UIC spec 9.3)."""

    job_dir: str = field("runs/im_caption", "run directory; the same command continues what is there")
    save_checkpoint_steps: int = field(2000, "steps between checkpoints")
    captions: str = field(
        "obj2sen",
        "what is learned: obj2sen (gen_obj2sen_caption), retrieved (retrieve_captions), fit (assign_captions), STEM of "
        "other caption records, or pairs:FILE.jsonl (true captions of the training images: the supervised ceiling)",
    )
    images: str = choice(
        "auto",
        ("auto", "bank", "records"),
        "bank: features of extract_features; records: JPEGs through the encoder in "
        "every step; auto: records when --inc_ckpt is given",
    )
    inc_ckpt: str | None = field(None, "slim Inception-v4 checkpoint: the encoder then runs inside the step")
    o2s_ckpt: str | None = field(None, "obj2sen run or checkpoint: the generator but for its projection starts from it")
    standardise: bool = field(False, "image vectors minus their mean, over their std, before the projection")
    image_keep_prob: float = field(1.0, "share of the numbers of an image vector that is kept at each step, by lot")
    eval_images: int = field(200, "validation images whose greedy captions are watched for collapse, 0 = none")


@dataclasses.dataclass(frozen=True)
class SentenceAutoEncoder(CrossEntropyTrainer):
    """sentence_ae: noised sentence -> sentence (UIC spec 9.4)."""

    job_dir: str = field("runs/sentence_ae", "run directory; the same command continues what is there")
    save_checkpoint_steps: int = field(5000, "steps between checkpoints")


@dataclasses.dataclass(frozen=True)
class SentenceGan(AdversarialTrainer):
    """sentence_gan: sentences from noise against a discriminator (UIC spec 9.5)."""

    job_dir: str = field("runs/sentence_gan", "run directory; the same command continues what is there")
    batch_size: int = field(512, "global batch, split over the devices")
    save_checkpoint_steps: int = field(2000, "steps between checkpoints")
    sae_ckpt: str | None = field(
        "runs/sentence_ae",
        "sentence_ae run or checkpoint: the generator, the discriminator's LSTM and embedding; empty = fresh weights",
    )
    # The adversarial term alone (no annotation: these are no flags).
    w_adv, w_obj, w_mse, w_sen, reward = 1.0, 0.0, 0.0, 0.0, ()


# --------------------------------------------------------------------------------------------------------------
# What can be said about a trainer's settings before TensorFlow starts


def check_trainer(options, *checkpoint_flags):
    """Checks what all trainers share.

    Args:
      options: a Trainer.
      checkpoint_flags: names of the settings that point to a run or checkpoint to start from.

    Raises: UserError naming the flag.
    """
    for name in ("batch_size", "steps_per_loop", "save_checkpoint_steps", "save_summary_steps", "emb_dim"):
        if getattr(options, name) < 1:
            raise UserError(f"--{name} {getattr(options, name)}: expected at least 1")
    if isinstance(options, UnpairedTrainer) and options.emb_dim != options.mem_dim:
        raise UserError(
            f"--emb_dim {options.emb_dim} and --mem_dim {options.mem_dim} differ: the output matrix is the embedding"
        )
    for name in ("keep_prob", "image_keep_prob"):
        if not 0 < getattr(options, name, 1.0) <= 1:
            raise UserError(f"--{name} {getattr(options, name)}: expected a share above 0, at most 1")
    if getattr(options, "images", None) == "records" and not options.inc_ckpt:
        raise UserError("--images records runs the encoder in the step: give its checkpoint by --inc_ckpt")
    if options.precision not in (None, "bfloat16"):
        raise UserError(f"--precision {options.precision}: expected bfloat16, or nothing for float32")
    if options.xla and (options.multi_gpu or len(options.devices) > 1 or os.environ.get("TF_CONFIG")):
        raise UserError("--xla compiles for one device: leave out --multi_gpu, --devices and TF_CONFIG, or --xla")
    if not os.path.exists(os.path.join(options.data_dir, "word_counts.txt")):
        raise UserError(
            f"{options.data_dir}/word_counts.txt is missing. Make it with: "
            f"python -m preprocessing.process_descriptions --data_dir {shlex.quote(options.data_dir)} --new_dict"
        )
    started = glob.glob(os.path.join(glob.escape(options.job_dir), "ckpt-*.index"))
    for name in checkpoint_flags if not started else ():  # a run that goes on needs them no more
        path = getattr(options, name)
        if path and not os.path.exists(path) and not os.path.exists(path + ".index"):
            raise UserError(f"--{name} {path}: neither a run directory nor a checkpoint (no {path}.index)")
