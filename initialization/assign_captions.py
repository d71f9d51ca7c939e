"""Assigns to each predicted caption embedding the corpus sentence that fits it best (docs/consensus.md, eq. C6).

    python -m initialization.assign_captions --data_dir data/flickr8k_predicted

The points, to which sentences are assigned, are the predicted caption embeddings of all crops of the training images,
and `--mixed` interpolations between the embeddings of two training images, which are similar images in most cases. A
captioner trained on so many points (`im_caption --captions fit`) learns which sentence belongs to which embedding and
does not memorise a few sentences. No caption of an image is used.

The fit of a sentence to a point is the dot product of their embeddings. Without a limit, one sentence would be assigned
to a fifth of the images. So each sentence has a price, which is subtracted from its fit. The prices are those of an
auction (Bertsekas 1988): at most a share `--most` of the training images choose the same sentence, and these are the
images that it fits best. The price of a sentence is the same for all points, so the choice remains a function of the
embedding, which a captioner can learn.

Reads `features_train.npy`, `phrases.npz`, `sentence*.tfrec`. Writes `fit_captions.npz`, `fit_captions.json`.

Shapes: N sentences, P points, B points of a block, T dimensions of an embedding, I images, K crops, L words.
"""

import dataclasses
import os

import cli
import experiments
import input_pipeline
from formats import inventory, writing
from initialization import retrieve_captions

STEM = "fit_captions"
ALIKE = 30  # nearest images, among which the second image of most mixtures is drawn
FAR = 0.3  # share of the mixtures whose second image is drawn among all images
BLOCK = 50_000_000  # fits computed at a time
RIVALS = 300  # best sentences of an image, which compete for it
ROUNDS = 300  # rounds of the auction


@dataclasses.dataclass(frozen=True)
class Options:
    """Settings of initialization.assign_captions."""

    data_dir: str = cli.field("data/default", "folder that initialization.predict_caption_embeddings wrote")
    contrast: float = cli.field(
        0.5, "share of the mean caption embedding that is subtracted; more gives more varied captions"
    )
    most: float = cli.field(
        0.005,
        "largest share of the training images with the same sentence, 0: no limit. Smaller gives more varied captions "
        "(docs/results/flickr8k.md)",
    )
    mixed: int = cli.field(60_000, "points between two training images, in addition to all crops")
    candidates: int = cli.field(20_000, "candidate sentences, a fixed sample of the corpus; 0: all")
    max_sentence_length: int = cli.field(0, "longer sentences are left out, markers counted; 0 keeps all")
    seed: int = cli.field(1, "seed of the points between images")
    verify: bool = cli.field(False, "compare the checksums of all data files with their sidecars first")
    overwrite: bool = cli.field(False, "make the output again although it is there")


def check(options):
    """Checks the settings (Options) before TensorFlow starts. Raises cli.UserError if one is invalid."""
    if min(options.mixed, options.candidates, options.max_sentence_length) < 0:
        raise cli.UserError("--mixed, --candidates and --max_sentence_length: expected no negative numbers")
    if not 0 <= options.contrast <= 1:
        raise cli.UserError(f"--contrast {options.contrast}: expected a share between 0 and 1")
    if not 0 <= options.most <= 1:
        raise cli.UserError(f"--most {options.most}: expected a share between 0 and 1")
    inventory.require(options.data_dir, ("neighbours",))


def sentence_matrix(sentences, fit):
    """Returns the embeddings of sentences: float32 [N, T].

    Args:
      sentences: list of N arrays of word ids, without start and end token.
      fit: models.consensus.consensus_reward.ConsensusReward; its method `vectors` computes the embeddings. The end
        token is added to each sentence before.
    """
    import numpy as np

    rows, width = [], max(map(len, sentences)) + 1
    for start in cli.progress(range(0, len(sentences), 2048), "vectors of sentences"):
        part = sentences[start : start + 2048]
        words_BL = np.ones((len(part), width), np.int32)  # the end marker
        for row, ids in zip(words_BL, part, strict=True):
            row[: len(ids)] = ids
        rows.append(fit.vectors(words_BL).numpy())
    return np.concatenate(rows)


