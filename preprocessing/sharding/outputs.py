"""Functions shared by the stages that process images: begin or continue work, publish files, report failures."""

import math
import os

import cli
from formats import record_files, sidecars
from preprocessing.sharding import shards

SHOWN = 20  # lines of a report that are printed; the sidecar lists all
IMAGES_PER_SHARD = 500  # the size of a shard when --shards is 0: a few seconds to a few minutes of work


def shard_count(asked, image_count):
    """Returns the number of shards: `asked`; if this is 0, one for every IMAGES_PER_SHARD images."""
    return asked or max(1, -(-image_count // IMAGES_PER_SHARD))


def begin_or_continue(work, plan, replaced, overwrite):
    """Makes an empty work folder; or keeps it, and prints so, if it holds unfinished work of the same plan.

    Args:
      work: path of the folder.
      plan: JSON-able description of the settings and inputs of the work.
      replaced: list of (list of files that the stage will write, path of their sidecar); they are not changed here.
      overwrite: whether files without a sidecar may be replaced.

    Raises: cli.UserError if files without a sidecar would be replaced and `overwrite` is False.
    """
    if shards.is_unfinished(work, plan):
        print(f"{work}: continuing the unfinished work of the same command")
        return
    for paths, json_path in replaced:
        sidecars.refuse_unknown(paths, json_path, overwrite)
    shards.begin(work, plan)


def publish_records(data_dir, stem, finished):
    """Moves finished record files to the data folder and removes those of an earlier output.

    The sidecar marks the set as complete, so it must be removed before and written after this.

    Args: stem: beginning of the new file names. finished: list of the paths of the files, in order.
    Returns: list of their new paths, in order.
    """
    paths = [shards.shard_path(data_dir, stem, i, len(finished)) for i in range(len(finished))]
    for old in set(record_files.files_of(data_dir, stem)).difference(paths):
        os.remove(old)
    for source, path in zip(finished, paths, strict=True):
        os.replace(source, path)
    return paths


def report_failures(failures, total, max_failures, stage):
    """Prints the number of the images that could not be used, and the first ones; nothing if there are none.

    Args:
      failures: list of (name, reason).
      total: number of images.
      max_failures: largest share (0 to 1) of the images that may fail.
      stage: name of the stage, for the message.

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
            f"({failures[0][1]}). Repair or remove them, or accept more with --max_failures {enough}"
        )
    print(f"{stage}: {len(failures)} of {total} images cannot be used and are left out")
