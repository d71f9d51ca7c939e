"""Compares the losses of the first 20 steps of every trainer with stored ones, to prove that a change kept the numbers.

    python -m scripts.golden_losses --check      compares with tests/golden_losses/*.json
    python -m scripts.golden_losses --write      writes these files

On the processor and the version of TensorFlow that a file was written with, every number must be the same to the last
bit. Elsewhere the numbers of step 20 must agree to a relative 1e-4, and the command says so. Uses one thread and the
tests' tiny world.
"""

import dataclasses
import json
import os
import tempfile

import cli
import config

FOLDER = os.path.join("tests", "golden_losses")
STEPS = 20
TOLERANCE = 1e-4  # at step 20, on another kind of processor
FLAGS = ("avx", "avx2", "fma", "f16c", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "sse4_2")
KEPT = ("loss", "gradient_norm", "reward/concept")  # first parts of the names of the stored metrics
SMALL = {
    "emb_dim": 8,
    "mem_dim": 8,
    "batch_size": 8,
    "steps_per_loop": 4,
    "max_steps": STEPS,
    "save_checkpoint_steps": STEPS,
    "save_summary_steps": 1,
    "intra_op_parallelism_threads": 1,
    "inter_op_parallelism_threads": 1,
}


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.golden_losses."""

    check: bool = cli.field(False, "compare with the files")
    write: bool = cli.field(False, "write the files")
    trainers: tuple[str, ...] = cli.field((), "names of trainers; empty = all")


def environment():
    """Returns what the last bits of the losses depend on, as a dict.

    "processor" is the list of those of FLAGS that the CPU has, "tensorflow" its version (str), "threads" their number.
    """
    import tensorflow as tf

    with open("/proc/cpuinfo") as file:
        found = next((line for line in file if line.startswith("flags")), "").split()
    flags = [flag for flag in FLAGS if flag in found]
    return {"processor": flags, "tensorflow": tf.__version__, "threads": SMALL["intra_op_parallelism_threads"]}


# --------------------------------------------------------------------------------------------------------------
# The trainers


def trainers(folder):
    """Returns dict trainer name -> function without arguments that trains 20 steps and returns the run directory.

    Args: folder: an empty folder, into which the data are written first.
    """
    import train
    from baselines import r2m, show_attend_tell, show_tell
    from baselines.r2m.configuration import R2M
    from baselines.supervised import settings
    from initialization import (
        im_caption,
        obj2sen,
        predict_caption_embeddings,
        retrieve_captions,
        sentence_ae,
        sentence_gan,
    )
    from tests import tiny_world
    from tests.baselines.conftest import make_grid, write_pairs

    data, cells, near = (os.path.join(folder, name) for name in ("data", "cells", "near"))
    tiny_world.make(data, sentences=150)
    pairs = "pairs:" + write_pairs(data)
    tiny_world.make(cells, sentences=150)
    make_grid(cells)
    retrieve_captions.main(retrieve_captions.Options(data_dir=data, neighbours=5))
    predict_caption_embeddings.main(
        predict_caption_embeddings.Options(data_dir=data, output_dir=near, dim=4, ridge=0.3)
    )

    def run(name, module, options_class, **values):
        def start():
            known = {item.name for item in dataclasses.fields(options_class)}
            shared = SMALL | {"data_dir": data, "job_dir": os.path.join(folder, name), "eval_images": 0}
            shared |= {"max_caption_length": 8, "standardise": True}
            module.main(options_class(**{k: v for k, v in shared.items() if k in known} | values))
            return values.get("job_dir", shared["job_dir"])

        return name, start

    pair_settings = {"captions": pairs, "keep_prob": 0.8}
    grid_settings = pair_settings | {"data_dir": cells, "cell_dim": 5, "attention_units": 7}
    reference = {"semantics": "reference", "standardise": False}
    consensus = ("consensus:weight=20,contrast=0.65",)
    return dict(
        [
            run("full_fixed", train, config.FullModel, gen_lr=1e-3, dis_lr=1e-3),
            run("full_reference", train, config.FullModel, gen_lr=1e-3, dis_lr=1e-3, **reference),
            run("full_consensus", train, config.FullModel, data_dir=near, reward=consensus, gen_lr=1e-3),
            run("sentence_ae", sentence_ae, config.SentenceAutoEncoder),
            run("sentence_gan", sentence_gan, config.SentenceGan, sae_ckpt=None),
            run("obj2sen", obj2sen, config.ObjectToSentence),
            run("im_caption", im_caption, config.ImageCaption, captions="retrieved", o2s_ckpt=None),
            *(run(f"r2m_{stage}", r2m, R2M, stage=stage, unroll=8) for stage in ("xe_rec", "tri_rec", "end2end")),
            run("show_tell", show_tell, settings.ShowTell, **pair_settings),
            run("show_tell_scst", show_tell, settings.ShowTell, scst_from=10, **pair_settings),
            run("show_attend_tell", show_attend_tell, settings.ShowAttendTell, **grid_settings),
            run("show_attend_tell_scst", show_attend_tell, settings.ShowAttendTell, scst_from=10, **grid_settings),
        ]
    )


def losses_of(job_dir):
    """Reads the metrics of a run that are stored as golden losses.

    Args: job_dir: run directory, with metrics.jsonl.
    Returns: list over the logged steps of dict metric name -> number, with the number of the step as "step".
    """
    with open(os.path.join(job_dir, "metrics.jsonl")) as file:
        entries = [json.loads(line) for line in file]
    kept = [{k: v for k, v in entry.items() if k == "step" or k.startswith(KEPT)} for entry in entries]
    return [entry for entry in kept if len(entry) > 1]


# --------------------------------------------------------------------------------------------------------------
# Comparing


def differences(golden, found, exact):
    """Compares two lists of losses; returns the differences as a list of str, one line each, [] if there are none.

    Args: golden, found: stored and new losses, lists from `losses_of`. exact: whether all steps must be equal to the
      last bit; else only step 20 must agree, to a relative TOLERANCE.
    """
    if [sorted(entry) for entry in golden] != [sorted(entry) for entry in found]:
        return ["other steps or other metrics"]
    lines = []
    for old, new in zip(golden if exact else golden[-1:], found if exact else found[-1:], strict=True):
        for name, value in old.items():
            limit = 0.0 if exact else TOLERANCE * max(abs(value), 1e-6)
            if not abs(new[name] - value) <= limit:
                lines.append(f"step {old['step']}: {name} is {new[name]!r}, was {value!r}")
    return lines


def main(options):
    """Trains, and compares or writes the losses; returns the exit code, 1 for a difference. Args: options: Options."""
    if options.check == options.write:
        raise cli.UserError("give one of --check and --write")
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(SMALL["intra_op_parallelism_threads"])
    tf.config.threading.set_inter_op_parallelism_threads(SMALL["inter_op_parallelism_threads"])
    tf.config.experimental.enable_op_determinism()
    here, wrong = environment(), 0
    with tempfile.TemporaryDirectory() as folder:
        made = trainers(folder)
        if unknown := set(options.trainers) - set(made):
            raise cli.UserError(f"--trainers {min(unknown)}: expected some of {', '.join(made)}")
        for name in options.trainers or made:
            found, path = losses_of(made[name]()), os.path.join(FOLDER, f"{name}.json")
            if options.write:
                os.makedirs(FOLDER, exist_ok=True)
                with open(path, "w") as file:
                    json.dump({"environment": here, "steps": found}, file, indent=0)
                    file.write("\n")
                continue
            with open(path) as file:
                golden = json.load(file)
            exact = golden["environment"] == here
            lines = differences(golden["steps"], found, exact)
            how = "to the last bit" if exact else f"step {STEPS} to {TOLERANCE:g}, another processor or TensorFlow"
            print(f"{name}: {'DIFFERS' if lines else 'the same'} ({how})")
            for line in lines[:5]:
                print(f"  {line}")
            wrong += bool(lines)
    return 1 if wrong else 0


if __name__ == "__main__":
    cli.run(main, Options)
