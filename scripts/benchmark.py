"""Measures the time and memory of each kind of work, relative to the speed of the machine's matrix product.

    python -m scripts.benchmark --json bench.json                       # everything, about half an hour on two cores
    python -m scripts.benchmark --items "full step" --compare bench.json
    python -m scripts.benchmark --markdown bench.json --into docs/performance.md

Every line is measured in a process of its own, so that its peak memory is its own. The process measures the product of
two 2048 x 2048 float32 matrices before, between and after the repetitions. Seconds are medians. GFLOP-equivalents an
example are seconds x speed of that product / examples: a figure for comparing machines. The share of the peak counts
only useful operations (scripts/benchmark_flops.py): those of valid words, each once.

Networks have random weights and the authors' size (18,669 words, 512 units, captions of at most 20 words); dropout is
on. Captions and sentences have forced lengths: `all 20`, or `mean 10.5` (a fixed histogram of 7 to 20 words).
"""

import dataclasses
import json
import multiprocessing
import os

import cli
from formats.sidecars import write_json, write_whole

PARTS = ("rollout", "rewards", "generator", "discriminator", "updates")  # parts of a full step with the feature bank
BEGIN, END = "<!-- benchmark: begin -->", "<!-- benchmark: end -->"
KEY = ("item", "batch", "semantics", "lengths")


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.benchmark."""

    json: str | None = cli.field(None, "file for the results")
    compare: str | None = cli.field(None, "results of an earlier run: prints ratios, fails when something got slower")
    tolerance: float = cli.field(0.15, "accepted increase of GFLOP-equivalents over --compare, as a share")
    items: tuple[str, ...] = cli.field((), "only lines whose name contains one of these texts, e.g. full step,beam3")
    repeats: int = cli.field(7, "measurements of a line, of which the median is taken")
    quick: bool = cli.field(False, "small networks and data, two repetitions: a test that it runs, not a measurement")
    markdown: str | None = cli.field(None, "print the results of this file as a table; nothing is measured")
    into: str | None = cli.field(None, "with --markdown: put the table between the two marks in this file")
    xla: bool = cli.field(False, "use the trainers' --xla")
    precision: str | None = cli.field(None, "use the trainers' --precision")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths, which cli.run checks first."""
        return (self.json, self.into), ()


@dataclasses.dataclass(frozen=True)
class Case:
    """What one line of the table measures.

    Attributes:
      item: name of the measured work; it begins with a key of benchmark_items.MEASURES.
      batch: number of examples in a unit of work (images, sentences or lines of text).
      semantics: value of --semantics for training steps, else None. A step of the full model with "reference" reads
        twice the examples, because generator and discriminator have different batches.
      lengths: forced lengths of the captions in words, "all 20" or "mean 10.5"; None if they are not forced.
    """

    item: str
    batch: int
    semantics: str | None = None
    lengths: str | None = None  # "all 20" or "mean 10.5"

    @property
    def label(self):
        """The name of the line in messages: all fields, separated by commas."""
        return ", ".join([self.item, str(self.batch), *(part for part in (self.semantics, self.lengths) if part)])


def cases():
    """Returns what the benchmark measures as list of Case, in the order of the table."""
    both, lengths = ("fixed", "reference"), ("all 20", "mean 10.5")
    found = [
        Case("full step, feature bank", batch, semantics, length)
        for batch in (16, 64, 512)
        for semantics in both
        for length in lengths
    ]
    found += [Case("full step, micro-batches of 16", 512, "fixed", length) for length in lengths]
    found += [Case("full step, encoder in the step", 16, semantics, "all 20") for semantics in both]
    found += [Case(f"part of it: {part}", 64, "fixed", "all 20") for part in PARTS]
    found += [Case(f"full step, vocabulary {size}", 64, "fixed", "all 20") for size in (1000, 5000, 100_000)]
    found += [Case(f"full step, captions of {words}", 64, "fixed", "all 20") for words in (10, 40)]
    found += [Case("full step, small networks", 64, "fixed", length) for length in lengths]
    for item in ("obj2sen step", "im_caption step", "sentence_ae step", "sentence_gan step"):
        found += [Case(item, 64, "fixed", length) for length in lengths]
    found += [Case(item, 64, None, length) for item in ("greedy", "sampling") for length in lengths]
    found += [Case("beam3 batched", 64), Case("beam3 single", 1), Case("extract features", 16)]
    found += [Case("read records", 50_000), Case("process sentences", 40_000)]
    return [*found, Case("waiting for data", 64, "fixed", "mean 10.5")]


