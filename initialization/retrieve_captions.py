"""Writes pseudo captions of the training images by retrieval: corpus sentences that fit the detected objects.

    python -m initialization.retrieve_captions --data_dir data/miniature

The fit of a sentence to an image is a sum over the concept words in the sentence: detection score + bonus if the word
was detected in the image, else -bonus.
--choice consensus takes the sentences that are most similar, on average, to all sentences that fit the image and the
images with the nearest vectors, its neighbours (initialization/consensus_retrieval.py, docs/consensus.md).
--choice random takes one of the best fits at random; the seed is made from the image's name.
Nothing is trained, and no caption of an image is used. On small data these pseudo captions are more varied than those
that obj2sen generates and teach im_caption more.

Reads `sentence*.tfrec`, `image_train*.tfrec` and, for the neighbours, `features_train.npy`. Writes
`retrieved_captions*.tfrec`, `retrieved_captions.json`. Images without a detection of at least --threshold get no
caption, unless they have neighbours. Sentences with an unknown word are left out.
"""

import dataclasses
import os

import cli
import experiments
import input_pipeline
from formats import made_by, readers, writing


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of initialization.retrieve_captions."""

    data_dir: str = cli.field("data/default", "folder that all stages share")
    output: str = cli.field("retrieved_captions", "name of the record files without shard number and extension")
    choice: str = cli.choice(
        "consensus", ("consensus", "random"), "how to choose among the fitting sentences; see above"
    )
    k: int = cli.field(1, "sentences for each image")
    threshold: float = cli.field(0.5, "minimum detection score")
    bonus: float = cli.field(
        0.7, "added to the fit, with its score, for each detected concept word; subtracted for each other one"
    )
    temperature: float = cli.field(
        0.2, "consensus: temperature of the softmax over the fits; smaller prefers the best fits"
    )
    neighbours: int = cli.field(60, "consensus: nearest images whose detections are used as well; 0: none")
    own_share: float = cli.field(
        0.0,
        "consensus: weight of the image's own detections against those of its neighbours; with 0 captions depend on "
        "the image vector alone, which is all that a captioner can learn from",
    )
    contrast: float = cli.field(
        0.5,
        "consensus: share of the mean over images that is subtracted from the weight of a sentence; 1 is best in the "
        "miniature world (docs/results/miniature.md), photographs depend little on it",
    )
    set_power: float = cli.field(
        1.0,
        "consensus: 1 gives all sentences the same weight, 0 all sets of concept words, whatever the number of "
        "sentences; use less than 1 when the corpus describes other things than the photographs show",
    )
    uses: int = cli.field(0, "consensus: largest number of images with the same sentence; 0: no limit")
    candidates: int = cli.field(
        20_000,
        "consensus: candidate sentences, a fixed sample of the corpus; 0: all. More give better captions "
        "(docs/results/flickr8k.md) and take longer",
    )
    max_sentence_length: int = cli.field(0, "longer sentences are left out, markers counted; 0 keeps all")
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")
    overwrite: bool = cli.field(False, "make the output again although it is there")


def check(options):
    """Checks the settings (Options) before TensorFlow starts. Raises cli.UserError if one is invalid."""
    if options.k < 1:
        raise cli.UserError(f"--k {options.k}: expected at least 1")
    if not 0 <= options.threshold <= 1:
        raise cli.UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    if options.bonus < 0 or options.max_sentence_length < 0:
        raise cli.UserError("--bonus and --max_sentence_length: expected no negative numbers")
    if options.temperature <= 0 or not 0 <= options.own_share <= 1:
        raise cli.UserError("--temperature, --own_share: expected a number above 0 and a share between 0 and 1")
    if min(options.neighbours, options.candidates, options.uses, options.contrast, options.set_power) < 0:
        raise cli.UserError(
            "--neighbours, --candidates, --uses, --contrast and --set_power: expected no negative numbers"
        )
    if os.path.dirname(options.output) or not options.output:
        raise cli.UserError(f"--output {options.output!r}: expected a bare name, the folder is --data_dir")


def detections_of(images, threshold):
    """Returns the detected concept words of images: list over images of dict concept word id -> highest score.

    The dict of an image without such detections is empty.

    Args: images: records.Images. threshold: minimum detection score, in 0 to 1.
    """
    found = []
    for start, end in zip(images.class_offsets[:-1], images.class_offsets[1:], strict=True):
        scores = {}
        for word, score in zip(
            images.class_flat[start:end].tolist(), images.score_flat[start:end].tolist(), strict=True
        ):
            if score >= threshold:
                scores[word] = max(score, scores.get(word, 0.0))
        found.append(scores)
    return found


class CandidateSentences:
    """The corpus sentences that may be retrieved.

    Attributes:
      sentences: list of int32 arrays, the word ids of each sentence without start and end token.
      keys: list of sorted tuples of int in the same order, the ids of the concept words in each sentence; () for none.
    """

    def __init__(self, data_dir, vocabulary, max_length):
        """Reads the sentences of a data folder that have no unknown word and are short enough.

        Sentences with a class name such as "hot dog", whose last word is another class, are left out as well.

        Args: data_dir: data folder. vocabulary: Vocabulary. max_length: maximum number of words, start and end token
          counted; 0 for no limit.
        Raises: cli.UserError if the files are missing or damaged, or no sentence is left.
        """
        import numpy as np

        from formats import records

        found = records.read_sentences(records.find_files(data_dir, "sentence"))
        known = np.logical_and.reduceat(found.flat < vocabulary.unknown_id, found.offsets[:-1])
        short = np.diff(found.offsets) <= (max_length or np.inf)
        plain = ~self._other_things(data_dir, vocabulary, found)
        rows = np.flatnonzero(known & short & plain)
        if not len(rows):
            raise cli.UserError(
                f"{data_dir}: none of {len(found)} sentences is free of unknown words and short enough; raise "
                "--max_sentence_length, or make a dictionary that fits: "
                f"{made_by.command(data_dir, 'dictionary', again=True)}"
            )
        self.sentences = [found.flat[found.offsets[i] + 1 : found.offsets[i + 1] - 1] for i in rows]
        self.keys = [
            tuple(sorted(found.key_flat[found.key_offsets[i] : found.key_offsets[i + 1]].tolist())) for i in rows
        ]

    @staticmethod
    def _other_things(data_dir, vocabulary, found):
        """Returns for each sentence whether it contains a class name whose last word is another class: bool [N].

        For example, "hot dog" is a class name whose last word is the class "dog", but a hot dog is not a dog.

        Args: data_dir: data folder with concepts.json; without this file no sentence is marked. vocabulary: Vocabulary.
          found: records.Sentences, all N sentences of the data folder.
        """
        import numpy as np

        path = os.path.join(data_dir, "concepts.json")
        result = np.zeros(len(found), bool)
        if not os.path.exists(path):
            return result
        concepts = readers.read_json(path, "the concept words", dict)
        readers.check_fields(concepts, dict.fromkeys(concepts, readers.are_texts), path, "expected the concept words")
        places = np.repeat(np.arange(len(found)), np.diff(found.offsets))
        for word, class_names in concepts.items():
            for phrase in (name.lower().split() for name in class_names if word in class_names and name != word):
                ids = vocabulary.encode(phrase)
                if vocabulary.unknown_id in ids:
                    continue
                last = len(found.flat) - len(ids) + 1
                starts = np.logical_and.reduce([found.flat[i : last + i] == id for i, id in enumerate(ids)])
                result[places[np.flatnonzero(starts)]] = True
        return result

    def sample(self, count):
        """Shortens `sentences` and `keys` to the first `count`, a random sample because records are shuffled.

        Args: count: number of sentences; 0, or more than there are, keeps all.
        """
        if count:
            self.sentences, self.keys = self.sentences[:count], self.keys[:count]


def random_choice(options, corpus):
    """Returns a function that captions images by sentences drawn at random among those with equal fits.

    The function maps records.Images to a list of (image name, list of word ids), with `options.k` sentences of the best
    fits for each image that has detections; other images are not in the list. The same image always gets the same ones.

    Args: options: Options. corpus: CandidateSentences.
    """
    from evaluation.retrieval import draw_best_sentences
    from preprocessing.sharding import shards

    def captions_of(images):
        detections = detections_of(images, options.threshold)
        rows = [row for row, found in enumerate(detections) if found]
        seeds = [shards.digest_of(images.names[row]) for row in rows]
        chosen = draw_best_sentences(corpus.keys, [detections[row] for row in rows], seeds, options.k, options.bonus)
        return _pairs(images, rows, chosen, corpus)

    return captions_of


def consensus(options, corpus):
    """Returns a function that captions training images by consensus retrieval.

    The function maps records.Images to a list of (image name, list of word ids), at most `options.k` for each image; it
    accepts only training images. The sentences for all of them are chosen at once, before the function is returned.

    Args: options: Options. corpus: CandidateSentences, of which only the first `options.candidates` are kept.
    Raises: cli.UserError if records or feature bank are missing or damaged.
    """
    import numpy as np

    from formats import records
    from initialization.consensus_retrieval import ConsensusRetrieval
    from models.standardise import standardised

    images = records.read_images(records.find_files(options.data_dir, "image_train"))
    detections = detections_of(images, options.threshold)
    vectors_ID = None
    if options.neighbours:
        bank = input_pipeline.FeatureBank(options.data_dir, "train")
        vectors_ID = standardised(bank.centre(bank.rows(images.names)), *bank.statistics)
        if vectors_ID.ndim == 3:  # a grid of cells
            vectors_ID = vectors_ID.mean(1)
    corpus.sample(options.candidates)
    retrieval = ConsensusRetrieval(
        corpus.sentences,
        corpus.keys,
        detections,
        vectors_ID,
        options.bonus,
        options.temperature,
        options.neighbours,
        options.own_share,
        options.contrast,
        options.set_power,
    )
    if options.uses:
        chosen_IK = retrieval.deal(options.k, options.uses)
    else:
        chosen_IK = retrieval.retrieve(np.arange(len(images)), options.k)
    row_of = {name: row for row, name in enumerate(images.names)}

    def captions_of(images):
        rows = [row_of[name] for name in images.names]
        local = [i for i, row in enumerate(rows) if detections[row] or options.neighbours]
        return _pairs(images, local, [chosen_IK[rows[i]] for i in local], corpus)

    return captions_of


def _pairs(images, rows, chosen, corpus):
    """Returns a list of (image name, list of word ids), one for each chosen sentence.

    Args: images: records.Images. rows: list of int, indices into `images` of the captioned ones. chosen: for each of
      these a sequence of indices into corpus.sentences, -1 for none. corpus: CandidateSentences.
    """
    return [
        (images.names[row], corpus.sentences[index].tolist())
        for row, several in zip(rows, chosen, strict=True)
        for index in several
        if index >= 0
    ]


def main(options):
    """Retrieves captions for the training images and writes them. Args: options: Options."""
    check(options)
    reads = ["image", "sentence", "word_counts"]
    reads += ["features_train"] if options.choice == "consensus" and options.neighbours else []
    with writing.working(options.data_dir, [options.output], reads):
        _make(options)


def _make(options):
    """Checks the data folder and writes the captions that --choice asks for.

    Args: options: Options. Raises: cli.UserError if the data folder is damaged or incomplete.
    """
    from formats import inventory, sidecars
    from formats.vocabulary import Vocabulary
    from initialization.caption_records import write_captions

    inventory.require_fit(options.data_dir, inventory.TEXT_AND_TRAINING_IMAGES, options.verify)
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))

    def captioner():
        corpus = CandidateSentences(options.data_dir, vocabulary, options.max_sentence_length)
        return consensus(options, corpus) if options.choice == "consensus" else random_choice(options, corpus)

    names = ["choice", "k", "threshold", "bonus", "max_sentence_length"]
    if options.choice == "consensus":
        names += ["temperature", "neighbours", "own_share", "contrast", "set_power", "uses", "candidates"]
    settings = {name: getattr(options, name) for name in names}
    sidecar = os.path.join(options.data_dir, "sentence.json")
    sentences = [e["sha256"] for e in sidecars.read_sidecar(sidecar)["files"]] if os.path.exists(sidecar) else None
    made_from = {"sentences": sentences, "vocabulary": vocabulary.fingerprint()}
    if options.choice == "consensus" and options.neighbours:
        made_from["features"] = [
            entry["sha256"] for entry in input_pipeline.FeatureBank(options.data_dir, "train").sidecar["files"]
        ]
    write_captions(
        options.data_dir, options.output, captioner, settings, made_from, options.overwrite, vocabulary.fingerprint()
    )


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("retrieve_captions"))
