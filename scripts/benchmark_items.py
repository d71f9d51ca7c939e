"""The measurements of scripts.benchmark, one for each kind of line of its output. Each runs in its own process.

A measured training step is the real one: the objective's `update` in the compiled function of the training loop. The
functions of MEASURES get a benchmark.Case, benchmark.Options, benchmark_flops.Sizes of the networks and a Clock, which
collects the times. They return `more`, the further fields of the line (dict, see `Clock.entry`), or None.
"""

import dataclasses
import gc
import os
import statistics
import tempfile
import time

import numpy as np
import tensorflow as tf

import config
from formats.vocabulary import Vocabulary
from input_pipeline import ImageSet, SentenceSet, UnpairedBatches
from models.generator import END_ID
from objectives.full import FullObjective
from objectives.im_caption import ImageCaptionObjective
from objectives.obj2sen import ObjectToSentenceObjective
from objectives.sentence_ae import SentenceAutoEncoderObjective
from objectives.sentence_gan import SentenceGanObjective
from scripts import benchmark_data
from scripts import benchmark_flops as flops
from scripts.benchmark_data import READS, examples, lengths_of, stacked
from training import setup
from training.loop import Loop, make_run_steps
from training.run_directory import RunDirectory

CUBE = 2048
AUTHORS = flops.Sizes()
SMALL = flops.Sizes(vocabulary=2_700, units=128, image_dim=256, words=16)  # the networks of scripts/demo.sh
GROWING = {"full step, vocabulary": "vocabulary", "full step, captions of": "words"}
TINY = flops.Sizes(vocabulary=300, units=32, image_dim=24, words=20)  # --quick


def measure(case, options):
    """Measures the line for `case` (benchmark.Case) with benchmark.Options; returns the dict of `Clock.entry`."""
    setup.configure(config.Trainer(precision=options.precision, xla=options.xla))
    sizes = TINY if options.quick else sizes_of(case)
    clock = Clock(2 if options.quick else options.repeats)
    name = next(name for name in MEASURES if case.item.startswith(name))
    return clock.entry(case.batch, MEASURES[name](case, options, sizes, clock) or {})


def sizes_of(case):
    """Returns the Sizes of the networks for a Case: the authors', small ones, or the authors' with one size changed."""
    name, _, number = case.item.rpartition(" ")
    if name in GROWING:
        return dataclasses.replace(AUTHORS, **{GROWING[name]: int(number)})
    return SMALL if case.item == "full step, small networks" else AUTHORS


# --------------------------------------------------------------------------------------------------------------
# Time, speed, memory


class Clock:
    """Times `repeats` calls (list `seconds`), and before each a matrix product (list `products`, GFLOP a second)."""

    def __init__(self, repeats):
        self.repeats, self.seconds, self.products = repeats, [], []
        left, right = (tf.random.stateless_normal([CUBE, CUBE], [0, k]) for k in range(2))
        self._product = lambda: tf.matmul(left, right)
        self._product()
        gc.collect()

    def product(self, times=3):
        """Times a fixed matrix product, the unit of `entry`; appends its speed to `products`, in GFLOP a second."""
        for _ in range(times):
            start = time.perf_counter()
            self._product().numpy()
            self.products.append(2 * CUBE**3 / (time.perf_counter() - start) / 1e9)

    def run(self, call, per_call=1, warm_up=1):
        """Appends to `seconds` the time of each `call()`, divided by `per_call`, its units of work (e.g. steps)."""
        for _ in range(warm_up):
            call()
        for _ in range(self.repeats):
            self.product()
            start = time.perf_counter()
            call()
            self.seconds.append((time.perf_counter() - start) / per_call)
        self.product()

    def entry(self, batch, more):
        """Returns the results of one line: dict of figures such as "seconds" (of a unit of work), and those of `more`.

        Args: batch: examples in a unit of work. more: dict of other figures; its "flop_per_example" is removed.
        """
        seconds, speed = statistics.median(self.seconds), statistics.median(self.products)
        useful = more.pop("flop_per_example", None)
        work = seconds * speed / batch
        return {
            "seconds": seconds,
            "gflop_eq_per_example": work,
            "useful_gflop_per_example": useful and useful / 1e9,
            "share_of_peak": useful and useful / 1e9 / work,
            "peak_memory_gib": peak_memory(),
            "images_per_second": batch / seconds,
            "matmul_gflops": speed,
            "matmul_gflops_best": max(self.products),
            "seconds_all": self.seconds,
        } | more


