"""Collects the data of the report from a run directory and its data folder: captions, scores, curves, provenance."""

import dataclasses
import os
import shlex

import cli
from captioning import splits
from evaluation import metrics, table
from evaluation.published import published_rows
from evaluation.report import curves
from evaluation.results import archive
from formats import captions, readers, sidecars
from training import rankings, run_directory

SIDECARS = ("sentence", "detections", "image_train", "features_train", "image_val", "image_test")


@dataclasses.dataclass(frozen=True)
class RunFacts:
    """The data of a run that the report shows.

    Attributes:
      name: of its folder. job_dir: the run directory. data_dir: its data folder.
      content: dict, its config.json.
      series: its training curves, dict metric name -> (list of steps, list of values); {} without metrics.jsonl.
      split: "test" or "val", the split of `captions`; None if the run has no captions yet.
      captions: dict image name -> caption; {} if there are none yet.
      scores: metrics.Scores (BLEU, CIDEr) of the captions of images with references; None if there are no captions or
        they could not be scored.
      note: a sentence that says why captions or scores are missing; "" if both exist.
      checkpoint: path that the checkpoint of the captions had when it was scored; None if unknown.
      row: dict, content of RUN/SPLIT_scores.json, which eval_test.py writes; {} without this file.
    """

    name: str
    job_dir: str
    data_dir: str
    content: dict
    series: dict
    split: str | None
    captions: dict
    scores: object
    note: str
    checkpoint: str | None
    row: dict

    @property
    def alarms(self):
        """The faults of the run, such as collapse or repetition, as a list of sentences; [] without any."""
        return curves.alarms(self.series, self.captions)

    @property
    def chosen_by(self):
        """How the checkpoint of the captions was chosen, as text; "" if unknown."""
        return self.row.get("selection") or (rankings.SELECTED_BY if self.split == "val" else "")

    def cider(self):
        """Returns the CIDEr of each caption: dict image name -> score x100; {} if there are no scores."""
        values = self.scores.per_image.get("CIDEr") if self.scores else None
        return {} if values is None else dict(zip(self.scores.names, values.tolist(), strict=True))


def read_run(job_dir, data_dir="", split="auto"):
    """Reads one run and scores its captions for each image; returns RunFacts.

    Args: job_dir: run directory. data_dir: "" = the folder that it was trained on. split: "test", "val", or "auto" for
      test captions if there are any, else those of the best checkpoint on val.
    Raises: cli.UserError if `job_dir` is not a run or has a damaged file; a run without captions is not an error.
    """
    content = run_directory.read_config(job_dir)
    data_dir = data_dir or run_directory.data_dir_of(job_dir, missing_ok=True)
    split, path, checkpoint, row = _captions_of(job_dir, split)
    found = captions.read_captions(path) if path else {}
    command = shlex.join(["python", "eval_test.py", "--job_dir", job_dir])
    note = "" if path else f"no captions yet: {rankings.scoring_command(job_dir)}, then {command}"
    scores = None
    if found:
        try:
            references = splits.references_of(data_dir, split)
            scored = {image: found[image] for image in references if image in found}
            scores = metrics.score(scored, references, ("BLEU", "CIDEr"))
        except cli.UserError as error:
            note = f"captions could not be scored by image: {error}"
    name = os.path.basename(os.path.normpath(job_dir))
    series = curves.read_metrics(job_dir)
    return RunFacts(name, job_dir, data_dir, content, series, split, found, scores, note, checkpoint, row)


def _captions_of(job_dir, split):
    """Finds the captions of a run.

    Args: split: "test", "val", or "auto" for test captions if there are any, else those of the best checkpoint on val.
    Returns: (split, path of the captions, path of the checkpoint, content of the scores file as dict);
      (None, None, None, {}) if there are none.
    """
    for name in ("test", "val"):  # files of eval_test.py
        path = os.path.join(job_dir, f"{name}.json")
        if split in ("auto", name) and os.path.exists(path):
            scores = os.path.join(job_dir, f"{name}_scores.json")
            row = readers.read_json(scores, "the scores of eval_test.py", dict) if os.path.exists(scores) else {}
            fields = {"checkpoint": readers.optional(lambda value: isinstance(value, str | int))}
            readers.check_fields(row, fields, scores, "eval_test.py writes it again")
            return name, path, row.get("checkpoint"), row
    if split in ("auto", "val") and os.path.exists(os.path.join(job_dir, rankings.SELECTION)):
        step = rankings.best_step(job_dir)
        path = os.path.join(job_dir, f"val_{step}.json")
        if os.path.exists(path):
            return "val", path, os.path.join(job_dir, f"ckpt-{step}"), {}  # the checkpoint may have been removed
    return None, None, None, {}