# --------------------------------------------------------------------------------------------------------------
# Measuring


def _child(connection, case, options):
    """Measures one line and sends the result or the error to the parent process.

    Args: connection: multiprocessing.Connection. case: Case. options: Options.
    """
    from scripts import benchmark_items

    try:
        connection.send(benchmark_items.measure(case, options))
    except Exception as error:  # the parent reports it and continues with the other lines
        connection.send(error)


def measured(case, options):
    """Measures one line in a new process; returns its results and the fields of the Case as one dict.

    Results are "seconds" (median, of a unit of work), "gflop_eq_per_example", "share_of_peak" (in 0 to 1, None if the
    work is not counted in operations), "peak_memory_gib", "images_per_second" and other figures.

    Args: case: Case. options: Options. Raises: what the process raised; cli.UserError if it was killed.
    """
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_child, args=(theirs, case, options))
    process.start()
    theirs.close()
    try:
        result = ours.recv()
    except EOFError:
        process.join()
        result = cli.UserError(f"{case.label}: the process ended with {process.exitcode} (out of memory?)")
    process.join()
    if isinstance(result, Exception):
        raise result
    return dataclasses.asdict(case) | result


# --------------------------------------------------------------------------------------------------------------
# Tables

COLUMNS = {  # title: (key, format)
    "item": ("item", "{}"),
    "batch": ("batch", "{}"),
    "semantics": ("semantics", "{}"),
    "words": ("lengths", "{}"),
    "seconds": ("seconds", "{:.4g}"),
    "GFLOP-eq. / example": ("gflop_eq_per_example", "{:.3g}"),
    "share of peak": ("share_of_peak", "{:.0%}"),
    "memory, GiB": ("peak_memory_gib", "{:.2f}"),
    "examples / s": ("images_per_second", "{:.4g}"),
    "note": ("note", "{}"),
}


def cells(entry):
    """Returns the cells of one line of the table as list of str, in the order of COLUMNS; "" for a missing value.

    Args: entry: dict from `measured`.
    """
    found = [(entry.get(key), form) for key, form in COLUMNS.values()]
    return ["" if value is None else form.format(value) for value, form in found]


def markdown(result):
    """Returns the results as one str: a line on the machine's speed and a Markdown table.

    Args: result: dict from `summary`.
    """
    rows = [list(COLUMNS), ["---"] * len(COLUMNS), *map(cells, result["items"])]
    head = f"2048-cube float32 product: median {result['matmul_gflops']:.0f} GFLOP/s, best "
    head += f"{result['matmul_gflops_best']:.0f}; {result['machine']}.\n\n"
    return head + "\n".join("| " + " | ".join(row) + " |" for row in rows)


def put_into(path, table):
    """Writes a table into a file, in place of the text between the marks BEGIN and END.

    Args: path: the file. table: text. Raises: cli.UserError if a mark is missing.
    """
    with open(path, encoding="utf-8") as file:
        text = file.read()
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise cli.UserError(f"--into {path}: expected a line {BEGIN} and below it a line {END}")
    write_whole(path, f"{before}{BEGIN}\n{table}\n{END}{after}")