def peak_memory():
    """Returns the peak memory of this process in GiB."""
    with open("/proc/self/status", encoding="ascii") as file:
        line = next(line for line in file if line.startswith("VmHWM"))
    return int(line.split()[1]) / 2**20


# --------------------------------------------------------------------------------------------------------------
# Training


def settings(cls, case, sizes, **changes):
    """Returns an instance of `cls`, the settings class of a trainer, with the Case's batch_size and semantics.

    `sizes` (Sizes) gives emb_dim, mem_dim, for adversarial trainers max_caption_length; `changes` override all fields.
    """
    given = {"emb_dim": sizes.units, "mem_dim": sizes.units, "batch_size": case.batch, "semantics": case.semantics}
    if issubclass(cls, config.AdversarialTrainer):
        given["max_caption_length"] = sizes.words
    return cls(**given | changes)


def force_lengths(generator, case, sizes):
    """Changes a Generator so that each caption ends at the length that `case` (Case) prescribes for `sizes` (Sizes)."""
    generator.forced_lengths_B = tf.constant(lengths_of(case, sizes, case.batch))


def run_training(objective, stack, clock, seed=1):
    """Adds the times of training steps on `stack` (dict name -> array [steps, rows, ...]) to `clock`."""
    steps = len(stack["length"])
    run_steps, _ = make_run_steps(objective, tf.distribute.get_strategy(), seed)
    tensors = {name: tf.constant(values) for name, values in stack.items()}
    phase = objective.phase(0)[0]
    values = []

    def call():
        values.append(run_steps(tensors, tf.constant(0), tf.constant(steps), phase).numpy())

    clock.run(call, steps)
    if not np.isfinite(values[-1]).all():
        raise ValueError("the step's metrics are not finite")


