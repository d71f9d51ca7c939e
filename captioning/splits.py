"""Data for scoring a run: references, image names and image vectors of a split, and the time that training took."""

import os

import numpy as np

import cli
import registry
from captioning.captioner import encoder_of_run
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
    return sorted(records.read_images(records.find_files(data_dir, f"image_{split}")).names)


def image_captioner(options, data_dir):
    """Returns a function (checkpoint, split, names) -> (Captioner, its input rows for the named images).

    evaluation.scoring calls the function. The rows are image vectors float32 [N, D] or [N, cells, D]; for a run that
    reads concept words they are the concept words in the image records, int32 [N, K].

    Args: options: settings of the command, with job_dir, encoder, system, devices and multi_gpu. data_dir: data folder.
    Raises: cli.UserError if the run cannot be read or a device does not exist; the function raises it if checkpoint,
      records or feature bank are missing or do not belong to the run.
    """
    registry.import_packages(options.system)
    strategy, job_dir, encoder = distribution.local_strategy(options), options.job_dir, options.encoder
    system = registry.system_of(read_config(job_dir), job_dir)

    def open_run(checkpoint, split, names):
        with strategy.scope():
            captioner = system.load("captioner").from_run(job_dir, checkpoint)
        if system.reads_concepts:
            return captioner, captioner.rows_of_split(data_dir, split, names)
        return captioner, split_vectors(job_dir, data_dir, split, names, encoder)

    return open_run


def split_vectors(job_dir, data_dir, split, names, encoder=None):
    """Returns the vectors of the centre crops of N named images: float32 [N, D] or [N, cells, D], in their order.

    They are read from the feature bank if there is one, else computed from the JPEG bytes in the image records.

    Args: job_dir: run directory. data_dir: data folder. split: "train", "val" or "test". names: names of images of the
      split. encoder: name of the encoder, if the run has no copy or its files have moved; else None.
    Raises: cli.UserError if the feature bank was made with another encoder than the run's or lacks an image, or the
      encoder cannot be loaded.
    """
    if os.path.exists(os.path.join(data_dir, f"features_{split}.json")):
        bank = FeatureBank(data_dir, split)
        wanted = read_config(job_dir)["facts"]["encoder"] or {}  # an imported run may not know its encoder
        found = encoders.identity(bank.sidecar["encoder"])
        different = [key for key in wanted if found.get(key) != wanted[key]]
        if different:
            raise cli.UserError(
                f"{data_dir}/features_{split}.npy comes from another encoder than the run {job_dir}: {different[0]} is "
                f"{found.get(different[0])}, expected {wanted[different[0]]}"
            )
        return bank.centre(bank.rows(names))
    return _encoded(encoder_of_run(job_dir, encoder), data_dir, split, names)


def _encoded(network, data_dir, split, names, batch=16):
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
