"""The settings of the trainers: one frozen dataclass for each stage. Named sets of values are in configs/."""

import dataclasses
import glob
import os
import shlex

import reward_list
from cli import UserError, choice, field, repeated

INC_CKPT = "the encoder runs inside the training step: a slim Inception-v4 checkpoint, compact:FILE or keras:NAME"
TRAIN_ENCODER = (
    "train the last N blocks of the image encoder with the captioner, compact: or keras:, not with a feature bank "
    "(docs/detectors_encoders.md); 0 = none"
)
DECODE = "how caption.py and serve.py decode by default, a value of caption.py --decode; eval_val.py is told by its own"


@dataclasses.dataclass(frozen=True)
class Trainer:
    """Base class of the settings of a trainer: the settings that all trainers have."""

    recipe: str | None = field(None, "named configuration to start from; single flags override it")
    data_dir: str = field("data/default", "folder that all stages share")
    job_dir: str = field("runs/run", "run directory: checkpoints, logs; the same command continues an interrupted run")
    seed: int = field(1, "seed of initial weights, data order, dropout and sampling")
    semantics: str = choice(
        "fixed",
        ("fixed", "reference"),
        "reference: the authors' program, quirk by quirk (docs/implementation_details.md)",
    )
    batch_size: int = field(64, "global batch, split over the devices")
    accumulate: int = field(
        1, "micro-batches of an update, computed one after the other to save memory; their gradients are added up"
    )
    max_steps: int = field(1_000_000, "last step")
    save_checkpoint_steps: int = field(1000, "steps between checkpoints")
    patience: int = field(
        0,
        "end when this many ranked checkpoints in a row are no better on validation (b34.json of eval_val.py --watch, "
        "else best.json); 0 = never",
    )
    keep_checkpoints: int = field(100, "number of newest checkpoints to keep (the authors keep 100)")
    keep_every_steps: int = field(0, "checkpoints at multiples of this step are never removed; 0 = none")
    save_summary_steps: int = field(100, "steps between two log lines")
    steps_per_loop: int = field(10, "updates in one call of the compiled loop")
    emb_dim: int = field(512, "dimension of word vectors; equal to mem_dim because the output matrix is the embedding")
    mem_dim: int = field(512, "LSTM units")
    keep_prob: float = field(0.8, "keep probability of dropout on inputs and outputs of the LSTMs (quirk Q6)")
    clip_norm: float = field(10.0, "maximum global norm of a network's gradients; larger ones are clipped to it")
    max_sentence_length: int = field(0, "drop longer corpus sentences, in words with both markers; 0 = keep all")
    multi_gpu: bool = field(False, "train on all visible GPUs (tf.distribute.MirroredStrategy)")
    devices: tuple[str, ...] = field((), "train on these devices (MirroredStrategy), e.g. GPU:0,GPU:1")
    worker_timeout: int = field(600, "seconds that a worker of a cluster waits for the others before it stops")
    precision: str | None = field(
        None, "bfloat16: precision of matrix products, on GPUs that support it; default float32"
    )
    xla: bool = field(False, "compile operations of fixed shape with XLA; on one device only")
    deterministic: bool = field(
        True, "the same bits at every start; --nodeterministic allows faster operations on GPUs (docs/gpu.md)"
    )
    verify: bool = field(False, "compare the checksums of all data files with their sidecars before the first step")
    skip_damaged: bool = field(False, "skip damaged records and count them; without it they are an error")
    optimizer: str = choice("adam", ("adam", "sgd"), "sgd is for numerical tests")
    intra_op_parallelism_threads: int = field(0, "TensorFlow threads inside an operation, 0 = all")
    inter_op_parallelism_threads: int = field(0, "TensorFlow threads between operations, 0 = all")

    def outputs(self):
        """Returns the paths that a trainer writes, for cli.run: (files, folders), which are () and (job_dir,)."""
        return (), (self.job_dir,)


@dataclasses.dataclass(frozen=True)
class UnpairedTrainer(Trainer):
    """Base class of the settings of the full model and of its initialization stages, which train the same networks."""

    feature_scale: float = field(1.0, "factor on the feature as input of the LSTM; losses use the unit feature")


@dataclasses.dataclass(frozen=True)
class AdversarialTrainer(UnpairedTrainer):
    """Base class of the settings of the full model and of sentence_gan, which train a generator by a discriminator."""

    gen_lr: float = field(1e-4, "learning rate of the generator")
    dis_lr: float = field(1e-4, "learning rate of the discriminator")
    lr_decay_steps: int = field(
        0, "steps of the cosine decay of all learning rates to 0, after the warm-up; 0 = constant, as in the paper"
    )
    beta1: float = field(0.5, "beta1 of both Adam optimizers")
    max_caption_length: int = field(20, "maximum number of words of a caption")
    gamma: float = field(0.9, "discount of later rewards")
    label_smoothing: float = field(0.25, "label smoothing: the target of real words is 1 - half of this")
    advantage_clip: float = field(5.0, "maximum absolute value of an advantage; larger ones are clipped")
    baseline: str = choice(
        "greedy", ("greedy", "none"), "greedy: the return of the greedy caption (self-critical); none: no baseline"
    )
    baseline_mask: str = choice(
        "sample",
        ("sample", "own"),
        "caption whose length ends the baseline's rewards (quirk Q1); with own, short captions are favoured and shrink",
    )