def checkpoint_of(run):
    """Returns the prefix of the checkpoint that made the captions, else of the newest one; None without checkpoints.

    A prefix is a path without ending. It is searched in the run directory, because the run may have been moved since it
    was scored. Args: run: RunFacts.
    """
    from training import checkpoints

    steps = checkpoints.steps_in(run.job_dir)
    prefixes = [checkpoints.prefix_of("", step) for step in steps]
    name = os.path.basename(str(run.checkpoint or ""))
    which = steps[prefixes.index(name)] if name in prefixes else "newest"
    return checkpoints.choose(run.job_dir, which).prefix if steps else None


def archived_curves(folders):
    """Returns the training curves of archived runs.

    Returns: dict "EXPERIMENT/ROW, seed S" -> dict metric name -> (list of steps, list of values), {} without a log.

    Args: folders: paths of archived runs, e.g. results/miniature/full/seed_1.
    Raises: cli.UserError if a folder is not an archived run.
    """
    return {_archived_name(archive.read_entry(folder)): curves.read_metrics(folder) for folder in folders}


def _archived_name(entry):
    """Returns the name of an archived run in the report: EXPERIMENT/ROW, seed S. Args: entry: archive.Entry."""
    return f"{entry.experiment}/{entry.row}" + ("" if entry.seed is None else f", seed {entry.seed}")


def table_rows(job_dirs, paths=(), references=()):
    """Returns the rows of the report's table: first of table files, then of archived runs, then published results.

    Args:
      job_dirs: run directories. paths: table files; empty = table.json beside each run, if it exists.
      references: folders of archived runs; their rows are named EXPERIMENT/ROW, seed S.
    Returns: list of dicts in the format of table.make_row, with scores as numbers, not yet formatted. A row that is in
      several table files (same table.key_of) is taken from the last one.
    Raises: cli.UserError for a file that is not a table, or a folder that is not an archived run.
    """
    beside = [os.path.join(os.path.dirname(os.path.abspath(job_dir)), "table.json") for job_dir in job_dirs]
    found = {}
    for path in dict.fromkeys(paths or beside):
        if paths or os.path.exists(path):
            found |= {table.key_of(row): row for row in table.read_table(path)}
    entries = [archive.read_entry(folder) for folder in references]
    archived = [one | {"row": _archived_name(entry)} for entry in entries for one in entry.rows]
    return [*found.values(), *archived, *published_rows()]


def data_facts(data_dir):
    """Returns what the sidecars of a data folder say about its files.

    Returns: list of tuples (name, e.g. "image_train"; number of records; text with the short sha256 of the file or of
      the first of several; command that made it, "" if unknown), for those of SIDECARS that exist.
    """
    facts = []
    for stem in SIDECARS:
        path = os.path.join(data_dir, f"{stem}.json")
        if not os.path.exists(path):
            continue
        sidecar = sidecars.read_sidecar(path)
        readers.check_fields(sidecar, {"files": bool, "count": readers.is_count}, path, "not a sidecar")
        digests = [file["sha256"] for file in sidecar["files"]]
        shown = digests[0][:16] if len(digests) == 1 else f"{len(digests)} files, the first {digests[0][:16]}"
        facts.append((stem, sidecar["count"], shown, sidecar.get("command", "")))
    return facts


def thumbnails(data_dir, split, names, side=220):
    """Returns thumbnails from the image records: dict image name -> JPEG bytes.

    Images without data in the records are missing; {} if the records cannot be read.

    Args: split: "val" or "test". names: image names. side: longer side in pixels; smaller images keep their size.
    """
    import io

    from PIL import Image

    from formats import images, records

    try:
        found = records.read_images(records.find_files(data_dir, f"image_{split}"), with_data=True)
    except cli.UserError:
        return {}
    where, small = dict(zip(found.names, found.data, strict=True)), {}
    exif = images.exif_noted(os.path.join(data_dir, f"image_{split}.json"))
    for name in names:
        data = records.read_at(where[name]) if name in where else b""
        if data:  # records may have no image data
            picture = Image.fromarray(images.read_image(data, exif))
            picture.thumbnail((side, side))
            buffer = io.BytesIO()
            picture.save(buffer, "JPEG", quality=82)
            small[name] = buffer.getvalue()
    return small
