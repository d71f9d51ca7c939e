"""Estimates disk, memory and hours of scripts/reproduce_uic.sh and checks that disk and memory suffice.

    python -m scripts.uic_cost --data_dir data/coco --runs runs/uic

Hours are computed, not measured: floating-point operations of a step divided by an assumed sustained speed of the
device (40 % of its TF32 peak; 60 GFLOP/s for two cores), at least 8 ms a step. Reading JPEGs, detecting objects and
scoring are not counted.

Inception-v4 takes 24.58 GFLOP an image, forward. With 18,669 words, 512 units and 20 words a caption, the full model
takes 4.13 GFLOP an example, and a decoder 0.47 forward, three times that with gradients (scripts/benchmark_flops.py).
"""

import dataclasses
import os
import shutil

import cli
import experiments

DEVICES = {"H200": 198e12, "RTX 3090": 14e12, "2 CPU cores": 60e9}  # sustained FLOP a second
TRUNK, FULL, DECODER = 24.58e9, 4.13e9, 3 * 0.47e9  # FLOP an example
SECONDS_AT_LEAST = 0.008
CROPS = 5 * 113_287 + 10_000  # crops in the feature banks

# stage, its row in configs/coco_shutterstock.py, FLOP an example without the encoder, images an example that pass the
# encoder when it is inside the step, GB of a checkpoint with both Adam moments
STAGES = (
    ("obj2sen", "con2sen", DECODER, 0, 0.28),
    ("im_caption", "feat2sen", DECODER, 1, 0.16),
    ("sentence_ae", "sentence_ae", DECODER, 0, 0.28),
    ("sentence_gan", "sentence_gan", FULL, 0, 0.28),
    ("full model", "full", FULL, 2, 0.29),
    ("full model from scratch", "full", FULL, 2, 0.29),
)


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.uic_cost."""

    data_dir: str = cli.field("data/coco", "folder that the stages will write")
    runs: str = cli.field("runs/uic", "folder of the runs")
    images: str = cli.choice("bank", ("bank", "records"), "bank: stored features; records: the encoder inside the step")
    smoke: bool = cli.field(False, "the miniature world with a few steps")


def settings(row):
    """Returns the settings of a row of configs/coco_shutterstock.py, e.g. a config.FullModel for the row "full"."""
    return experiments.row(f"coco_shutterstock/{row}")


def hours(flop, speed, steps=1):
    """Returns the hours that training steps take on a device, at least SECONDS_AT_LEAST a step.

    Args: flop: floating-point operations of a step. speed: those that the device does in a second. steps: number of
      steps.
    """
    return steps * max(flop / speed, SECONDS_AT_LEAST) / 3600


def table(images):
    """Returns the estimated hours: list of (stage, list of hours, one for each of DEVICES); the last one is the sum.

    Args: images: "bank" if image vectors are stored, "records" if the encoder runs inside the step.
    """
    rows = []
    if images == "bank":
        rows.append(("feature bank, 4 crops", [hours(CROPS * TRUNK, speed) for speed in DEVICES.values()]))
    for stage, row, words, encoded, _ in STAGES:
        trainer = settings(row)
        flop = trainer.batch_size * (words + (encoded * TRUNK if images == "records" else 0))
        rows.append((stage, [hours(flop, speed, trainer.max_steps) for speed in DEVICES.values()]))
    return [*rows, ("all of these", [sum(column) for column in zip(*(times for _, times in rows), strict=True)])]


def needs(options):
    """Estimates what the experiment needs: (GB of disk below data_dir, GB of disk below runs, GB of memory).

    Args: options: Options, of which `images` and `smoke` are read.
    """
    if options.smoke:
        return 0.2, 0.1, 2
    bank = 1.8 if options.images == "bank" else 0
    kept = [(settings(row), size) for _, row, _, _, size in STAGES]
    checkpoints = sum(trainer.max_steps // trainer.save_checkpoint_steps * size for trainer, size in kept)
    return 22 + 2 + bank, checkpoints, 6 if options.images == "bank" else 10


def free_disk(path):
    """Returns (free GB of the disk where `path` is or will be, id of this disk as int, equal for paths on one disk)."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return shutil.disk_usage(path).free / 1e9, os.stat(path).st_dev


def memory():
    """Returns the total memory of this machine, free or not, in GB."""
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9


def main(options):
    """Prints the estimate. Args: options: Options. Raises: cli.UserError if disk or memory do not suffice."""
    data_disk, runs_disk, least = needs(options)
    print("This run needs about (estimates):")
    print(f"  {data_disk:.1f} GB of disk for data, {runs_disk:.1f} GB for checkpoints, {least} GB of memory")
    if not options.smoke:
        print(f"  {'hours on':28}" + "".join(f"{device:>14}" for device in DEVICES))
        for stage, times in table(options.images):
            print(f"  {stage:28}" + "".join(f"{time:14.1f}" for time in times))
        print("  not run where this was written: no COCO images and no GPU there")
    (data_free, data_device), (runs_free, runs_device) = free_disk(options.data_dir), free_disk(options.runs)
    if data_device == runs_device:
        wanted = {options.data_dir: (data_disk + runs_disk, data_free)}
    else:
        wanted = {options.data_dir: (data_disk, data_free), options.runs: (runs_disk, runs_free)}
    for path, (needed, free) in wanted.items():
        if free < needed:
            raise cli.UserError(
                f"{path}: {free:.1f} GB of disk are free, about {needed:.1f} GB are needed. Make room, give another "
                "--data_dir or --runs, or continue with --unchecked (a run that has begun needs less)."
            )
    there = memory()
    if there < least:
        raise cli.UserError(f"this machine has {there:.1f} GB of memory, about {least} GB are needed (--unchecked)")
    print(f"  there: {data_free:.0f} GB of disk, {there:.0f} GB of memory")


if __name__ == "__main__":
    cli.run(main, Options)
