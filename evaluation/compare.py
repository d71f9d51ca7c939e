"""Compares two caption files of the same images: a paired bootstrap over the images.

    python -m evaluation.compare A.json B.json --references data/default/refs_val.json

Prints for each metric both scores, the difference A - B, its 95 % interval, and its two-sided p. If the interval
contains 0, the difference is not significant. The bootstrap covers the choice of images only: another training seed
can change a score by more.
"""

import dataclasses

from cli import UserError, choice, field, run
from evaluation.metrics import tokenizers


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of evaluation.compare."""

    paths: tuple[str, ...] = field(
        (), "The two caption files, A and B, in COCO results format; also as positional arguments."
    )
    references: str = field("", "Reference captions in COCO captions format, e.g. DATA_DIR/refs_val.json.")
    metrics: tuple[str, ...] = field(("BLEU", "METEOR", "ROUGE-L", "CIDEr"), "Metrics that are compared.")
    tokenizer: str = choice("auto", tokenizers.CHOICES, tokenizers.HELP)
    resamples: int = field(1000, "Number of bootstrap draws.")
    seed: int = field(0, "Seed of the draws.")
    output: str = field("", "Also write the comparison to this JSON file.")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths.

        cli.run checks before `main` that they can be written; empty paths are ignored.
        """
        return (self.output,), ()


def format_comparison(comparison):
    """Returns a comparison as text: a table with a heading and one line for each metric.

    Args: comparison: dict metric -> dict with "first", "second", "difference", "interval" and "p", the result of
      `statistics.paired`.
    """
    lines = [f"{'':9}{'A':>8}{'B':>8}{'A - B':>9}   95 % interval        p"]
    for metric, entry in comparison.items():
        low, high = entry["interval"]
        lines.append(
            f"{metric:9}{entry['first']:8.2f}{entry['second']:8.2f}{entry['difference']:+9.2f}"
            f"   [{low:+7.2f}, {high:+7.2f}] {entry['p']:8.3f}"
        )
    return "\n".join(lines)


def main(options):
    """Scores both caption files, prints the comparison for each metric, and writes it to --output if that is given.

    Args: options: Options. Raises: cli.UserError for wrong flags or files, or if no metric could be compared.
    """
    if len(options.paths) != 2:
        raise UserError(f"found {len(options.paths)} caption files; expected two: A.json B.json --references refs.json")
    if not options.references:
        raise UserError("--references is missing; expected a file such as data/default/refs_val.json")
    if options.resamples < 100:
        raise UserError(f"--resamples {options.resamples}: too few for a 95 % interval; expected at least 100")
    from evaluation import metrics, statistics
    from formats import captions

    references = captions.read_references(options.references)
    sides = [captions.read_captions(path) for path in options.paths]
    with metrics.Scorer(references, options.metrics, options.tokenizer) as scorer:
        first, second = [scorer.score(side) for side in sides]
    comparison = statistics.paired(first, second, options.resamples, options.seed)
    for name, reason in first.reasons.items():
        if reason != metrics.NOT_ASKED:
            print(f"{name} is not compared: {reason}")
    if not comparison:
        raise UserError("no metric could be compared, for the reasons above")
    print(f"A {options.paths[0]}\nB {options.paths[1]}")
    print(f"{first.images} images, {first.references} references, tokens {first.tokenizer}, scores x100")
    print(format_comparison(comparison))
    if options.output:
        provenance = {"A": options.paths[0], "B": options.paths[1], "references_file": options.references}
        captions.write_json(options.output, provenance | first.provenance() | {"comparison": comparison})


if __name__ == "__main__":
    run(main, Options)
