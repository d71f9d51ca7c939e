"""Set-up shared by all trainers: threads and precision, the training images, the files that captioning will need."""

import dataclasses
import functools
import os
import shutil

import numpy as np
import tensorflow as tf

import cli
import reward_list
from formats import encoder_names, images, inventory, records, sidecars, writing
from formats.concepts import load_names
from input_pipeline import ImageSet
from models import encoders, precision
from models.consensus.consensus_reward import NgramProjection
from models.encoders import saved
from models.encoders.in_step import InStepEncoder


def configure(options):
    """Checks the data folder; sets threads, determinism and precision. Must be called before any TensorFlow operation.

    Args: options: config.Trainer.
    Raises: cli.UserError if the files of the data folder are damaged or do not belong together.
    """
    inventory.require_fit(options.data_dir, inventory.READ_BY_TRAINERS, options.verify)
    if options.intra_op_parallelism_threads:
        tf.config.threading.set_intra_op_parallelism_threads(options.intra_op_parallelism_threads)
    if options.inter_op_parallelism_threads:
        tf.config.threading.set_inter_op_parallelism_threads(options.inter_op_parallelism_threads)
    if options.deterministic:
        tf.config.experimental.enable_op_determinism()
    precision.use(options.precision)
    if options.xla:
        compile_with_xla()
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


def compile_with_xla():
    """Turns on XLA's automatic clustering; for CPUs, this sets the environment variable TF_XLA_FLAGS."""
    flags = os.environ.get("TF_XLA_FLAGS", "")
    os.environ["TF_XLA_FLAGS"] = f"{flags} --tf_xla_cpu_global_jit".strip()
    tf.config.optimizer.set_jit("autoclustering")


@dataclasses.dataclass
class TrainingImages:
    """The training images, and the encoder that computes their vectors.

    Attributes:
      image_set: ImageSet of the split "train". dim: dimension D of an image vector.
      encoder: the encoder that runs inside the training step; None with a feature bank.
      description: dict that JSON can hold, which describes the encoder of the vectors: its name, its files with their
        sha256, the preparation of photographs.
      statistics: (mean, std) of the feature bank's vectors, each float32 [D]; None without a bank.
    """

    image_set: ImageSet
    dim: int
    encoder: encoders.Encoder | None
    description: dict
    statistics: tuple | None

    @property
    def identity(self):
        """The entries of `description` that determine the vectors: dict, recorded in the run's config.json."""
        return encoders.identity(self.description)

    def in_step(self, options):
        """Returns the encoder as part of the training step, an InStepEncoder; None with a feature bank.

        Its last `options.train_encoder` blocks are trained. Must be called inside `strategy.scope()`.
        Raises: cli.UserError if the encoder has fewer blocks.
        """
        trained = getattr(options, "train_encoder", 0)
        return None if self.encoder is None else InStepEncoder(self.encoder, trained)


def training_images(options):
    """Returns the TrainingImages: from a feature bank, or from photographs that are encoded in each training step.

    Args: options: settings of a trainer with `images` and `inc_ckpt`. The encoder runs in the training step if `images`
      is "records", or if it is "auto" and `inc_ckpt` is given.
    Raises: cli.UserError if records or feature bank are missing or damaged, or for an encoder or a setting that needs a
      feature bank.
    """
    in_step = options.images == "records" or (options.images == "auto" and options.inc_ckpt)
    if not in_step:
        image_set = ImageSet.from_bank(options.data_dir, "train", options.skip_damaged)
        bank = image_set.bank
        return TrainingImages(image_set, bank.dim, None, bank.sidecar["encoder"], bank.statistics)
    if getattr(options, "standardise", False):
        raise cli.UserError("--standardise needs the statistics of a feature bank: use --images bank")
    if getattr(options, "train_encoder", 0) and os.path.exists(os.path.join(options.data_dir, NgramProjection.FILE)):
        raise cli.UserError(
            f"--train_encoder {options.train_encoder}: {options.data_dir} has predicted caption embeddings in place of "
            "image vectors; expected the data folder that they were made from"
        )
    exif = images.exif_noted(os.path.join(options.data_dir, "image_train.json"))
    encoder = encoder_of_checkpoint(options.inc_ckpt, exif)
    if encoder.in_step is None or encoder.cells is not None:
        raise cli.UserError(
            f"--inc_ckpt {options.inc_ckpt}: expected inception_v4, compact or keras, without #grid: only they run "
            "inside the training step; or use --images bank"
        )
    load_pixels = functools.partial(load_random_crops, encoder=encoder)
    image_set = ImageSet.from_records(options.data_dir, "train", load_pixels, options.skip_damaged)
    return TrainingImages(image_set, encoder.dim, encoder, encoder.describe(), None)