def mixtures(vectors_IKT, count, seed):
    """Returns random points between the embeddings of pairs of images: float32 [count, T].

    Each point is share * a + (1 - share) * b, with a random share in 0 to 1, and a and b embeddings of random crops of
    two images; b is one of the most similar images of a, or with probability FAR any image. All points are then scaled
    by one factor, so that their mean norm is that of the centre crops' embeddings.

    Args:
      vectors_IKT: float [I, K, T], the embeddings of all crops; crop 0 is the centre crop.
      count: number of points.
      seed: int, seed of the random draws.
    """
    import numpy as np

    rng = np.random.default_rng(seed)
    images, crops, _ = vectors_IKT.shape
    first, share = rng.integers(0, images, count), rng.random((count, 1), np.float32)
    rank, other, far = rng.integers(0, ALIKE, count), rng.integers(0, images, count), rng.random(count) < FAR
    crop, other_crop = rng.integers(0, crops, (2, count))
    centre_IT = np.asarray(vectors_IKT[:, 0], np.float32)
    units_IT = centre_IT / np.maximum(np.linalg.norm(centre_IT, axis=1, keepdims=True), 1e-9)
    alike = min(ALIKE, images - 1)
    step = max(1, BLOCK // images)
    for start in cli.progress(range(0, count if alike else 0, step), "similar images"):
        rows = np.flatnonzero(~far[start : start + step]) + start
        cosine_BI = units_IT[first[rows]] @ units_IT.T
        cosine_BI[np.arange(len(rows)), first[rows]] = -np.inf
        nearest_BK = np.sort(np.argpartition(-cosine_BI, alike - 1, axis=1)[:, :alike], axis=1)
        other[rows] = nearest_BK[np.arange(len(rows)), rank[rows] % alike]
    one_PT, two_PT = (
        np.asarray(vectors_IKT[image, chosen], np.float32) for image, chosen in ((first, crop), (other, other_crop))
    )
    points_PT = share * one_PT + (1 - share) * two_PT
    length = np.linalg.norm(centre_IT, axis=1).mean()
    return points_PT * (length / max(np.linalg.norm(points_PT, axis=1).mean(), 1e-9)) if count else points_PT


def best_sentences(points_PT, matrix_NT, general_T, price_N=0.0):
    """Returns the index of the sentence with the highest fit minus price for each point: int64 [P].

    Args:
      points_PT: float32, predicted caption embeddings. matrix_NT: float32, embeddings of the sentences.
      general_T: float32, added to each point: the mean caption embedding times 1 - contrast (--contrast).
      price_N: float32, from `prices`, subtracted from the fits; 0 for no prices.
    """
    import numpy as np

    chosen = []
    for _, fit_BN in _fits(points_PT, matrix_NT, general_T, "best sentences"):
        chosen.append((fit_BN - price_N).argmax(1))
    return np.concatenate(chosen)


def _fits(points_PT, matrix_NT, general_T, label):
    """Yields (index of the first point of a block, fit of each sentence to each of its points float32 [B, N]).

    Args: points_PT: float32, predicted caption embeddings. matrix_NT: float32, embeddings of the sentences.
      general_T: float32, added to each point. label: text of the progress bar.
    """
    step = max(1, BLOCK // len(matrix_NT))
    for start in cli.progress(range(0, len(points_PT), step), label):
        yield start, (points_PT[start : start + step] + general_T) @ matrix_NT.T


def prices(points_PT, matrix_NT, general_T, most):
    """Returns the prices of the sentences: float32 [N], at least 0.

    They are such that, nearly exactly, no sentence has the highest fit minus price for more than the share `most` of
    the points.

    A price rises while its sentence is chosen too often and falls while it is chosen too seldom, in decreasing steps.

    Args:
      points_PT: float32, predicted embeddings of the centre crops of the images.
      matrix_NT: float32, embeddings of the sentences. general_T: float32, added to each point.
      most: the largest share of the points that may choose the same sentence; 0 for no limit, then all prices are 0.
    """
    import numpy as np

    price_N = np.zeros(len(matrix_NT), np.float32)
    if not most:
        return price_N
    rivals, fits, count = [], [], min(RIVALS, len(matrix_NT))
    for _, fit_BN in _fits(points_PT, matrix_NT, general_T, "competing sentences"):
        rivals.append(np.sort(np.argpartition(-fit_BN, count - 1, axis=1)[:, :count], axis=1))
        fits.append(np.take_along_axis(fit_BN, rivals[-1], 1))
    rivals_PK, fits_PK = np.concatenate(rivals), np.concatenate(fits)
    limit, step = max(1.0, most * len(points_PT)), 0.2 * float(fits_PK.std(1).mean())
    everyone = np.arange(len(points_PT))
    for _ in cli.progress(range(ROUNDS), "prices"):
        winners = rivals_PK[everyone, (fits_PK - price_N[rivals_PK]).argmax(1)]
        uses_N = np.bincount(winners, minlength=len(price_N))
        price_N += step * np.clip(uses_N / limit - 1.0, 0.0, 1.0).astype(np.float32)
        price_N = np.where(uses_N < 0.8 * limit, np.maximum(price_N - 0.3 * step, 0.0), price_N)
        step *= 0.985
    return price_N


def write_points(path, points_PT, captions, vocabulary, settings, made_from):
    """Writes points, their captions and the sidecar, which initialization.pseudo_captions.load_points reads.

    Args: path: of the .npz file. points_PT: float32, predicted caption embeddings. captions: list of P arrays of word
      ids, without start and end token. vocabulary: formats.vocabulary.Vocabulary of the ids. settings, made_from: as of
      formats.sidecars.write_sidecar.
    """
    import numpy as np

    from formats import sidecars

    words, offsets = np.concatenate(captions).astype(np.int32), np.cumsum([0, *map(len, captions)])
    with writing.replacing(path) as part, open(part, "wb") as file:
        np.savez(file, vectors=points_PT.astype(np.float16), words=words, offsets=offsets)
    sidecars.write_sidecar(
        os.path.splitext(path)[0] + ".json", files=[path], count=len(points_PT), settings=settings,
        made_from=made_from, vocabulary=vocabulary.fingerprint(),
    )  # fmt: skip


def main(options):
    """Writes `fit_captions.npz`: predicted caption embeddings, called points, and the corpus sentence of each.

    The points are the embeddings of all crops of the training images, and `--mixed` mixtures of two of them.

    Args: options: Options.
    """
    check(options)
    with writing.working(options.data_dir, [STEM], ["features_train", "neighbours", "sentence", "word_counts"]):
        _make(options)


def _make(options):
    """Assigns the sentences and writes them, unless this was done before with the same settings and files.

    Args: options: Options. Raises: cli.UserError if the data folder is damaged or incomplete.
    """
    import numpy as np

    from formats import sidecars
    from formats.vocabulary import Vocabulary
    from models.consensus.consensus_reward import ConsensusReward, NgramProjection

    read = (*inventory.TEXT_AND_TRAINING_IMAGES, "neighbours")
    inventory.require_fit(options.data_dir, read, options.verify)
    vocabulary = Vocabulary.load(os.path.join(options.data_dir, "word_counts.txt"))
    bank = input_pipeline.FeatureBank(options.data_dir, "train")
    path, json_path = (os.path.join(options.data_dir, f"{STEM}.{kind}") for kind in ("npz", "json"))
    names = ("contrast", "most", "mixed", "candidates", "max_sentence_length", "seed")
    settings = {name: getattr(options, name) for name in names}
    made_from = {
        stem: [entry["sha256"] for entry in sidecars.read_sidecar(f"{options.data_dir}/{stem}.json")["files"]]
        for stem in ("sentence", "neighbours", "features_train")
    }
    made_from["vocabulary"] = vocabulary.fingerprint()
    if sidecars.already_made(json_path, settings, made_from, options.overwrite):
        return
    corpus = retrieve_captions.CandidateSentences(options.data_dir, vocabulary, options.max_sentence_length)
    corpus.sample(options.candidates)
    phrases = NgramProjection.load(os.path.join(options.data_dir, NgramProjection.FILE))
    matrix_NT = sentence_matrix(corpus.sentences, ConsensusReward(phrases))
    vectors_IKT = bank.features
    crops_PT = np.asarray(vectors_IKT, np.float32).reshape(-1, bank.dim)
    points_PT = np.concatenate([crops_PT, mixtures(vectors_IKT, options.mixed, options.seed)])
    general_T = (1 - options.contrast) * phrases.general_T
    price_N = prices(np.asarray(vectors_IKT[:, 0], np.float32), matrix_NT, general_T, options.most)
    chosen_P = best_sentences(points_PT, matrix_NT, general_T, price_N)
    captions = [corpus.sentences[index] for index in chosen_P]
    write_points(path, points_PT, captions, vocabulary, settings, made_from)
    print(
        f"{path}: {len(points_PT)} points, {len(crops_PT)} of them crops of {len(bank.names)} images; "
        f"{len(set(chosen_P.tolist()))} different sentences"
    )


if __name__ == "__main__":
    cli.run(main, Options, experiments.Stage("assign_captions"))
