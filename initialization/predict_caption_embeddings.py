"""Replaces image vectors by predicted caption embeddings (docs/consensus.md, eq. C5).

    python -m initialization.predict_caption_embeddings --data_dir data/flickr8k --output_dir data/flickr8k_predicted

The detections of a training image determine which corpus sentences fit it (initialization/consensus_retrieval.py). The
mean of the n-gram vectors of these sentences, projected on the `--dim` principal directions, is the target of the
image. Kernel ridge regression on the training images (models/consensus/kernel_regression.py) predicts the target from
an image vector: this prediction is the new vector. The prediction for a training image is made without this image, so
that training vectors have the same distribution as those of new images. No caption of an image is used.

Reads the feature bank and the records of `--data_dir`. Writes into `--output_dir`:
- a feature bank of the same images and crops, with the new vectors;
- `neighbours.npz`, the regression; the encoder `caption_embeddings:FILE` reads it, and a run keeps a copy;
- `phrases.npz`, the projection of n-gram vectors, by which `train.py --reward consensus` compares captions with the
  embedding;
- with `--sentence_encoder`, `sentence_space.npz`, the map to sentence vectors (`train.py --reward sentence_vectors`).
All other files of `--data_dir` are linked there: pass this folder to the later stages as `--data_dir`.

Shapes: N images of a split, I training images, M of them landmarks, C sets of concept words, G n-grams, D dimensions of
an image vector, T `--dim`.
"""

import dataclasses
import functools
import os
import shutil

import cli
import experiments
import input_pipeline
from formats import made_by, record_files, writing
from initialization import retrieve_captions