def concept_names(data_dir, vocabulary):
    """Returns the concept word that each of the V words of the vocabulary names, for the concept reward.

    Synonyms and plurals (`names.json` of the data folder) name the concept word; any other word names itself.

    Args: data_dir: data folder. vocabulary: Vocabulary.

    Returns: (names, concept_of_V), or (None, None) if there is no names.json or it is empty. names: dict synonym or
      plural -> concept word. concept_of_V: int32 [V], for each word id the id of the concept word that it names.
    """
    names = load_names(data_dir)
    if not names:
        return None, None
    concept_of_V = np.arange(vocabulary.size, dtype=np.int32)
    for name, word in names.items():
        concept_of_V[vocabulary.id(name)] = vocabulary.id(word)
    return names, concept_of_V


def reward_facts(options):
    """Returns the files that the rewards of a run read: dict file -> sha256 (hex).

    Files of the data folder are named without the folder, Python files with rewards of your own by their path. They
    are recorded in the run's config.json and must be the same when it is continued.

    Args: options: config.FullModel.
    Raises: cli.UserError if a sidecar is missing or damaged; OSError if a Python file cannot be read.
    """
    facts = {}
    for reward in reward_list.of(options):
        for name in reward.needs:
            about = sidecars.read_sidecar(os.path.join(options.data_dir, inventory.OUTPUTS[name].sidecar))
            facts |= {entry["name"]: entry["sha256"] for entry in about["files"]}
        if reward.file:
            facts[reward.file] = sidecars.fingerprint(reward.file)["sha256"]
    return facts


def encoder_of_checkpoint(path, exif):
    """Returns the encoder that `--inc_ckpt` names, as a models.encoders.Encoder.

    Args: path: value of the flag, a checkpoint of Inception-v4 or the name of an encoder (models/encoders/registry.py).
      exif: whether the encoder turns photographs by their EXIF orientation.
    Raises: cli.UserError if it cannot be loaded.
    """
    try:
        return encoders.load_encoder(path if encoder_names.is_name(path) else f"inception_v4:{path}", exif=exif)
    except ValueError as error:
        raise cli.UserError(str(error)) from error


def load_random_crops(locations, draws, encoder):
    """Returns a random crop of each image, prepared for an encoder: [n, S, S, 3], float32 or uint8 as it takes them.

    Args:
      locations: list of n locations of JPEG bytes in record files, for formats.records.read_at.
      draws: float64 [n, 2], uniform random numbers in [0, 1), which determine the crops.
      encoder: models.encoders.Encoder.
    """
    found = (images.read_image(records.read_at(location), encoder.exif) for location in locations)
    return np.stack([encoder.step_crop(image, draw) for image, draw in zip(found, draws, strict=True)])


def keep_for_inference(run, vocabulary, images=None):
    """Saves in the run directory what captioning needs: the vocabulary, and what belongs to `images` if they are given.

    That is the encoder, and `phrases.npz` if the image vectors are predicted caption embeddings (--consensus_weight). A
    file of more than 100 MB is not copied. If the encoder cannot be saved, it logs a warning; captioning then needs
    --encoder.

    Args: run: RunDirectory. vocabulary: Vocabulary. images: TrainingImages; None for a run without images.
    """
    if not run.writes:
        return
    vocabulary.save(run.file("vocabulary.txt"))
    folder = run.file("encoder")
    if images is None:
        return
    phrases = os.path.join(run.content["settings"]["data_dir"], NgramProjection.FILE)
    copy = run.file(NgramProjection.FILE)
    if os.path.exists(phrases) and not os.path.exists(copy) and os.path.getsize(phrases) < saved.COPY_LIMIT:
        writing.copy_file(phrases, copy)
    if os.path.exists(os.path.join(folder, "encoder.json")):
        return
    try:
        saved.save_encoder(images.description, folder)
    except ValueError as error:
        shutil.rmtree(folder, ignore_errors=True)
        run.log(f"WARNING: the encoder is not saved with the run; captioning will need --encoder: {error}")
