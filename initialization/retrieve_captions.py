"""Pseudo captions of the training images by retrieval: the corpus sentences that fit their detections best.

    python -m initialization.retrieve_captions --data_dir data/miniature

Fit of a sentence: for each concept word in it, + score + bonus where the word was detected, - bonus where it was not;
among equals a random choice that depends on the image's name alone. No training, no captions of images. On small data
these pseudo captions teach im_caption far more than obj2sen's own, which are nearly all alike (specs/dynamics.md 1).

Reads `sentence*.tfrec`, `image_train*.tfrec`. Writes `retrieved_captions*.tfrec`, `retrieved_captions.json`. Images
without a detection of at least --threshold get none. Sentences with an unknown word are left out.
"""

import dataclasses
import os

import config


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of retrieve_captions."""

    data_dir: str = config.field("data/default", "folder that all stages share")
    output: str = config.field("retrieved_captions", "name of the record files without number and ending")
    k: int = config.field(5, "sentences for each image")
    threshold: float = config.field(0.5, "least score of a detection that counts")
    bonus: float = config.field(0.7, "gain of a detected concept word beside its score, cost of another one")
    max_sentence_length: int = config.field(0, "longer sentences are left out, markers counted; 0 keeps all")
    overwrite: bool = config.field(False, "make the output again although it is there")


def check(options):
    """What can be said before TensorFlow starts. Raises config.UserError."""
    if options.k < 1:
        raise config.UserError(f"--k {options.k}: expected at least 1")
    if not 0 <= options.threshold <= 1:
        raise config.UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    if options.bonus < 0 or options.max_sentence_length < 0:
        raise config.UserError("--bonus and --max_sentence_length: no negative numbers")
    if os.path.dirname(options.output) or not options.output:
        raise config.UserError(f"--output {options.output!r}: expected a bare name, the folder is --data_dir")


def detections_of(images, threshold):
    """List over photographs (records.Images) of dict concept word id -> best score of at least `threshold`."""
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


class Corpus:
    """The sentences that may be retrieved: word ids without markers, and the ids of their concept words."""

    def __init__(self, data_dir, vocabulary, max_length):
        import numpy as np

        from preprocessing import records

        found = records.read_sentences(records.find_files(data_dir, "sentence"))
        known = np.logical_and.reduceat(found.flat < vocabulary.unknown_id, found.offsets[:-1])
        short = np.diff(found.offsets) <= (max_length or np.inf)
        rows = np.flatnonzero(known & short)
        if not len(rows):
            raise config.UserError(
                f"{data_dir}: none of {len(found)} sentences is free of unknown words and short enough; raise "
                "--max_sentence_length, or make a dictionary that fits: process_descriptions --new_dict --overwrite"
            )
        self.sentences = [found.flat[found.offsets[i] + 1 : found.offsets[i + 1] - 1] for i in rows]
        self.keys = [
            tuple(sorted(found.key_flat[found.key_offsets[i] : found.key_offsets[i + 1]].tolist())) for i in rows
        ]


def main(options):
    """Retrieves captions for the training images."""
    check(options)

    from evaluation.retrieval import draw_fitting
    from initialization.caption_records import write_captions
    from preprocessing import shards, sidecars
    from preprocessing.vocabulary import Vocabulary

    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))

    def captioner():
        corpus = Corpus(options.data_dir, vocabulary, options.max_sentence_length)

        def captions_of(images):
            detections = detections_of(images, options.threshold)
            rows = [row for row, found in enumerate(detections) if found]
            seeds = [shards.digest_of(images.names[row]) for row in rows]
            chosen = draw_fitting(corpus.keys, [detections[row] for row in rows], seeds, options.k, options.bonus)
            return [
                (images.names[row], corpus.sentences[index].tolist())
                for row, several in zip(rows, chosen, strict=True)
                for index in several
            ]

        return captions_of

    settings = {name: getattr(options, name) for name in ("k", "threshold", "bonus", "max_sentence_length")}
    sidecar = os.path.join(options.data_dir, "sentence.json")
    sentences = [e["sha256"] for e in sidecars.read_sidecar(sidecar)["files"]] if os.path.exists(sidecar) else None
    made_from = {"sentences": sentences, "vocabulary": vocabulary.fingerprint()}
    write_captions(
        options.data_dir, options.output, captioner, settings, made_from, options.overwrite, vocabulary.fingerprint()
    )


if __name__ == "__main__":
    config.run(main, Options)