SPLITS = ("train", "val", "test")
# First parts of the names of files that are not linked.
OWN = ("features_", "neighbours.", "phrases.", "sentence_vectors.", "sentence_space.")
LANDMARK_SEED = 5


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of initialization.predict_caption_embeddings."""

    data_dir: str = cli.field("data/default", "folder that all stages share, with a feature bank")
    output_dir: str = cli.field("", "folder to write; empty: the name of --data_dir with _neighbours appended")
    dim: int = cli.field(256, "dimensions of the new vectors")
    threshold: float = cli.field(0.5, "minimum detection score")
    bonus: float = cli.field(
        0.7, "added to the fit, with its score, for each detected concept word; subtracted for each other one"
    )
    temperature: float = cli.field(0.2, "temperature of the softmax over the fits; smaller prefers the best fits")
    sharpness: float = cli.field(2.0, "sharpness of the similarity of two images, exp(sharpness (cosine - 1))")
    pca: int = cli.field(
        0, "reduce the standardised image vectors to this many principal components first; 0: whole vectors"
    )
    ridge: float = cli.field(3.0, "ridge penalty of the regression; larger smooths the predictions")
    landmarks: int = cli.field(
        8192, "training images used as landmarks, a fixed sample; computing time grows with the square of their number"
    )
    set_power: float = cli.field(
        1.0, "1 gives all sentences the same weight, 0 all sets of concept words, whatever the number of sentences"
    )
    candidates: int = cli.field(20_000, "candidate sentences, a fixed sample of the corpus; 0: all")
    max_sentence_length: int = cli.field(0, "longer sentences are left out, markers counted; 0 keeps all")
    sentence_encoder: str = cli.field(
        "",
        "tfidf or minilm:FILE.onnx: also prefer sentences whose vectors are near those of the names of the detected "
        "classes (docs/consensus.md, C8); empty: the concept words alone",
    )
    sentence_temperature: float = cli.field(0.07, "temperature of the cosines of sentence vectors")
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")
    overwrite: bool = cli.field(False, "make the output again although it is there")


def check(options):
    """Checks the settings (Options) before anything is read. Raises cli.UserError if one is invalid."""
    if options.dim < 1 or options.landmarks < 1:
        raise cli.UserError("--dim and --landmarks: expected at least 1")
    if not 0 <= options.threshold <= 1:
        raise cli.UserError(f"--threshold {options.threshold}: expected a score between 0 and 1")
    if min(options.temperature, options.sharpness, options.ridge, options.sentence_temperature) <= 0:
        raise cli.UserError("--temperature, --sharpness, --ridge and --sentence_temperature: expected numbers above 0")
    if options.sentence_encoder and options.set_power != 1:
        raise cli.UserError("--set_power: expected 1 with --sentence_encoder")
    if min(options.bonus, options.set_power, options.candidates, options.max_sentence_length, options.pca) < 0:
        raise cli.UserError(
            "--bonus, --set_power, --candidates, --max_sentence_length and --pca: expected no negative numbers"
        )
    if options.output_dir and os.path.realpath(options.output_dir) == os.path.realpath(options.data_dir):
        raise cli.UserError(
            "--output_dir is --data_dir: expected another folder, or the feature bank would be replaced"
        )


def link_others(data_dir, output_dir):
    """Links into `output_dir` the files of `data_dir` that this stage does not replace; copies them if it cannot link.

    The files are hard links. Files of `output_dir` that `data_dir` no longer has are removed: references, and record
    files of an earlier division into shards.

    Args: data_dir: the data folder. output_dir: the folder to fill; it is made if it does not exist.
    """
    os.makedirs(output_dir, exist_ok=True)
    for name in made_by.LINKED:
        references = os.path.join(output_dir, f"{name}.json")
        if name.startswith("refs_") and not os.path.exists(os.path.join(data_dir, f"{name}.json")):
            if os.path.lexists(references):
                os.remove(references)
        there = set(map(os.path.basename, record_files.files_of(data_dir, name)))
        for path in record_files.files_of(output_dir, name) if there else ():
            if os.path.basename(path) not in there:
                os.remove(path)
    for entry in sorted(os.scandir(data_dir), key=lambda entry: entry.name):
        if not entry.is_file() or entry.name.startswith((".", *OWN)) or entry.name.endswith(".part"):
            continue
        target = os.path.join(output_dir, entry.name)
        if os.path.lexists(target):
            if os.path.exists(target) and os.path.samefile(entry.path, target):
                continue
            os.remove(target)
        try:
            os.link(entry.path, target)
        except OSError:
            shutil.copy2(entry.path, target)


def main_directions(weights_IC, means_CG, dim):
    """Returns the principal directions of the images' expected n-gram vectors: float32 [T, G], orthonormal rows.

    They are sorted by importance, and computed without subtracting a mean.

    Args:
      weights_IC: CSR matrix, weight of each set of concept words for each image.
      means_CG: CSR matrix, mean n-gram vector of the sentences of each set.
      dim: number of directions T, if it is less than G and than the number of sets with a weight; otherwise one
        direction less than the smaller of the two is returned.
    """
    import numpy as np
    import scipy.sparse.linalg

    use_C = np.asarray(weights_IC.mean(axis=0)).ravel()
    used = np.flatnonzero(use_C > 0)
    weighted_CG = (scipy.sparse.diags_array(np.sqrt(use_C[used])) @ means_CG[used]).astype(np.float32)
    dim = min(dim, min(weighted_CG.shape) - 1)
    start = np.ones(min(weighted_CG.shape), np.float32)  # a fixed start vector, or each call returns other directions
    _, values, directions_TG = scipy.sparse.linalg.svds(weighted_CG, k=dim, v0=start)
    return directions_TG[np.argsort(-values)].astype(np.float32)


def learn(options, vocabulary, images, bank):
    """Fits the regression of caption embeddings on image vectors; writes no files.

    Args:
      options: Options. vocabulary: Vocabulary. images: records.Images of the training images. bank: their FeatureBank.

    Returns: tuple of four objects:
      KnownImages: predicts the embeddings of images from their vectors.
      KernelFit: what KnownImages needs to predict the embedding of a training image without using this image.
      NgramProjection: projects the n-gram vector of a caption into the space of the embeddings.
      SentenceSpace: maps embeddings to sentence vectors; None without a sentence encoder.
    Raises: cli.UserError if no sentence of the corpus can be used, or the bank lacks an image.
    """
    import numpy as np

    from initialization.consensus_retrieval import ConsensusRetrieval
    from models.consensus.consensus_reward import NgramProjection
    from models.consensus.kernel_regression import KernelFit, KnownImages, compared, principal_directions
    from models.standardise import standardised

    corpus = retrieve_captions.CandidateSentences(options.data_dir, vocabulary, options.max_sentence_length)
    corpus.sample(options.candidates)
    # The end marker is included, so that an unfinished caption fits less.
    sentences = [np.append(ids, vocabulary.end_id) for ids in corpus.sentences]
    detections = retrieve_captions.detections_of(images, options.threshold)
    if options.sentence_encoder:
        directions_TG, targets_IT, space_of = _by_sentence_vectors(
            options, vocabulary, sentences, corpus.keys, images, detections
        )
    else:
        retrieval = ConsensusRetrieval(
            sentences,
            corpus.keys,
            detections,
            bonus=options.bonus,
            temperature=options.temperature,
            set_power=options.set_power,
        )
        directions_TG = main_directions(retrieval.weights_IC, retrieval.means_CG, options.dim)
        targets_IT = retrieval.weights_IC @ (retrieval.means_CG @ directions_TG.T)
    general_T = targets_IT.mean(0)
    mean_D, std_D = bank.statistics
    standard_ID = standardised(bank.centre(bank.rows(images.names)), mean_D, std_D)
    directions_PD = principal_directions(standard_ID, options.pca) if options.pca else None
    units_ID = compared(standard_ID, directions_PD)
    chosen = np.arange(len(units_ID))
    if len(chosen) > options.landmarks:
        chosen = np.sort(np.random.default_rng(LANDMARK_SEED).permutation(len(chosen))[: options.landmarks])
    units_MD = units_ID[chosen].astype(np.float16).astype(np.float32)  # as the file holds them
    fit = KernelFit.of(units_ID, units_MD, targets_IT - general_T, options.sharpness, options.ridge)
    encoder = bank.sidecar["encoder"]
    known = KnownImages(units_MD, fit.weights_MT, mean_D, std_D, options.sharpness, encoder, directions_PD)
    space = space_of(fit.left_out_IT) if options.sentence_encoder else None
    return known, fit, NgramProjection.of(sentences, directions_TG, general_T), space


def _by_sentence_vectors(options, vocabulary, sentences, keys, images, detections):
    """Computes the targets of the regression with the evidence of sentence vectors (docs/consensus.md, eq. C8).

    Args:
      options: Options. vocabulary: Vocabulary. sentences: list of arrays of word ids, each ending with the end token.
      keys: list with the sorted ids of the concept words of each sentence. images: records.Images.
      detections: list over the images of dict concept word id -> score.

    Returns: (principal directions float32 [T, G], targets float32 [I, T], function of the predicted embeddings
      float32 [I, T] that returns the SentenceSpace).
    Raises: cli.UserError if the sentence encoder or the detections cannot be read.
    """
    import numpy as np
    import scipy.sparse

    from initialization import sentence_evidence
    from initialization.consensus_retrieval import sentence_vectors
    from models.consensus import sentence_encoders
    from models.consensus.sentence_reward import SentenceSpace

    texts = [" ".join(vocabulary.words_of(ids)) for ids in sentences]
    encode = sentence_encoders.load(options.sentence_encoder, texts)
    found = sentence_evidence.scores_of_names(options.data_dir, images.names)
    units_ND, mean_D = sentence_evidence.corpus_vectors(encode, texts, options.output_dir)
    distribution = sentence_evidence.SentenceDistribution(
        keys,
        detections,
        units_ND,
        sentence_evidence.image_vectors(encode, *found),
        options.bonus,
        options.temperature,
        options.sentence_temperature,
    )
    vectors_NG = sentence_vectors(sentences)
    directions_TG = main_directions(scipy.sparse.csr_array(distribution.mean()[None]), vectors_NG, options.dim)
    embeddings_NT = (vectors_NG @ directions_TG.T).astype(np.float32)
    targets_IT, expected_ID = np.split(
        distribution.expectations(np.hstack([embeddings_NT, units_ND])), [embeddings_NT.shape[1]], axis=1
    )
    known = {"expected_ID": expected_ID, "mean_D": mean_D, "spec": options.sentence_encoder, "encode": encode}
    return directions_TG, targets_IT, functools.partial(SentenceSpace.of, **known)


def write_bank(path, bank, known, left_out=None, fit=None):
    """Writes the predicted embeddings of a split as an array float16 [N, crops, T].

    Args:
      path: the .npy file to write.
      bank: FeatureBank of the split with the image vectors.
      known: KnownImages, from `learn`.
      left_out: for the training split int [N], the index of each image among the images that were given to `learn`: its
        embedding is predicted without using this image. None for other splits.
      fit: KernelFit, from `learn`; needed with `left_out`.

    Returns: (mean, standard deviation) of the embeddings over images and crops, each float64 [T].
    """
    import numpy as np

    from models.consensus.kernel_regression import ROWS_AT_ONCE

    count, crops, _ = bank.features.shape
    shape = (count, crops, known.weights_MT.shape[1])
    total, squares = np.zeros(shape[-1]), np.zeros(shape[-1])
    with writing.array_file(path, np.float16, shape) as file:
        for start in cli.progress(range(0, count, ROWS_AT_ONCE), os.path.basename(path)):
            rows = slice(start, start + ROWS_AT_ONCE)
            vectors = np.empty((len(bank.features[rows]), *shape[1:]), np.float16)
            for crop in range(crops):
                found = known.expected(bank.features[rows, crop], None if left_out is None else left_out[rows], fit)
                vectors[:, crop] = found
                total += found.sum(0, dtype=np.float64)
                squares += (found.astype(np.float64) ** 2).sum(0)
            file.append(vectors)
    mean = total / (count * crops)
    return mean, np.sqrt(np.maximum(squares / (count * crops) - mean**2, 0.0))


def main(options):
    """Fits the regression and writes the encoder's file and the feature banks. Args: options: Options."""
    check(options)
    output_dir = options.output_dir or made_by.derived(options.data_dir)
    options = dataclasses.replace(options, output_dir=output_dir)
    features = [f"features_{split}" for split in SPLITS]
    os.makedirs(output_dir, exist_ok=True)
    others = ["image", "sentence", "word_counts"]  # stems of the files that are linked
    reading = writing.working(options.data_dir, [], [*features, *others])
    with reading, writing.working(output_dir, ["neighbours", *features, *others]):
        _make(options)