@dataclasses.dataclass(frozen=True)
class FullModel(AdversarialTrainer):
    """Settings of the full model, with all rewards and losses of the paper (Feng et al. 2019, equations 3 to 12)."""

    job_dir: str = field("runs/full", "run directory: checkpoints, logs; the same command continues an interrupted run")
    images: str = choice(
        "auto",
        ("auto", "bank", "records"),
        "bank: the feature bank of extract_features; records: JPEGs, encoded inside the "
        "training step; auto: records if --inc_ckpt is given",
    )
    inc_ckpt: str | None = field(None, INC_CKPT)
    train_encoder: int = field(0, TRAIN_ENCODER)
    encoder_lr: float = field(1e-5, "learning rate of the blocks of --train_encoder")
    imcap_ckpt: str | None = field(None, "im_caption run or checkpoint; initialises the generator")
    sae_ckpt: str | None = field(
        None, "sentence_gan run or checkpoint; initialises LSTM, embedding and fc of the discriminator"
    )
    w_adv: float = field(1.0, "weight of the adversarial reward (equation 4) and loss (5); 0 = off")
    w_obj: float = field(10.0, "weight of the concept reward (equation 6); 0 = off")
    w_mse: float = field(100.0, "weight of the image reconstruction (equation 8), a mean over dimensions; 0 = off")
    w_sen: float = field(1.0, "weight of the sentence reconstruction (equation 10); 0 = off")
    w_anchor: float = field(
        0.0,
        "weight of the divergence from the initialization (--imcap_ckpt), averaged over the words of sampled captions; "
        "0 = off; not in the paper",
    )
    reward: tuple[str, ...] = repeated(reward_list.help_text())
    dis_warmup_steps: int = field(
        0, "number of first steps in which only the discriminator is trained, at dis_warmup_lr"
    )
    dis_warmup_lr: float = field(1e-3, "learning rate of the discriminator during the warm-up")
    standardise: bool = field(
        False, "standardise image vectors before the projection: subtract the mean, divide by the std"
    )
    eval_images: int = field(200, "validation images captioned greedily to detect collapse; 0 = none")
    decode: str = field("beam3", DECODE)

    def __post_init__(self):
        object.__setattr__(self, "reward", reward_list.canonical(self.reward))


@dataclasses.dataclass(frozen=True)
class CrossEntropyTrainer(UnpairedTrainer):
    """Base class of the settings of obj2sen, im_caption and sentence_ae, which are trained by teacher forcing."""

    batch_size: int = field(512, "global batch, split over the devices")
    lr: float = field(1e-3, "learning rate")
    lr_decay_steps: int = field(0, "steps of the cosine decay of the learning rate to 0; 0 = constant rate")
    beta1: float = field(0.9, "beta1 of Adam")


@dataclasses.dataclass(frozen=True)
class ObjectToSentence(CrossEntropyTrainer):
    """Settings of obj2sen: a network that is trained to generate a sentence from its concept words."""

    job_dir: str = field("runs/obj2sen", "run directory; the same command continues an interrupted run")
    save_checkpoint_steps: int = field(5000, "steps between checkpoints")
    detector: str = field("", "the detector that found the concepts; copied into the run for caption.py")
    labels: str | None = field(None, "class names of --detector")


@dataclasses.dataclass(frozen=True)
class ImageCaption(CrossEntropyTrainer):
    """Settings of im_caption: a captioner that is trained on pseudo captions of images."""

    job_dir: str = field("runs/im_caption", "run directory; the same command continues an interrupted run")
    save_checkpoint_steps: int = field(2000, "steps between checkpoints")
    captions: str = field(
        "obj2sen",
        "pseudo captions: obj2sen (of gen_obj2sen_caption), retrieved (retrieve_captions), fit (assign_captions), "
        "fit:FILE.npz (choose_captions), the STEM of other caption records, or pairs:FILE.jsonl (true captions: the "
        "supervised ceiling)",
    )
    images: str = choice(
        "auto",
        ("auto", "bank", "records"),
        "bank: the feature bank of extract_features; records: JPEGs, encoded inside the "
        "training step; auto: records if --inc_ckpt is given",
    )
    inc_ckpt: str | None = field(None, INC_CKPT)
    train_encoder: int = field(0, TRAIN_ENCODER)
    encoder_lr: float = field(1e-5, "learning rate of the blocks of --train_encoder")
    o2s_ckpt: str | None = field(None, "obj2sen run or checkpoint; initialises the generator without its projection")
    imcap_ckpt: str | None = field(None, "im_caption run or checkpoint; initialises the generator")
    standardise: bool = field(
        False, "standardise image vectors before the projection: subtract the mean, divide by the std"
    )
    image_keep_prob: float = field(1.0, "keep probability of dropout on the image vector")
    eval_images: int = field(200, "validation images captioned greedily to detect collapse; 0 = none")
    decode: str = field("beam3", DECODE)


