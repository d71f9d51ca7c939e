"""A corpus of any size whose statistics resemble photo descriptions, to try out what a corpus of that size costs.

    python -m scripts.simulate_corpus --data_dir data/simulated --sentences 2500000
    python -m preprocessing.extract_descriptions --data_dir data/simulated --input data/simulated/corpus.txt

Words are drawn from Zipf's law (Mandelbrot's form), lengths from a log-normal law, some lines are repetitions, some
hold names of object classes, also in the plural. The text means nothing. Its bytes depend on the settings alone, and a
smaller corpus is the beginning of a larger one; memory does not depend on its size.
Source of the defaults: unsupervised_captioning.md 2 and 4.2 (17.3 tokens a sentence, its most frequent words).
"""

import dataclasses
import json
import os

import numpy as np

import cli
from formats import writing

BLOCK = 20_000  # sentences that are drawn together
FREQUENT = ", . on in the a and with of background white at - : for woman".split()
SYLLABLES = [c + v for c in "b d f g k l m n p r s t v z".split() for v in "a e i o u".split()]
SHIFT = 2.7  # Mandelbrot's: flattens the head of the law, as in English text
SPREAD = 0.45  # standard deviation of the logarithm of a length
SHORTEST, LONGEST = 3, 80


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of simulate_corpus."""

    data_dir: str = cli.field("data/simulated", "folder; the text is written to corpus.txt or corpus.jsonl in it")
    sentences: int = cli.field(2_500_000, "lines, repetitions included")
    seed: int = cli.field(1, "another one makes another text")
    words: int = cli.field(200_000, "distinct words, those of object classes not counted")
    mean_tokens: float = cli.field(17.3, "mean length of a sentence")
    repeated: float = cli.field(0.07, "share of lines that were there before")
    class_names: str | None = cli.field(
        "data/coco_names.txt", "object classes whose last words are strewn in; empty for none"
    )
    concepts: float = cli.field(0.6, "object words in a sentence, on average; a third of them in the plural")
    format: str = cli.choice("txt", ("txt", "jsonl"), "a text a line, or objects with a description")
    overwrite: bool = cli.field(False, "make the text again although it is there")

    def outputs(self):
        """The files and the folders that it writes, see cli.run."""
        return (), (self.data_dir,)


# --------------------------------------------------------------------------------------------------------------
# Words


def word(rank):
    """The word of a rank: the most frequent ones of stock-photo descriptions, then syllables that spell the number.

    One in a hundred is a possessive, so that a line in ten needs all of the tokenizer, as in real text.
    """
    if rank < len(FREQUENT):
        return FREQUENT[rank]
    number, syllables = rank, []
    while number or len(syllables) < 2:
        number, digit = divmod(number, len(SYLLABLES))
        syllables.append(SYLLABLES[digit])
    return "".join(syllables) + ("'s" if rank % 100 == 77 else "")


def cumulative(words):
    """P(rank <= r) for r = 0 .. words - 1 under Zipf's law: float64 [words]."""
    weights = 1.0 / (np.arange(words) + 1 + SHIFT)
    return np.cumsum(weights) / weights.sum()


def object_words(path):
    """Singulars and plurals of the classes' last words, as the text stages understand them."""
    from formats import vocabulary

    singulars = list(vocabulary.concept_words(vocabulary.load_class_names(path)))
    plurals = list(vocabulary.plurals("inflect", singulars))
    return singulars * 2 + plurals * 1


# --------------------------------------------------------------------------------------------------------------
# Sentences


@dataclasses.dataclass(frozen=True)
class Law:
    """What all blocks are drawn from."""

    seed: int
    words: np.ndarray  # of str objects, by rank
    cumulative: np.ndarray
    median: float
    objects: np.ndarray
    concepts: float

    @classmethod
    def of(cls, options):
        names = object_words(options.class_names) if options.class_names and options.concepts else []
        # The mean of a log-normal law is its median times exp(SPREAD^2 / 2).
        median = options.mean_tokens / np.exp(SPREAD**2 / 2)
        spelled = np.array([word(rank) for rank in range(options.words)], object)
        concepts = options.concepts if names else 0.0
        return cls(options.seed, spelled, cumulative(options.words), median, np.array(names or [""], object), concepts)

    def block(self, index, count):
        """The sentences of block `index`, the first `count` of them: list of str."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        lengths = np.exp(rng.normal(np.log(self.median), SPREAD, BLOCK))
        lengths = np.clip(np.rint(lengths), SHORTEST, LONGEST).astype(np.int64)
        tokens = self.words[np.searchsorted(self.cumulative, rng.random(int(lengths.sum())))]
        strewn = rng.random(len(tokens)) < self.concepts * BLOCK / len(tokens)
        tokens[strewn] = self.objects[rng.integers(0, len(self.objects), int(strewn.sum()))]
        ends = np.cumsum(lengths)
        return [" ".join(tokens[end - length : end]) for end, length in zip(ends[:count], lengths[:count], strict=True)]


def sentences(options):
    """Yields the sentences of the corpus. Half of the repetitions are of the block before them, half of the first."""
    law, first, last = Law.of(options), [], []
    for index, start in enumerate(range(0, options.sentences, BLOCK)):
        lines = law.block(index, min(BLOCK, options.sentences - start))
        rng = np.random.Generator(np.random.Philox(key=[options.seed + 1, index]))
        if index:
            again = np.flatnonzero(rng.random(BLOCK) < options.repeated)
            sources = rng.integers(0, BLOCK, len(again))
            for number, (place, source) in enumerate(zip(again, sources, strict=True)):
                if place < len(lines):
                    lines[place] = (first if number % 2 else last)[source]
        first, last = first or lines, lines
        yield from lines


# --------------------------------------------------------------------------------------------------------------


def _check(options):
    if options.sentences < 1 or options.words < len(FREQUENT) or options.seed < 0:
        raise cli.UserError(f"--sentences must be at least 1, --words at least {len(FREQUENT)}, --seed at least 0")
    if not 0 <= options.repeated <= 1 or options.concepts < 0 or not SHORTEST <= options.mean_tokens <= LONGEST / 2:
        raise cli.UserError(
            f"--repeated is a share between 0 and 1, --concepts at least 0, --mean_tokens {SHORTEST} to {LONGEST // 2}"
        )


def main(options):
    _check(options)
    os.makedirs(options.data_dir, exist_ok=True)
    with writing.working(options.data_dir, ["corpus"]):
        _make(options)


def _make(options):
    path = os.path.join(options.data_dir, f"corpus.{options.format}")
    if os.path.exists(path) and not options.overwrite:
        raise cli.UserError(f"{path} is there: add --overwrite to make it again, or give another --data_dir")
    as_line = (lambda text: json.dumps({"description": text})) if options.format == "jsonl" else str
    form = {"encoding": "ascii", "newline": "\n", "buffering": 1 << 20}
    with writing.replacing(path) as part, open(part, "w", **form) as file:
        for text in cli.progress(sentences(options), "sentences", options.sentences):
            file.write(as_line(text) + "\n")
    print(f"{path}: {options.sentences} sentences, {os.path.getsize(path) / 1e6:.1f} MB")


if __name__ == "__main__":
    cli.run(main, Options)
