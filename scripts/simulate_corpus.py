"""Writes a corpus of any size with the statistics of photo descriptions, to measure what such a corpus costs.

    python -m scripts.simulate_corpus --data_dir data/simulated --sentences 2500000
    python -m preprocessing.extract_descriptions --data_dir data/simulated --input data/simulated/corpus.txt

Words are drawn from Zipf's law (Mandelbrot's form), lengths from a log-normal distribution. Some lines are repeated;
some contain names of object classes, also in the plural. The text has no meaning. Its bytes depend only on the
settings; a smaller corpus is the beginning of a larger one; the memory used does not depend on the size. The defaults
(17.3 tokens a sentence, the most frequent words) are those of the authors' image descriptions.
"""

import dataclasses
import json
import os

import numpy as np

import cli
from formats import sidecars, writing

BLOCK = 20_000  # sentences drawn at once
FREQUENT = ", . on in the a and with of background white at - : for woman".split()
SYLLABLES = [c + v for c in "b d f g k l m n p r s t v z".split() for v in "a e i o u".split()]
SHIFT = 2.7  # Mandelbrot's constant: reduces the frequency of the first words, as in English text
SPREAD = 0.45  # standard deviation of the logarithm of a length
SHORTEST, LONGEST = 3, 80


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of scripts.simulate_corpus."""

    data_dir: str = cli.field("data/simulated", "folder; the text is written to corpus.txt or corpus.jsonl in it")
    sentences: int = cli.field(2_500_000, "lines, repetitions included")
    seed: int = cli.field(1, "seed of the text")
    words: int = cli.field(200_000, "distinct words, without those of object classes")
    mean_tokens: float = cli.field(17.3, "mean tokens of a sentence")
    repeated: float = cli.field(0.07, "share of lines that repeat an earlier one")
    class_names: str | None = cli.field(
        "data/coco_names.txt", "object classes whose last words are inserted; empty for none"
    )
    concepts: float = cli.field(0.6, "object words in a sentence, on average; a third of them in the plural")
    format: str = cli.choice(
        "txt", ("txt", "jsonl"), "txt: a sentence a line; jsonl: a JSON object with a description a line"
    )
    overwrite: bool = cli.field(False, "make the text again although it is there")

    def outputs(self):
        """Returns (files, folders) that the command will write: two tuples of paths, which cli.run checks first."""
        return (), (self.data_dir,)


# --------------------------------------------------------------------------------------------------------------
# Words


def word(rank):
    """Returns the word (str) of a frequency rank (int, 0 is the most frequent word).

    The first ranks are frequent words of photo descriptions; other words are made of syllables that encode the rank.
    One word in a hundred is a possessive, so that a line in ten has a word that the tokenizer
    must split, as in real text.
    """
    if rank < len(FREQUENT):
        return FREQUENT[rank]
    number, syllables = rank, []
    while number or len(syllables) < 2:
        number, digit = divmod(number, len(SYLLABLES))
        syllables.append(SYLLABLES[digit])
    return "".join(syllables) + ("'s" if rank % 100 == 77 else "")


def cumulative(words):
    """Returns the cumulative distribution P(rank <= r) for r = 0 .. words - 1 under Zipf's law: float64 [words].

    Args: words: number of words.
    """
    weights = 1.0 / (np.arange(words) + 1 + SHIFT)
    return np.cumsum(weights) / weights.sum()


def object_words(path):
    """Returns the words that name object classes: list of str in which each singular occurs twice, each plural once.

    So a word drawn from the list is a plural in a third of all cases. Args: path: file of class names.
    """
    from formats import vocabulary

    singulars = list(vocabulary.concept_words(vocabulary.load_class_names(path)))
    plurals = list(vocabulary.plurals("inflect", singulars))
    return singulars * 2 + plurals * 1


# --------------------------------------------------------------------------------------------------------------
# Sentences


@dataclasses.dataclass(frozen=True)
class Law:
    """Draws sentences from the distributions of words and lengths that the settings define.

    Sentences are drawn in blocks of BLOCK. Each block has its own random seed, so it does not depend on the others.

    Attributes:
      seed: int. words: array of str, by frequency rank.
      cumulative: float64 [number of words], P(rank <= r) for each rank r. median: median sentence length in tokens.
      objects: array of str, words that name object classes, each replacing a drawn word with equal probability; [""] if
        there are none. concepts: their mean number in a sentence; 0 if there are none.
    """

    seed: int
    words: np.ndarray  # of str objects, by rank
    cumulative: np.ndarray
    median: float
    objects: np.ndarray
    concepts: float

    @classmethod
    def of(cls, options):
        """Returns an instance that draws sentences with these settings. Args: options: Options."""
        names = object_words(options.class_names) if options.class_names and options.concepts else []
        # The mean of a log-normal distribution is its median times exp(SPREAD^2 / 2).
        median = options.mean_tokens / np.exp(SPREAD**2 / 2)
        spelled = np.array([word(rank) for rank in range(options.words)], object)
        concepts = options.concepts if names else 0.0
        return cls(options.seed, spelled, cumulative(options.words), median, np.array(names or [""], object), concepts)

    def block(self, index, count):
        """Returns the first `count` (at most BLOCK) sentences of block number `index`, from 0: list of str."""
        rng = np.random.Generator(np.random.Philox(key=[self.seed, index]))
        lengths = np.exp(rng.normal(np.log(self.median), SPREAD, BLOCK))
        lengths = np.clip(np.rint(lengths), SHORTEST, LONGEST).astype(np.int64)
        tokens = self.words[np.searchsorted(self.cumulative, rng.random(int(lengths.sum())))]
        strewn = rng.random(len(tokens)) < self.concepts * BLOCK / len(tokens)
        tokens[strewn] = self.objects[rng.integers(0, len(self.objects), int(strewn.sum()))]
        ends = np.cumsum(lengths)
        return [" ".join(tokens[end - length : end]) for end, length in zip(ends[:count], lengths[:count], strict=True)]


def sentences(options):
    """Yields the sentences of the corpus as strings. Args: options: Options.

    Half of the repeated ones are copied from the block before, half from the first block.
    """
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
    """Checks the flags. Raises: cli.UserError if one is wrong."""
    if options.sentences < 1 or options.words < len(FREQUENT) or options.seed < 0:
        raise cli.UserError(f"--sentences must be at least 1, --words at least {len(FREQUENT)}, --seed at least 0")
    if not 0 <= options.repeated <= 1 or options.concepts < 0 or not SHORTEST <= options.mean_tokens <= LONGEST / 2:
        raise cli.UserError(
            f"--repeated is a share between 0 and 1, --concepts at least 0, --mean_tokens {SHORTEST} to {LONGEST // 2}"
        )


def main(options):
    """Writes the corpus; prints its path and size. Args: options: Options."""
    _check(options)
    os.makedirs(options.data_dir, exist_ok=True)
    with writing.working(options.data_dir, ["corpus"]):
        _make(options)


def _make(options):
    """Writes the corpus and its sidecar, unless they exist with the same settings."""
    path = os.path.join(options.data_dir, f"corpus.{options.format}")
    settings = dataclasses.asdict(options)
    del settings["data_dir"], settings["overwrite"]
    if sidecars.already_made(f"{path}.json", settings, {}, options.overwrite):
        return
    as_line = (lambda text: json.dumps({"description": text})) if options.format == "jsonl" else str
    form = {"encoding": "ascii", "newline": "\n", "buffering": 1 << 20}
    with writing.replacing(path) as part, open(part, "w", **form) as file:
        for text in cli.progress(sentences(options), "sentences", options.sentences):
            file.write(as_line(text) + "\n")
    sidecars.write_sidecar(f"{path}.json", files=[path], count=options.sentences, settings=settings, made_from={})
    print(f"{path}: {options.sentences} sentences, {os.path.getsize(path) / 1e6:.1f} MB")


if __name__ == "__main__":
    cli.run(main, Options)