@dataclasses.dataclass(frozen=True)
class SentenceAutoEncoder(CrossEntropyTrainer):
    """Settings of sentence_ae: an auto-encoder that is trained to restore noised sentences."""

    job_dir: str = field("runs/sentence_ae", "run directory; the same command continues an interrupted run")
    save_checkpoint_steps: int = field(5000, "steps between checkpoints")


@dataclasses.dataclass(frozen=True)
class SentenceGan(AdversarialTrainer):
    """Settings of sentence_gan: a generator of sentences from noise, trained against a discriminator."""

    job_dir: str = field("runs/sentence_gan", "run directory; the same command continues an interrupted run")
    batch_size: int = field(512, "global batch, split over the devices")
    save_checkpoint_steps: int = field(2000, "steps between checkpoints")
    sae_ckpt: str | None = field(
        "runs/sentence_ae",
        "sentence_ae run or checkpoint; initialises generator and the discriminator's LSTM and embedding; empty: none",
    )
    # The adversarial term alone. Without annotations these are not fields, so not flags.
    w_adv, w_obj, w_mse, w_sen, reward = 1.0, 0.0, 0.0, 0.0, ()


# --------------------------------------------------------------------------------------------------------------
# Checks before TensorFlow starts


def _check_train_encoder(options):
    """Raises UserError if the settings of a training of the image encoder are invalid. Args: options: a Trainer."""
    trained = getattr(options, "train_encoder", 0)
    if trained < 0:
        raise UserError(f"--train_encoder {trained}: expected a number of blocks, or 0 to train none")
    if not trained:
        return
    if options.images == "bank" or not options.inc_ckpt:
        raise UserError(
            f"--train_encoder {trained} trains the encoder inside the training step, not with a feature bank: use "
            "--images records and name the encoder by --inc_ckpt compact:FILE or keras:NAME"
        )
    if options.encoder_lr < 0:
        raise UserError(
            f"--encoder_lr {options.encoder_lr}: expected a positive number, or 0 to keep the blocks as they are"
        )
    if getattr(options, "w_anchor", 0):
        raise UserError(
            "--w_anchor keeps the captioner near its initialization, whose image vectors --train_encoder changes: omit "
            "one of them"
        )


def check_trainer(options, *checkpoint_flags):
    """Checks the settings that all trainers share, the data folder's vocabulary, and checkpoints to initialise from.

    Args:
      options: a Trainer.
      checkpoint_flags: names of the settings that name a run or checkpoint to initialise from, e.g. "sae_ckpt".

    Raises: UserError if a setting is invalid or a file is missing; the message names the flag.
    """
    counts = ("batch_size", "accumulate", "steps_per_loop", "save_checkpoint_steps", "save_summary_steps", "emb_dim")
    for name in counts:
        if getattr(options, name) < 1:
            raise UserError(f"--{name} {getattr(options, name)}: expected at least 1")
    if options.patience < 0:
        raise UserError(f"--patience {options.patience}: expected a number of checkpoints, or 0 for no limit")
    if options.patience and isinstance(options, SentenceGan):
        raise UserError("--patience: the checkpoints of sentence_gan are not ranked; omit it, --max_steps ends the run")
    if isinstance(options, UnpairedTrainer) and options.emb_dim != options.mem_dim:
        raise UserError(
            f"--emb_dim {options.emb_dim} and --mem_dim {options.mem_dim} differ: the output matrix is the embedding"
        )
    for name in ("keep_prob", "image_keep_prob"):
        if not 0 < getattr(options, name, 1.0) <= 1:
            raise UserError(f"--{name} {getattr(options, name)}: expected a probability above 0, at most 1")
    if getattr(options, "images", None) == "records" and not options.inc_ckpt:
        raise UserError("--images records runs the encoder inside the training step: name its checkpoint by --inc_ckpt")
    _check_train_encoder(options)
    if options.precision not in (None, "bfloat16"):
        raise UserError(f"--precision {options.precision}: expected bfloat16, or no --precision for float32")
    if options.xla and (options.multi_gpu or len(options.devices) > 1 or os.environ.get("TF_CONFIG")):
        raise UserError("--xla works on one device only: omit --multi_gpu, --devices and TF_CONFIG, or --xla")
    if not os.path.exists(os.path.join(options.data_dir, "word_counts.txt")):
        raise UserError(
            f"{options.data_dir}/word_counts.txt is missing. Make it with: "
            f"python -m preprocessing.process_descriptions --data_dir {shlex.quote(options.data_dir)} --new_dict"
        )
    started = glob.glob(os.path.join(glob.escape(options.job_dir), "ckpt-*.index"))
    for name in checkpoint_flags if not started else ():  # a resumed run does not read them
        path = getattr(options, name)
        if path and not os.path.exists(path) and not os.path.exists(path + ".index"):
            raise UserError(f"--{name} {path}: neither a run directory nor a checkpoint (no {path}.index)")
