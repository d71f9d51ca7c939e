"""Data for scoring a run: references, image names and image vectors of a split, and the time that training took."""

import os

import numpy as np

import cli
import registry
from captioning.run_content import encoder_of_run, trains_encoder
from formats import made_by, record_files, records, sidecars
from formats.captions import read_references
from formats.readers import is_number
from input_pipeline import FeatureBank
from models import encoders
from training import distribution
from training.run_directory import read_config, read_log


def references_of(data_dir, split):
    """Returns the references in refs_SPLIT.json: dict image name -> list of captions.

    Returns {} if no image of the split has a reference, or the data folder has no such split.

    Raises: cli.UserError if the file is missing although the image records have references.
    """
    path = os.path.join(data_dir, f"refs_{split}.json")
    if not os.path.exists(path):
        described = os.path.join(data_dir, f"image_{split}.json")
        if os.path.exists(described) and not sidecars.read_sidecar(described).get("references"):
            return {}
        trains = record_files.files_of(data_dir, "image_train")
        if trains and not os.path.exists(described) and not record_files.files_of(data_dir, f"image_{split}"):
            return {}  # no such split was listed
        raise cli.UserError(
            f"{path} is missing, so captions cannot be scored. It is made from a data set with captions by: "
            f"{made_by.command(data_dir, f'refs_{split}', again=True)}"
        )
    return read_references(path)


def names_of(data_dir, split):
    """Returns the sorted list of the names of a split's images, from the feature bank or else from the image records.

    Args: data_dir: data folder. split: "train", "val" or "test". Raises: cli.UserError if there is neither.
    """
    path = os.path.join(data_dir, f"features_{split}.json")
    if os.path.exists(path):
        return sorted(FeatureBank(data_dir, split).names)
    return names_in_records(data_dir, split)


def names_in_records(data_dir, split):
    """Returns the sorted list of the names of a split's images, from the image records. Args: as of `names_of`."""
    return sorted(records.read_images(records.find_files(data_dir, f"image_{split}")).names)


def image_captioner(options, data_dir):
    """Returns a function (checkpoint, split, names) -> (Captioner, its input rows for the named images).

    evaluation.scoring calls the function. For the same images it returns the same Captioner again, with the weights of
    the new checkpoint. The rows are image vectors float32 [N, D] or [N, cells, D]; for a run that
    reads concept words they are the concept words in the image records, int32 [N, K].

    Args: options: settings of the command, with job_dir, encoder, system, devices and multi_gpu. data_dir: data folder.
    Raises: cli.UserError if the run cannot be read or a device does not exist; the function raises it if checkpoint,
      records or feature bank are missing or do not belong to the run.
    """
    registry.import_packages(options.system)
    strategy, job_dir, encoder = distribution.local_strategy(options), options.job_dir, options.encoder
    content = read_config(job_dir)
    system = registry.system_of(content, job_dir)

    def rows_of(checkpoint, split, names):
        return split_vectors(job_dir, checkpoint, data_dir, split, names, encoder)

    def open_run(checkpoint, split, names):
        with strategy.scope():
            captioner = system.load("captioner").from_run(job_dir, checkpoint)
        if system.reads_concepts:
            return captioner, captioner.rows_of_split(data_dir, split, names)
        return captioner, rows_of(checkpoint, split, names)

    return opened_once(open_run, rows_of if trains_encoder(content) else None)


def opened_once(open_run, rows_of=None):
    """Returns a function like `open_run` that builds a captioner only once, and later loads checkpoints into it.

    From the second call with the same images on, `checkpoint` must be the path of a checkpoint without its ending.

    Args: open_run: function (checkpoint, split, names) -> (captioner, rows). rows_of: function with these arguments
      that returns the rows alone, if they depend on the checkpoint; None if they do not.
    """
    opened = {}

    def open_again(checkpoint, split, names):
        key = split, tuple(names)
        if key not in opened:
            opened[key] = open_run(checkpoint, split, names)
            return opened[key]
        captioner, rows = opened[key]
        captioner.load(checkpoint)
        return captioner, rows if rows_of is None else rows_of(checkpoint, split, names)

    return open_again


def split_vectors(job_dir, checkpoint, data_dir, split, names, encoder=None):
    """Returns the vectors of the centre crops of N named images: float32 [N, D] or [N, cells, D], in their order.

    They are read from the feature bank if there is one, else computed from the JPEG bytes in the image records. If the
    run trains its encoder, they are computed with the weights of the checkpoint; the bank has those of another encoder.

    Args: job_dir: run directory. checkpoint: "best", "newest", a step, or a path. data_dir: data folder. split:
      "train", "val" or "test". names: names of images of the split. encoder: name of the encoder, if the run has no
      copy or its files have moved; else None.
    Raises: cli.UserError if the feature bank was made with another encoder than the run's or lacks an image, or the
      encoder cannot be loaded.
    """
    content = read_config(job_dir)
    if os.path.exists(os.path.join(data_dir, f"features_{split}.json")) and not trains_encoder(content):
        bank = FeatureBank(data_dir, split)
        wanted = content["facts"]["encoder"] or {}  # an imported run may not know its encoder
        found = encoders.identity(bank.sidecar["encoder"])
        different = [key for key in wanted if found.get(key) != wanted[key]]
        if different:
            raise cli.UserError(
                f"{data_dir}/features_{split}.npy comes from another encoder than the run {job_dir}: {different[0]} is "
                f"{found.get(different[0])}, expected {wanted[different[0]]}"
            )
        return bank.centre(bank.rows(names))
    return encoded(encoder_of_run(job_dir, checkpoint, encoder), data_dir, split, names)


def encoded(network, data_dir, split, names, batch=16):
    """Encodes the centre crops of the JPEG images in a split's records: float32 [N, D] or [N, cells, D].

    Args: network: Encoder. names: N image names, which determine the order of the result. batch: number of images
      encoded at once.
    """
    from formats import images

    found = records.read_images(records.find_files(data_dir, f"image_{split}"), with_data=True)
    location = dict(zip(found.names, found.data, strict=True))
    vectors = []
    for start in cli.progress(range(0, len(names), batch), "encoding"):
        crops = [
            network.crops(images.read_image(records.read_at(location[name]), network.exif), 0, 0)[0]
            for name in names[start : start + batch]
        ]
        vectors.append(network.encode(np.stack(crops)))
    return np.concatenate(vectors)


def training_minutes(job_dir, step):
    """Returns the minutes that a run's training took up to a step, a float; None if RUN/timing.jsonl has no times."""
    timing = [entry for entry in read_log(job_dir, "timing.jsonl") if is_number(entry.get("seconds_per_step"))]
    seconds, last = 0.0, 0
    for entry in timing:
        if entry["step"] <= step:
            seconds += entry["seconds_per_step"] * (entry["step"] - last)
            last = entry["step"]
    return round(seconds / 60, 2) if timing else None
