"""Training curves from metrics.jsonl: the shapes to expect, plots, and alarms."""

import collections
import io
import math

import aliases
from evaluation.statistics import COLLAPSE
from formats.readers import is_number
from training.run_directory import read_log

# Metric -> the expected shape of its curve. docs/metrics.md shows the most important ones.
CURVES = {
    "mean_found_obj": "objects of the image named in a sampled caption: rises from near 0 towards `objects`",
    "mean_found_obj/greedy": "the same of greedy captions: follows the sampled one, usually a little above it",
    "loss/adversarial": (
        "about 1.37: the discriminator does not separate real and generated words; 1.0 to 1.3 is a good balance"
    ),
    "discriminator/accuracy_real": "real words classified as real: near 1 as the next curve = the generator has lost",
    "discriminator/accuracy_fake": "generated words classified as generated: 0.5 to 0.9 is a good balance",
    "loss/anchor": (
        "with `--w_anchor`: how far the generator is from its initialization, in nats a word; 0 at the start, below 1"
    ),
    "loss/sentence": "decreases steadily: the generator learns the language of the corpus",
    "loss/mse": (
        "image reconstruction: decreases, then is constant; "
        "a long increase means that captions no longer depend on the image"
    ),
    "loss/triplet": "R2M's triplet loss: falls towards its margin and below",
    "loss": "falls steadily in cross-entropy training; around 0 and noisy where captions are rewarded",
    "reward/sample": "CIDEr-D of sampled captions (self-critical stage): rises slowly, below the next curve",
    "reward/greedy": "CIDEr-D of greedy captions (self-critical stage): rises; the baseline of the samples",
    "reward/concept": "score of named objects, a word: rises with `mean_found_obj`",
    "reward/consensus": "consensus reward, a caption (`--reward consensus`): rises, then stays",
    "reward/adversarial": (
        "mean log-probability of being real: near -0.7 the discriminator is undecided; "
        "a decrease means that it separates better"
    ),
    "length/sample": "near the corpus' mean; both shrinking together is a collapse",
    "length/greedy": "near the corpus' mean; both shrinking together is a collapse",
    "eval/unique": "share of distinct greedy captions of some validation images; below 5 % twice in a row is an alarm",
    "eval/length": "words of these captions: near the corpus' mean",
    "advantage/clipped": "share of words at the clip of ±5; 0.1 to 0.5",
    "policy/entropy": "nats a word: decreases slowly; near 0 samples are almost greedy, and learning stops",
    "entropy": "nats a word: decreases slowly; near 0 samples are almost greedy, and learning stops",
    "gradient_norm/generator": "of the order of 1; always above the clip (10): the learning rate is too large",
    "gradient_norm/discriminator": "of the order of 1; always above the clip (10): the learning rate is too large",
    "gradient_norm": "of the order of 1; constantly above the clip = too large a learning rate",
}
SHRUNK = 0.5  # captions below this share of their maximum mean length are an alarm
REPEATED = 4  # so many consecutive repetitions of a word are an alarm
ONE_FOR_ALL = 0.2  # one caption for more than this share of the images is an alarm


def read_metrics(job_dir):
    """Reads the training curves of a run from RUN/metrics.jsonl.

    Returns: dict metric name -> (list of steps, list of float values); {} if there is no such file.
    """
    series = {}
    for entry in read_log(job_dir):
        for name, value in entry.items():
            if name != "step" and (isinstance(value, float) or is_number(value)):
                steps, values = series.setdefault(aliases.current_metric(name), ([], []))
                steps.append(entry["step"])
                values.append(float(value))
    return series


def alarms(series, captions=None):
    """Returns the faults of a run, such as collapse or repetition, as list of sentences with numbers; [] without any.

    Args:
      series: training curves, dict metric name -> (list of steps, list of values).
      captions: dict image name -> caption of the scored images; None or {} = only the curves are checked.
    """
    found = []
    unique = series.get("eval/unique", ([], []))
    twice = [
        s
        for s, before, now in zip(unique[0][1:], unique[1], unique[1][1:], strict=False)
        if max(before, now) < COLLAPSE
    ]
    if twice:
        found.append(
            f"Collapse: less than {COLLAPSE:.0%} of validation captions were distinct twice in a row, first at step "
            f"{twice[0]}, last at step {twice[-1]}."
        )
    both = [series[name][1] for name in ("length/sample", "length/greedy") if series.get(name)]
    if len(both) == 2 and all(values[-1] < SHRUNK * max(values) for values in both):
        ends = ", ".join(f"from {max(values):.1f} to {values[-1]:.1f}" for values in both)
        found.append(f"Captions shrink: the mean length of sampled and greedy captions fell {ends}.")
    runs = series.get("eval/longest_run")
    if runs and runs[1][-1] >= REPEATED:
        found.append(f"Repetition: a validation caption repeats a word {runs[1][-1]:.0f} times in a row.")
    broken = sorted(name for name, (_, values) in series.items() if not all(map(math.isfinite, values)))
    if broken:
        found.append(f"Values that are not finite in: {', '.join(broken)}.")
    return found + (_of_captions(list(captions.values())) if captions else [])


def _of_captions(captions):
    """Returns the faults of a list of captions as a list of sentences with numbers."""
    found, counts = [], collections.Counter(captions)
    distinct = len(counts)
    if distinct < COLLAPSE * len(captions):
        found.append(f"Collapse: only {distinct} of the {len(captions)} scored captions are distinct.")
    commonest = max(counts, key=lambda text: (counts[text], text))
    if len(captions) > 1 / ONE_FOR_ALL and counts[commonest] > ONE_FOR_ALL * len(captions):
        share = counts[commonest] / len(captions)
        found.append(f"One caption for many: {share:.0%} of the scored images have the caption “{commonest}”.")
    if empty := counts[""]:
        found.append(f"{empty} of the {len(captions)} scored captions are empty.")
    return found


def drawing(lines, legend=True, broken=None):
    """Draws one training curve of one or several runs; returns the plot as PNG bytes.

    Args:
      lines: dict run name -> (list of steps, list of values), drawn as solid lines.
      legend: whether to name the runs.
      broken: dict of the same form for other runs, drawn as dashed lines; None for none.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(4.2, 2.3))
    panel = figure.subplots()
    for style, group in (("-", lines), ("--", broken or {})):
        for name, (steps, values) in group.items():
            dots = {"marker": "o", "markersize": 3} if len(steps) < 15 else {}
            panel.plot(steps, values, style, linewidth=1.4, label=_plain(name), **dots)
    panel.grid(alpha=0.25)
    panel.tick_params(labelsize=8)
    panel.set_xlabel("step", fontsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    if legend:
        panel.legend(fontsize=7)
    figure.tight_layout(pad=0.5)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=120)
    return buffer.getvalue()


def _plain(name):
    """Returns a run's name escaped for matplotlib: `$` begins mathematics, and a leading underscore hides the line."""
    return "run " + name.replace("$", r"\$") if name.startswith("_") else name.replace("$", r"\$")