def summary(entries, options):
    """Returns the dict that --json writes.

    Its keys are "matmul_gflops" (median speed of the matrix product, GFLOP a second), "matmul_gflops_best", "machine"
    (text), "settings" (dict of flags) and "items" (`entries`, the lines of the table).

    Args: entries: list of dicts from `measured`, not empty. options: Options.
    """
    speeds = sorted(entry["matmul_gflops"] for entry in entries)
    return {
        "matmul_gflops": speeds[len(speeds) // 2],
        "matmul_gflops_best": max(entry["matmul_gflops_best"] for entry in entries),
        "machine": f"{os.cpu_count()} cores",
        "settings": {"repeats": options.repeats, "quick": options.quick}
        | {"xla": options.xla, "precision": options.precision},
        "items": entries,
    }


def compare(result, old, tolerance):
    """Compares lines with an earlier result; returns the labels (list of str) of those that became too slow.

    Prints for each line the ratio of its GFLOP-equivalents, and of its memory, to the earlier ones. A line that the
    earlier result lacks is left out.

    Args: result, old: dicts from `summary`; `old` is the earlier one. tolerance: accepted increase of
      GFLOP-equivalents as a share, e.g. 0.15.
    """
    before = {tuple(entry.get(key) for key in KEY): entry for entry in old["items"]}
    slower = []
    print(f"{'ratio to the earlier run':40} GFLOP-equivalents  memory")
    for entry in result["items"]:
        earlier = before.get(tuple(entry.get(key) for key in KEY))
        if earlier is None:
            continue
        name = Case(*(entry.get(key) for key in KEY)).label
        work = entry["gflop_eq_per_example"] / earlier["gflop_eq_per_example"]
        memory = entry["peak_memory_gib"] / earlier["peak_memory_gib"]
        if "waiting_share" in entry:  # a ratio of two shares near zero is meaningless
            bad = entry["waiting_share"] > earlier["waiting_share"] + 0.05
        else:
            bad = work > 1 + tolerance
        print(f"{name:50} {work:7.2f} {memory:7.2f}{'  SLOWER' if bad else ''}")
        slower += [name] if bad else []
    return slower


# --------------------------------------------------------------------------------------------------------------


def _read(path):
    """Returns the dict in a file that --json has written. Raises: cli.UserError if it is missing or invalid."""
    try:
        with open(path, encoding="utf-8") as file:
            found = json.load(file)
        if not found["items"] or "gflop_eq_per_example" not in found["items"][0]:
            raise KeyError("items")
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise cli.UserError(f"{path}: not the results of scripts.benchmark --json ({error!r})") from error
    return found


def main(options):
    """Measures and prints the table; returns the exit code. Args: options: Options.

    It is 1 when a line is slower than --compare allows or could not be measured, else 0.
    """
    if options.markdown:
        table = markdown(_read(options.markdown))
        return put_into(options.into, table) if options.into else print(table)
    old = _read(options.compare) if options.compare else None
    wanted = [case for case in cases() if not options.items or any(text in case.item for text in options.items)]
    if not wanted:
        raise cli.UserError(f"--items {','.join(options.items)}: no such line; there are: {_names()}")
    if options.repeats < 1:
        raise cli.UserError(f"--repeats {options.repeats}: expected at least 1")
    if options.json and not os.path.isdir(os.path.dirname(os.path.abspath(options.json))):
        raise cli.UserError(f"--json {options.json}: no such folder")
    entries, failed = [], []
    print("  ".join(COLUMNS))
    for case in wanted:
        try:
            entries.append(measured(case, options))
        except Exception as error:  # continue with the other lines
            failed.append(case.label)
            print(f"{case.label}: FAILED: {error!r}", flush=True)
            continue
        print("  ".join(cells(entries[-1])), flush=True)
        if options.json:
            write_json(options.json, summary(entries, options))
    slower = compare(summary(entries, options), old, options.tolerance) if old and entries else []
    if slower:
        print(f"slower than {options.compare} by more than {options.tolerance:.0%}: {'; '.join(slower)}")
    return 1 if slower or failed else 0


def _names():
    """Returns the names of all measured work in one str, separated by commas."""
    return ", ".join(dict.fromkeys(case.item for case in cases()))


if __name__ == "__main__":
    cli.run(main, Options)
