"""The report's section on the content of captions: hallucinated objects, sentences copied from the corpus, lengths."""

import cli
from evaluation import hallucination, novelty, table, untrained
from formats.concepts import load_concepts

WIDEST = 40  # characters of the longest bar of the histogram


def content(runs):
    """Returns the values of the section for report.html; None if no run has scores.

    Args: runs: list of run_facts.RunFacts.
    Returns: dict with "lines" (table as list of rows, heading first: one measure a row, one run a column),
      "histograms" (list of (run name, lines of `histogram`)) and "missing" (list of sentences on measures that could
      not be computed).
    """
    shown = [run for run in runs if run.scores and run.scores.tokens]
    if not shown:
        return None
    measured, missing = [], []
    for run in shown:
        found, reason = measures(run)
        measured.append(found)
        missing += [f"{run.name}: {reason}"] if reason else []
    names = [name for name in table.MORE if any(found.get(name) is not None for found in measured)]
    lines = [["", *(run.name for run in shown)]]
    lines += [[name, *(_cell(name, found.get(name)) for found in measured)] for name in names]
    histograms = [(run.name, histogram(novelty.lengths(run.scores.tokens))) for run in shown]
    return {"lines": lines, "histograms": histograms, "missing": missing}


def measures(run):
    """Computes the measures of one run's captions.

    Args: run: run_facts.RunFacts with scores.
    Returns: (dict name of a column of evaluation.table -> number, or None if it is not defined; text that says why
      other columns are missing, "" if all are in the dict).
    """
    tokens = run.scores.tokens
    found, reasons = {"vocabulary": novelty.vocabulary(tokens)}, []
    try:
        found |= table.objects_of(
            run.scores, load_concepts(run.data_dir, run.split), annotated=hallucination.annotated_in(run.data_dir)
        )
    except (cli.UserError, OSError) as error:
        reasons.append(str(error))
    try:
        found |= novelty.measure(tokens, untrained.load_corpus(run.data_dir).texts)
    except (cli.UserError, OSError) as error:
        reasons.append(str(error))
    return found, "; ".join(reasons)


def _cell(name, value):
    """Returns the text of one cell of the table. Args: name: of the measure. value: number, or None for "-"."""
    if value is None:
        return "-"
    return f"{value:.3f}" if name in table.SHARES else f"{value:.1f}" if isinstance(value, float) else value


def histogram(lengths):
    """Returns a histogram of caption lengths as list of rows [words, captions, bar of characters], heading first.

    Args: lengths: dict number of words -> number of captions.
    """
    most = max(lengths.values())
    lines = [["words", "captions", ""]]
    return lines + [[size, count, "█" * max(1, round(WIDEST * count / most))] for size, count in lengths.items()]
