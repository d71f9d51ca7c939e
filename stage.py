"""What every trainer does before its first step: threads, training images, and what captioning will need later."""

import dataclasses
import os
import shutil

import numpy as np
import tensorflow as tf

import config
from input_pipeline import ImageSet
from models import encoders, image_ops
from preprocessing import records


def configure(options):
    """Threads and determinism. Must come before any TensorFlow operation."""
    tf.config.threading.set_intra_op_parallelism_threads(options.intra_op_parallelism_threads)
    tf.config.threading.set_inter_op_parallelism_threads(options.inter_op_parallelism_threads)
    tf.config.experimental.enable_op_determinism()
    for device in tf.config.list_physical_devices("GPU"):
        tf.config.experimental.set_memory_growth(device, True)


@dataclasses.dataclass
class TrainingImages:
    """The training photographs and how they become vectors.

    encode: function pixels [B, S, S, 3] -> float32 [B, D] that runs inside the step; None with a feature bank.
    """

    image_set: ImageSet
    dim: int
    encoder: encoders.Encoder | None
    encode: object
    description: dict
    statistics: tuple | None

    @property
    def identity(self):
        """What decides about the vectors, for the run's facts."""
        return encoders.identity(self.description)


def training_images(options):
    """The training images that `--images` and `--inc_ckpt` ask for."""
    in_step = options.images == "records" or (options.images == "auto" and options.inc_ckpt)
    if not in_step:
        image_set = ImageSet.from_bank(options.data_dir, "train")
        bank = image_set.bank
        return TrainingImages(image_set, bank.dim, None, None, bank.sidecar["encoder"], bank.statistics)
    if getattr(options, "standardise", False):
        raise config.UserError("--standardise needs the statistics of a feature bank: use --images bank")
    encoder = load_encoder(options.inc_ckpt if ":" in options.inc_ckpt else f"inception_v4:{options.inc_ckpt}")
    image_set = ImageSet.from_records(options.data_dir, "train", load_random_crops)
    return TrainingImages(image_set, encoder.dim, encoder, encoder.network, encoder.describe(), None)


def load_encoder(spec):
    """encoders.load_encoder with its errors as a user's."""
    try:
        return encoders.load_encoder(spec)
    except ValueError as error:
        raise config.UserError(str(error)) from error


def load_random_crops(locations, generator):
    """JPEG bytes -> float32 [n, 299, 299, 3] in -1 to 1: legacy resize to 346, a random 299 crop (UIC spec 5.3)."""
    corners = generator.integers(0, image_ops.OFFSETS, (len(locations), 2)).astype(np.int32)
    crops = []
    for location, corner in zip(locations, corners, strict=True):
        image = tf.io.decode_jpeg(records.read_at(location), channels=3)
        resized = image_ops.resize(image_ops.to_unit(image)[None], image_ops.RESIZED, "legacy")
        crops.append(image_ops.to_signed(image_ops.crop_299(resized, tf.constant(corner[None])))[0])
    return np.stack([crop.numpy() for crop in crops])


def keep_for_inference(run, vocabulary, images):
    """Puts the vocabulary and the encoder into the run directory, so that it can caption on its own."""
    if not run.writes:
        return
    vocabulary.save(run.file("vocabulary.txt"))
    folder = run.file("encoder")
    if os.path.exists(os.path.join(folder, "encoder.json")):
        return
    try:
        encoder = images.encoder or encoders.load_encoder_from(images.description)
        encoders.save_encoder(encoder, folder)
    except ValueError as error:
        shutil.rmtree(folder, ignore_errors=True)
        run.log(f"WARNING: the encoder is not kept with the run, captioning will need --encoder: {error}")
