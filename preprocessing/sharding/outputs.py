"""Around the work of an image stage: going on or beginning, moving what is finished to its place, naming failures."""

import math
import os

import cli
from formats import record_files, sidecars
from preprocessing.sharding import shards

SHOWN = 20  # lines of a report that are printed; the sidecar has all
IMAGES_PER_SHARD = 500  # the size of a shard when --shards is 0: a few seconds to a few minutes of work


def shard_count(asked, image_count):
    """The number of shards: as asked for, or chosen from the number of images when 0 was given."""
    return asked or max(1, -(-image_count // IMAGES_PER_SHARD))


def begin_or_continue(work, plan, replaced, overwrite):
    """Makes the work folder, or says that the work of an earlier run of the same command goes on.

    Args:
      work: the folder.
      plan: JSON-able description of what shapes the work.
      replaced: list of (files that will be written, the sidecar that explains them).
      overwrite: files without a sidecar may be replaced.
    """
    if shards.is_unfinished(work, plan):
        print(f"{work}: continuing the unfinished work of the same command")
        return
    for paths, json_path in replaced:
        sidecars.refuse_unknown(paths, json_path, overwrite)
    shards.begin(work, plan)


def publish_records(data_dir, stem, finished):
    """Moves finished shards to their place and removes those of an earlier division; returns their new paths.

    The sidecar must be removed before and written after: it says that the set is complete.
    """
    paths = [shards.shard_path(data_dir, stem, i, len(finished)) for i in range(len(finished))]
    for old in set(record_files.files_of(data_dir, stem)).difference(paths):
        os.remove(old)
    for source, path in zip(finished, paths, strict=True):
        os.replace(source, path)
    return paths


def report_failures(failures, total, max_failures, stage):
    """Names the images that could not be used, and ends the stage when they are too many.

    Args:
      failures: list of (name, reason).
      total: number of images.
      max_failures: largest share that is accepted.
      stage: what the message says was being done.

    Raises:
      cli.UserError: the share is larger than `max_failures`.
    """
    if not failures:
        return
    for name, reason in failures[:SHOWN]:
        print(f"{stage}: {name}: {reason}")
    if len(failures) > SHOWN:
        print(f"{stage}: … and {len(failures) - SHOWN} more, all are listed in the JSON file beside the output")
    share = len(failures) / total
    if share > max_failures:
        enough = math.ceil(share * 1000) / 1000
        raise cli.UserError(
            f"{stage}: {len(failures)} of {total} images ({share:.1%}) cannot be used, the first is {failures[0][0]} "
            f"({failures[0][1]}). Mend or remove them, or accept more with --max_failures {enough}"
        )
    print(f"{stage}: {len(failures)} of {total} images cannot be used and are left out")
