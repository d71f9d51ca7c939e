"""Captions concept words with a trained R2M, without any image, and plots its attention and gates word by word.

    python -m baselines.r2m_traces --job_dir runs/demo/r2m/tri_rec "dog ball" "man horse" --output traces.png

For each set of concept words the figure shows, word by word: the memory's attention to itself and to the input, the
fusion memory's attention to the word and to the concepts, and the mean of the gates with their 10 % to 90 % range.
"""

import dataclasses
import os

import cli
import registry
from captioning.decode import parse_decode
from formats import writing
from training import rankings


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of baselines.r2m_traces."""

    paths: tuple[str, ...] = cli.field(
        (), "sets of concept words, each in quotation marks; also as positional arguments"
    )
    job_dir: str = cli.field("runs/r2m/tri_rec", "run directory of one stage")
    checkpoint: str = cli.field("best", rankings.CHECKPOINT)
    decode: str = cli.field("beam3", "greedy, beamK or the name of another decoding, see caption.py")
    output: str = cli.field("traces.png", "figure to write, .png, .svg or .pdf")

    def outputs(self):
        """Returns (files, folders) that the command writes, two tuples of paths.

        cli.run checks that they are writable.
        """
        return (self.output,), ()


@dataclasses.dataclass
class Trace:
    """Attention weights and gates at each of the T words of a generated caption, the end token included.

    H attention heads, S memory slots, M width of a slot.

    Attributes:
      concepts: list of str, the concept words.
      text: the caption.
      words: list of T str, the words of the caption, then the end token unless the maximum length was reached first.
      memory: [T, H, S, S + 1], the attention of each slot to the S slots and, last, to the input.
      fusion: [T, H, 2, 2], the attention of (word, concepts) to (word, concepts); None with --fusion concat.
      input_gate, forget_gate: [T, S, M]; with one gate for each slot [T, S, 1].
      norm: [T], L2 norm of the memory after each step.
      The last five are numpy arrays of floats.
    """

    concepts: list
    text: str
    words: list
    memory: object
    fusion: object
    input_gate: object
    forget_gate: object
    norm: object


def check(options):
    """Checks the settings (Options) before TensorFlow starts. Raises cli.UserError if one is invalid."""
    from baselines.r2m import configuration
    from training.run_directory import read_config

    parse_decode(options.decode)
    if not options.paths:
        raise cli.UserError('no concepts given, for example: python -m baselines.r2m_traces --job_dir RUN "dog ball"')
    if os.path.splitext(options.output)[1] not in (".png", ".svg", ".pdf"):
        raise cli.UserError(f"--output {options.output}: expected a name that ends in .png, .svg or .pdf")
    content = read_config(options.job_dir)
    if not registry.is_stage(content, configuration.R2M):
        raise cli.UserError(f"{options.job_dir}: a run of {content['stage']}, expected a run of baselines.r2m")


def main(options):
    """Captions sets of concept words, prints the captions, and plots attention and gates to a file.

    Args: options: Options.
    """
    check(options)

    from baselines.r2m.captioner import R2MCaptioner

    captioner = R2MCaptioner.from_run(options.job_dir, options.checkpoint)
    traces = [trace(captioner, concepts.replace(",", " ").split(), options.decode) for concepts in options.paths]
    for found in traces:
        print(f"{' '.join(found.concepts)}\t{found.text}")
    plot(traces, options.output)
    print(options.output)


def trace(captioner, concepts, decode="beam3"):
    """Returns the best caption of a set of concept words, with its attention weights and gates, as a Trace.

    Args: captioner: R2MCaptioner. concepts: list of str, in the order in which they are read. decode: "greedy", or
      "beamK" with a beam of K.
    Raises: cli.UserError if `concepts` is empty or has a word that is not in the dictionary.
    """
    import numpy as np
    import tensorflow as tf

    unknown = [word for word in concepts if word not in captioner.vocabulary]
    if unknown or not concepts:
        raise cli.UserError(f"concepts {' '.join(concepts)!r}: not in the dictionary: {', '.join(unknown) or 'none'}")
    rows = np.asarray([captioner.vocabulary.encode(concepts)], np.int32)
    best = captioner.caption_vectors(rows, decode, batch=1)[0][0]
    decoder = captioner.generator
    state = decoder.initial_state(captioner.feature(rows))
    steps = []
    for word in (captioner.vocabulary.start_id, *best.ids[:-1]):
        vector = tf.gather(captioner.input_embedding, [word])
        _, state, fusion, looks = decoder.step_and_looks(vector, state)
        fusion = None if fusion is None else fusion[0].numpy()
        gates = looks.input_gate[0].numpy(), looks.forget_gate[0].numpy()
        steps.append((looks.weights[0].numpy(), fusion, *gates, float(tf.norm(state[1]))))
    memory, fusion, input_gate, forget_gate, norm = zip(*steps, strict=True)
    return Trace(
        concepts,
        best.text,
        [captioner.vocabulary.word(i) for i in best.ids],
        np.stack(memory),
        None if fusion[0] is None else np.stack(fusion),
        np.stack(input_gate),
        np.stack(forget_gate),
        np.asarray(norm),
    )


def attention_rows(found):
    """Returns the rows of a heat map of the attention weights: (list of str, their labels; list of float arrays [T]).

    There is a row for each head, slot and attended row of the memory, then for each head two rows of the fusion memory,
    the attention of word and of concepts to the concepts (not with --fusion concat).

    Args: found: Trace.
    """
    labels, values = [], []
    _, heads, slots, targets = found.memory.shape
    for head in range(heads):
        for slot in range(slots):
            for target in range(targets):
                name = "input" if target == slots else f"slot {target + 1}" if slots > 1 else "memory"
                of = f" of slot {slot + 1}" if slots > 1 else ""
                labels.append(f"head {head + 1}{of} to {name}")
                values.append(found.memory[:, head, slot, target])
    for head in range(heads if found.fusion is not None else 0):
        for row, name in enumerate(("word", "concepts")):
            labels.append(f"fusion {head + 1}: {name} to concepts")
            values.append(found.fusion[:, head, row, 1])
    return labels, values


def plot(traces, path):
    """Writes a figure: for each Trace a heat map of its attention weights and a plot of its gates.

    Args: traces: list of Trace. path: file to write; its ending determines the format.
    """
    import matplotlib

    matplotlib.use("Agg")
    import numpy as np
    from matplotlib import pyplot

    rows = [len(attention_rows(found)[0]) for found in traces]
    width = 3 + 0.7 * max(len(found.words) for found in traces)
    heights = [height for count in rows for height in (0.28 * count + 0.3, 2.0)]
    figure, axes = pyplot.subplots(
        2 * len(traces), 1, figsize=(width, sum(heights) + 1.2 * len(traces)), height_ratios=heights, squeeze=False
    )
    for index, found in enumerate(traces):
        heat, gates = axes[2 * index, 0], axes[2 * index + 1, 0]
        labels, values = attention_rows(found)
        heat.imshow(np.stack(values), aspect="auto", vmin=0.0, vmax=1.0, cmap="viridis")
        heat.set_yticks(range(len(labels)), labels, fontsize=7)
        heat.set_xticks([])
        heat.set_title(f"{', '.join(found.concepts)}: {found.text}", fontsize=9)
        places = np.arange(len(found.words))
        for name, gate, colour in (("input gate", found.input_gate, "C0"), ("forget gate", found.forget_gate, "C1")):
            flat = gate.reshape(len(places), -1)
            gates.plot(places, flat.mean(1), colour, marker="o", markersize=3, label=name)
            gates.fill_between(places, *np.quantile(flat, (0.1, 0.9), axis=1), color=colour, alpha=0.2)
        gates.plot(places, found.norm / found.norm.max(), "k--", linewidth=1, label="norm of the memory, scaled")
        gates.set_xlim(-0.5, len(places) - 0.5)
        gates.set_ylim(0, 1.05)
        gates.set_xticks(places, found.words, rotation=45, fontsize=8)
        gates.legend(fontsize=7, loc="lower right")
    figure.tight_layout()
    with writing.replacing(path) as part:
        figure.savefig(part, dpi=120, format=os.path.splitext(path)[1].removeprefix(".") or None)
    pyplot.close(figure)