def full_step(case, options, sizes, clock):
    """Adds times of steps of the full model from image vectors to `clock`; returns {"flop_per_example": float}."""
    micro = int(case.item.rpartition(" of ")[2]) if "micro-batches" in case.item else case.batch
    changes = {"accumulate": case.batch // micro} | ({"keep_prob": 1.0} if sizes is SMALL else {})
    objective = FullObjective(settings(config.FullModel, case, sizes, **changes), sizes.vocabulary, sizes.image_dim)
    force_lengths(objective.generator, dataclasses.replace(case, batch=micro), sizes)
    rows = case.batch * (2 if case.semantics == "reference" else 1)
    steps = 10 if sizes is SMALL else 2 if case.batch < 512 else 1
    run_training(objective, stacked(case, sizes, READS["full"], rows, steps), clock)
    words = float(lengths_of(case, sizes, case.batch).mean())
    return {"flop_per_example": flops.full(sizes, words, case.semantics, 0.9 * (words - 1) + 1)}


def part_of_step(case, options, sizes, clock):
    """Adds times of the part of a full step that `case.item` names after ": ", without its inputs', to `clock`."""
    objective = FullObjective(settings(config.FullModel, case, sizes), sizes.vocabulary, sizes.image_dim)
    force_lengths(objective.generator, case, sizes)
    batch = {name: tf.constant(examples(case, sizes, case.batch)[name]) for name in READS["full"]}
    seed = tf.constant([1, 2])
    rollout = objective.rollout(batch, seed)
    _, of_discriminator, judged = objective.discriminator_gradients(batch, rollout, seed)
    terms = objective.rewards_and_advantages(batch, rollout, seed, judged)
    _, of_generator = objective.generator_gradients(batch, rollout, terms, seed)

    def updates():
        norms = objective.apply(objective.generator_optimizer, of_generator, objective.generator, "g")
        return norms | objective.apply(
            objective.discriminator_optimizer, of_discriminator, objective.discriminator, "d"
        )

    parts = {
        "rollout": lambda: objective.rollout(batch, seed).greedy_BT,
        "rewards": lambda: objective.rewards_and_advantages(batch, rollout, seed, judged)["advantages"],
        "generator": lambda: objective.generator_gradients(batch, rollout, terms, seed),
        "discriminator": lambda: objective.discriminator_gradients(batch, rollout, seed)[:2],
        "updates": updates,
    }
    part = tf.function(parts[case.item.partition(": ")[2]])
    clock.run(
        lambda: [tensor.numpy() for tensor in tf.nest.flatten(part()) if tensor is not None and tensor.shape.rank == 0]
    )


def encoder_step(case, options, sizes, clock):
    """Adds times of steps of the full model that run Inception-v4 to `clock`; returns {"flop_per_example": float}."""
    from models import encoders

    encoder = encoders.load_encoder("inception_v4:rule")
    given = settings(config.FullModel, case, sizes)
    objective = FullObjective(given, sizes.vocabulary, encoder.dim, encoder.in_step)
    force_lengths(objective.generator, case, sizes)
    rows = case.batch * (2 if case.semantics == "reference" else 1)
    stack = stacked(case, sizes, READS["full"][1:], rows, 1)
    random = np.random.default_rng(0)
    stack["pixels"] = random.uniform(-1, 1, [1, rows, 299, 299, 3]).astype(np.float32)
    run_training(objective, stack, clock)
    words = float(lengths_of(case, sizes, case.batch).mean())
    text = flops.full(sizes, words, case.semantics, 0.9 * (words - 1) + 1)
    return {"flop_per_example": text + rows / case.batch * flops.INCEPTION_V4}


def _cross_entropy_step(case, options, sizes, clock, cls, build, reads, read_words, image=False):
    """Adds times of steps of `build(settings of class cls)` to `clock`; returns {"flop_per_example": float}.

    `reads`: key of READS. `read_words`: function: mean words of a caption -> words that an encoder reads.
    """
    objective = build(settings(cls, case, sizes))
    run_training(objective, stacked(case, sizes, READS[reads], case.batch, 2), clock)
    words = float(lengths_of(case, sizes, case.batch).mean())
    return {"flop_per_example": flops.cross_entropy(sizes, words, read_words(words), image)}


def obj2sen_step(case, options, sizes, clock):
    """Adds times of training steps of obj2sen to `clock`; returns {"flop_per_example": float}."""
    build = lambda given: ObjectToSentenceObjective(given, sizes.vocabulary)  # noqa: E731
    reads = lambda words: benchmark_data.CONCEPTS  # noqa: E731
    return _cross_entropy_step(case, options, sizes, clock, config.ObjectToSentence, build, "obj2sen", reads)


def im_caption_step(case, options, sizes, clock):
    """Adds times of training steps of im_caption to `clock`; returns {"flop_per_example": float}."""
    build = lambda given: ImageCaptionObjective(given, sizes.vocabulary, sizes.image_dim)  # noqa: E731
    cls = config.ImageCaption
    return _cross_entropy_step(case, options, sizes, clock, cls, build, "im_caption", lambda words: 0, image=True)


def sentence_ae_step(case, options, sizes, clock):
    """Adds times of training steps of sentence_ae to `clock`; returns {"flop_per_example": float}."""
    build = lambda given: SentenceAutoEncoderObjective(given, sizes.vocabulary)  # noqa: E731
    cls = config.SentenceAutoEncoder
    noised = lambda words: 0.9 * (words - 1) + 1  # noqa: E731
    return _cross_entropy_step(case, options, sizes, clock, cls, build, "sentence", noised)


def sentence_gan_step(case, options, sizes, clock):
    """Adds times of training steps of sentence_gan to `clock`; returns {"flop_per_example": float}."""
    objective = SentenceGanObjective(settings(config.SentenceGan, case, sizes), sizes.vocabulary)
    force_lengths(objective.generator, case, sizes)
    run_training(objective, stacked(case, sizes, READS["sentence"], case.batch, 2), clock)
    words = float(lengths_of(case, sizes, case.batch).mean())
    return {"flop_per_example": flops.full(sizes, words, case.semantics, 0, image=False)}


# --------------------------------------------------------------------------------------------------------------
# Decoding and features


def _captioner(case, sizes):
    """Returns (Captioner with random weights, float32 [64, D] image vectors); captions have the Case's lengths."""
    from captioning.captioner import Captioner
    from models.generator import Generator
    from models.standardise import Standardise

    generator = Generator(sizes.vocabulary, sizes.image_dim, sizes.units, sizes.units, 1.0, tf.constant([1, 2]))
    generator.softmax_b.assign(tf.one_hot(END_ID, sizes.vocabulary, -1e9))
    if case.lengths:
        force_lengths(generator, case, sizes)
    words = Vocabulary(["<S>", "</S>", *(f"w{i}" for i in range(sizes.vocabulary - 3))])
    vectors = examples(case, sizes, 64)["image"]
    return Captioner(generator, Standardise(sizes.image_dim), words, "fixed", sizes.words), vectors


def greedy(case, options, sizes, clock):
    """Adds times of greedy decoding of 64 image vectors to `clock`; returns {"flop_per_example": float}."""
    captioner, vectors = _captioner(case, sizes)
    state = lambda: captioner.generator.initial_state(captioner.feature(vectors))  # noqa: E731
    decode = tf.function(lambda: captioner.generator.decode(state(), sizes.words))
    clock.run(lambda: decode().numpy())
    return {"flop_per_example": flops.decoded(sizes, float(lengths_of(case, sizes, case.batch).mean()))}


def sampling(case, options, sizes, clock):
    """Adds times of sampling captions of 64 image vectors to `clock`; returns {"flop_per_example": float}."""
    captioner, vectors = _captioner(case, sizes)
    state = lambda: captioner.generator.initial_state(captioner.feature(vectors))  # noqa: E731
    decode = tf.function(lambda seed: captioner.generator.decode(state(), sizes.words, seed=seed))
    clock.run(lambda: decode(tf.constant([3, 4])).numpy())
    return {"flop_per_example": flops.decoded(sizes, float(lengths_of(case, sizes, case.batch).mean()))}


def beam_batched(case, options, sizes, clock):
    """Adds times of beam search (size 3), all images in one call, to `clock`; returns {"flop_per_example": float}."""
    captioner, vectors = _captioner(case, sizes)
    clock.run(lambda: captioner.caption_vectors(vectors, "beam3", batch=len(vectors)))
    return {"flop_per_example": flops.decoded(sizes, sizes.words - 1, 3)}


def beam_single(case, options, sizes, clock):
    """Adds times of beam search, an image a call, to `clock`. Raises ValueError if a batch gives other captions."""
    captioner, vectors = _captioner(case, sizes)
    few = vectors[:4]
    clock.run(lambda: captioner.caption_vectors(few, "beam3", batch=1), len(few))
    one_by_one = captioner.caption_vectors(vectors[:16], "beam3", batch=1)
    together = captioner.caption_vectors(vectors, "beam3", batch=len(vectors))[:16]
    same = [[c.ids for c in a] == [c.ids for c in b] for a, b in zip(one_by_one, together, strict=True)]
    if not all(same):
        raise ValueError(f"{same.count(False)} of 16 images got other captions alone than in a batch")
    return {"flop_per_example": flops.decoded(sizes, sizes.words - 1, 3), "note": "captions as batched"}


def extract_features(case, options, sizes, clock):
    """Adds times of encoding by Inception-v4, without files, to `clock`; returns {"flop_per_example": float}."""
    from models import encoders

    encoder = encoders.load_encoder("inception_v4:rule")
    rows = 2 if options.quick else case.batch
    pixels = np.random.default_rng(0).uniform(-1, 1, [rows, 299, 299, 3]).astype(np.float32)
    clock.run(lambda: encoder.encode(pixels), rows / case.batch)
    return {"flop_per_example": flops.INCEPTION_V4}


# --------------------------------------------------------------------------------------------------------------
# Data


def read_records(case, options, sizes, clock):
    """Adds times of reading a corpus of sentence records into memory to `clock`; returns {"note": str}."""
    count = 500 if options.quick else case.batch
    with tempfile.TemporaryDirectory() as folder:
        benchmark_data.sentences_file(folder, sizes, count)
        clock.run(lambda: SentenceSet.load(folder), count / case.batch)
    return {"note": "examples are sentences"}


def process_sentences(case, options, sizes, clock):
    """Adds times of converting raw text to sentence records to `clock`; returns {"note": str}."""
    from preprocessing import extract_descriptions, process_descriptions
    from scripts import simulate_corpus

    count = 3000 if options.quick else case.batch
    with tempfile.TemporaryDirectory() as folder:
        simulate_corpus.main(simulate_corpus.Options(data_dir=folder, sentences=count))
        text = os.path.join(folder, "corpus.txt")

        def call():
            given = {"data_dir": folder, "overwrite": True}
            extract_descriptions.main(extract_descriptions.Options(input=text, **given))
            process_descriptions.main(process_descriptions.Options(new_dict=True, min_word_count=4, **given))

        clock.repeats = min(clock.repeats, 3)
        clock.run(call, count / case.batch, warm_up=0)
    return {"note": "examples are lines of text"}


def waiting_for_data(case, options, sizes, clock):
    """Adds the seconds that a step waits for its batch to `clock`; returns {"waiting_share": 0 to 1, "note": str}."""
    import json

    steps = 4 if options.quick else 12
    with tempfile.TemporaryDirectory() as folder:
        benchmark_data.sentences_file(folder, sizes, 20 * case.batch)
        benchmark_data.images_file(folder, sizes, 20 * case.batch, crops=4)
        job_dir = os.path.join(folder, "run")
        changes = {"max_steps": 3 * steps, "save_summary_steps": steps, "steps_per_loop": 2, "job_dir": job_dir}
        given = settings(config.FullModel, case, sizes, **changes)
        batches = UnpairedBatches(ImageSet.from_bank(folder, "train"), SentenceSet.load(folder), case.batch, given.seed)
        objective = FullObjective(given, sizes.vocabulary, sizes.image_dim)
        force_lengths(objective.generator, case, sizes)
        clock.product(9)
        Loop(given, objective, batches, tf.distribute.get_strategy(), RunDirectory(given, {})).train()
        with open(os.path.join(job_dir, "timing.jsonl"), encoding="utf-8") as file:
            timing = [json.loads(line) for line in file][1:]  # the first interval compiles
        clock.product(9)
    clock.seconds = [line["waiting_share"] * line["seconds_per_step"] for line in timing]
    share = statistics.median(line["waiting_share"] for line in timing)
    return {"waiting_share": share, "note": f"{share:.1%} of a step"}


MEASURES = {
    "full step, encoder in the step": encoder_step,
    "full step": full_step,
    "part of it": part_of_step,
    "obj2sen step": obj2sen_step,
    "im_caption step": im_caption_step,
    "sentence_ae step": sentence_ae_step,
    "sentence_gan step": sentence_gan_step,
    "greedy": greedy,
    "sampling": sampling,
    "beam3 batched": beam_batched,
    "beam3 single": beam_single,
    "extract features": extract_features,
    "read records": read_records,
    "process sentences": process_sentences,
    "waiting for data": waiting_for_data,
}