def _make(options):
    """Links the other files, fits the regression and writes the feature banks; complete outputs are kept.

    Args: options: Options with its `output_dir` set.
    Raises: cli.UserError if the data folder is damaged or incomplete, or its feature bank has grids.
    """
    import numpy as np

    from formats import feature_banks, inventory, records, sidecars
    from formats.vocabulary import Vocabulary
    from models import encoders
    from models.consensus import sentence_encoders
    from models.consensus.kernel_regression import KnownImages
    from models.consensus.sentence_reward import SentenceSpace

    output_dir = options.output_dir
    inventory.require_fit(options.data_dir, (*inventory.TEXT_AND_TRAINING_IMAGES, "features_val"), options.verify)
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    banks = {
        split: input_pipeline.FeatureBank(options.data_dir, split)
        for split in SPLITS
        if split == "train" or os.path.exists(os.path.join(options.data_dir, f"features_{split}.json"))
    }
    if banks["train"].features.ndim != 3:
        raise cli.UserError(f"{options.data_dir}: the feature bank holds grids of cells, expected pooled vectors")
    link_others(options.data_dir, output_dir)

    # ------------------------------------------------------------------------------------------- known images
    images = records.read_images(records.find_files(options.data_dir, "image_train"))
    path, phrases_path, space_path, json_path = (
        os.path.join(output_dir, name)
        for name in ("neighbours.npz", "phrases.npz", SentenceSpace.FILE, "neighbours.json")
    )
    names = "dim threshold bonus temperature sharpness ridge landmarks set_power candidates max_sentence_length".split()
    settings = {name: getattr(options, name) for name in names}
    digest = lambda sidecar: [entry["sha256"] for entry in sidecar["files"]]  # noqa: E731
    made_from = {"vocabulary": vocabulary.fingerprint(), "features": digest(banks["train"].sidecar)}
    if options.pca:
        settings["pca"] = options.pca
    if options.sentence_encoder:
        settings["sentence_temperature"] = options.sentence_temperature
        made_from["sentence_encoder"] = sentence_encoders.identity(options.sentence_encoder)
    for kind in ("sentence", "image_train", *(["detections"] if options.sentence_encoder else [])):
        made_from[kind] = digest(sidecars.read_sidecar(os.path.join(options.data_dir, f"{kind}.json")))
    fit = None
    if not sidecars.already_made(json_path, settings, made_from, options.overwrite):
        known, fit, phrases, space = learn(options, vocabulary, images, banks["train"])
        if not space and os.path.lexists(space_path):
            os.remove(space_path)
        made = {path: known, phrases_path: phrases} | ({space_path: space} if space else {})
        for target, content in made.items():
            with writing.replacing(target) as part, open(part, "wb") as file:
                content.save(file)
        files = {"files": list(made), "count": len(images)}
        source = os.path.relpath(os.path.realpath(options.data_dir), os.path.realpath(output_dir))
        sidecars.write_sidecar(json_path, settings=settings, made_from=made_from, source=source, **files)
        print(f"{path}: {len(images)} images, {known.weights_MT.shape[1]} dimensions")
    known = KnownImages.load(path)
    dim = known.weights_MT.shape[1]
    encoder = encoders.describe_caption_embeddings(path, dim, known.base)

    # ------------------------------------------------------------------------------------------- feature banks
    row_of = {name: row for row, name in enumerate(images.names)}
    for split, bank in banks.items():
        path, json_path = (os.path.join(output_dir, f"features_{split}.{kind}") for kind in ("npy", "json"))
        settings = {"encoder": encoders.identity(encoder), "crops": bank.sidecar["crops"]}
        made_from = {**bank.sidecar["made_from"], "features": digest(bank.sidecar)}
        if sidecars.already_made(json_path, settings, made_from, options.overwrite):
            continue
        if os.path.exists(json_path):
            os.remove(json_path)
        if split == "train":
            fit = (
                fit or learn(options, vocabulary, images, bank)[1]
            )  # None after an interruption behind the encoder's file
            left_out = np.array([row_of[name] for name in bank.names])
            statistics = write_bank(path, bank, known, left_out, fit)
        else:
            statistics = write_bank(path, bank, known)
        crops = bank.sidecar["crops"]
        feature_banks.write_sidecar(json_path, path, bank.names, encoder, crops, statistics, settings, made_from)
        print(f"{path}: {len(bank.names)} images x {1 + bank.sidecar['crops']} crops x {dim} dimensions")


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("predict_caption_embeddings"))
