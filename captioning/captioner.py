"""Captions images by a trained run: networks, vocabulary and encoder are read from the run directory alone.

Shapes: N images, B batch, T time, K captions of an image (the beam size or the number of samples; 1 for greedy
decoding), D image vector, E embedding, V vocabulary, C cells of a grid.
"""

import dataclasses

import numpy as np
import tensorflow as tf

import cli
import registry
from captioning import reranking, run_content
from captioning.decode import parse_decode, random_numbers
from models import decoding as decoders
from models import layers
from models.generator import END_ID, START_ID, Generator
from models.standardise import Standardise
from models.word_rules import WordRules
from training import checkpoints

ROWS = 640  # captions that are sampled at once
DECODERS = 32  # compiled decoders that a captioner keeps


@dataclasses.dataclass(frozen=True)
class Hypothesis:
    """One generated caption of an image.

    Attributes:
      text: the caption, its words separated by spaces; "" if the end token was decoded first.
      ids: tuple of int, all decoded word ids without the start token; the last one is the end token, unless the caption
        reached the maximum length first.
      log_prob: sum of the natural log-probabilities of `ids`.
      score: the number by which the captions of an image are ranked, highest first. By default it is log_prob; with an
        exponent a (--length_normalization) a finished caption of beam search has log_prob / length^a, where the length
        counts the start and the end token; with a repetition penalty it is the sum after the penalty; with
        --consensus_weight it is that of captioning.reranking.
      words: tuple of int, the word ids of `text`, without start and end token.
      word_log_probs: tuple of pairs (word, its log-probability), one for each of `ids`; () before
        `Captioner.with_word_log_probs`.
    """

    text: str
    ids: tuple
    log_prob: float
    score: float
    words: tuple = ()
    word_log_probs: tuple = ()

    def to_json(self):
        """Returns a dict for JSON: "caption", "log_prob" and "words", a list of pairs [word, log-probability]."""
        words = [[word, round(log_prob, 6)] for word, log_prob in self.word_log_probs]
        return {"caption": self.text, "log_prob": round(self.log_prob, 6), "words": words}


class Captioner:
    """A trained generator with its vocabulary, which captions images.

    The base class captions image vectors; a subclass may take other input rows, for example concept words. If it is
    built inside `strategy.scope()`, its batches are divided among the devices of the strategy.

    Attributes: generator, standardise, vocabulary, semantics, max_caption_length: the arguments of `__init__`.
      row_type: dtype of the input rows. input_embedding: float32 [V, E], embedding of the input words, or None for the
      generator's. suppress_unknown: whether beam search never outputs the unknown word.
    """

    row_type = np.float32
    input_embedding = None  # embedding of the input words; None for the generator's own
    suppress_unknown = True  # whether beam search never outputs the unknown word
    phrases = None  # path of the run's phrases.npz, for --consensus_weight

    def __init__(self, generator, standardise, vocabulary, semantics="fixed", max_caption_length=20):
        """Holds the networks; nothing is computed or loaded yet.

        Args:
          generator: WordDecoder.
          standardise: Standardise, applied to image vectors; None in a subclass whose `feature` does not use it.
          vocabulary: Vocabulary.
          semantics: what happens to the text of a caption that reaches the maximum length without an end token:
            "reference" cuts its last word, as the authors' program does (quirk Q22 of docs/implementation_details.md);
            "fixed" keeps it. Captions that have ended are the same in both.
          max_caption_length: maximum number of words of a greedy caption, the end token counted; beam search generates
            at most one word less (quirk Q22).
        """
        self.generator, self.standardise, self.vocabulary = generator, standardise, vocabulary
        self.semantics, self.max_caption_length = semantics, max_caption_length
        self._strategy, self._decoders, self._fit = tf.distribute.get_strategy(), {}, None

    @classmethod
    def from_run(cls, job_dir, checkpoint="newest"):
        """Returns the captioner of a run with the weights of one of its checkpoints.

        Args: job_dir: run directory. checkpoint: "best", "newest", a step, or the path of a checkpoint.
        Raises: cli.UserError if the run is damaged or cannot caption images, or there is no such checkpoint.
        """
        content, vocabulary, prefix = run_content.open_run(job_dir, checkpoint)
        settings, facts = content["settings"], content["facts"]
        if facts.get("image_dim") is None:
            raise cli.UserError(f"{job_dir}: a run of {content['stage']} cannot caption images")
        captioner = cls(
            build_network(content, vocabulary.size),
            Standardise(facts["image_dim"]),
            vocabulary,
            settings["semantics"] if registry.system_of(content).semantics else "fixed",
            settings.get("max_caption_length", 20),
        )
        captioner.load(prefix)
        captioner.phrases = reranking.path_of(job_dir, settings["data_dir"])
        return captioner

    def load(self, prefix):
        """Assigns the weights of a checkpoint of the same run.

        Args: prefix: path of the checkpoint without its ending.
        Raises: cli.UserError if the checkpoint cannot be read or does not have all variables of the networks.
        """
        arrays = checkpoints.read_variables(prefix)
        if not isinstance(self.generator, Generator):  # not the authors' network: no TF1 checkpoints
            parts = {"generator": self.generator, "standardise": self.standardise}
            return checkpoints.assign_variables(checkpoints.variables_of(parts), arrays, prefix)
        checkpoints.assign_variables(layers.named_variables(self.generator), arrays, prefix)
        if "Standardise/mean" in arrays:  # the authors' checkpoints have none
            self.standardise.assign(arrays["Standardise/mean"], arrays["Standardise/std"])

    # ---------------------------------------------------------------------------------------------- decoding

    def feature(self, rows_BD):
        """Returns the features from which the generator starts, one for each input row.

        Args: rows_BD: float32, image vectors that are not yet standardised; with attention float32 [B, C, D].

        Returns: float32 [B, E]; for a generator with attention the projected cells, float32 [B, C, --cell_dim].
        """
        return self.generator.image_feature(self.standardise(rows_BD))

    def caption_vectors(self, vectors_ND, decode="beam3", batch=128, description=None, names=None):
        """Captions image vectors, or other input rows of a subclass.

        Args:
          vectors_ND: float32 [N, D], the encoder's vectors, not standardised; or other rows that `feature` takes, such
            as int32 [N, number of concept words].
          decode: captioning.decode.Decoding, or its name: "greedy", "beamK", "sampleN", with settings after commas.
          batch: number of rows decoded at once.
          description: text of the progress bar; None for no bar.
          names: N image names, which with the seed alone determine the random numbers of the samples; None for the
            numbers of the rows.

        Returns: list of N lists of `Hypothesis`, in the order of the rows. Each list is sorted by score, best first; it
          has one caption for greedy decoding, at most K for a beam, N for samples, which may be equal.
        Raises: cli.UserError if `decode` has another form, or does not fit the dictionary or the length of captions.
        """
        decoding = parse_decode(decode)
        decoder = self.decoder(decoding, np.shape(vectors_ND)[1:])
        names = range(len(vectors_ND)) if names is None else names
        if decoding.is_sampled:
            batch = max(1, min(batch, ROWS // decoding.size))
        batch += -batch % self._strategy.num_replicas_in_sync
        captions = []
        starts = range(0, len(vectors_ND), batch)
        for start in cli.progress(starts, description) if description else starts:
            inputs = [np.asarray(vectors_ND[start : start + batch], self.row_type)]
            if decoding.is_sampled:
                shape = (decoding.size, self.max_caption_length)
                inputs.append(random_numbers(decoding.sample_seed, names[start : start + batch], shape))
            count = len(inputs[0])
            padded = [np.concatenate([part, np.zeros((batch - count, *part.shape[1:]), part.dtype)]) for part in inputs]
            results = [part.numpy()[:count] for part in decoder(*padded)]
            captions += [self._hypotheses(*row) for row in zip(*results, strict=True)]
        if decoding.consensus_weight:
            self._fit = self._fit or reranking.load(self.phrases, np.shape(vectors_ND)[1])
            captions = reranking.reranked(self._fit, vectors_ND, captions, decoding.consensus_weight)
        return captions

    def decoder(self, decoding, row_shape):
        """Returns the compiled decoder for these settings; the latest ones are kept for later calls.

        It is a function (input rows; for samples also their random numbers, float64 [B, K, T]) -> (words int32
        [B, K, T], lengths int32, log_probs float64, scores float64, ended bool, each [B, K]): a tuple of the tensors
        that are the fields of models.decoding.Beams.

        Args: decoding: Decoding. row_shape: shape of one input row.
        Raises: cli.UserError if the beam is larger than the vocabulary, or no caption has the minimum length.
        """
        size, longest = self.generator.vocabulary_size, self.max_caption_length - 2  # of a beam's finished caption
        if decoding.method == "beam" and decoding.size > size:
            raise cli.UserError(
                f"--decode beam{decoding.size}: the dictionary has {size} words; expected at most beam{size}"
            )
        if decoding.min_length > max(longest, 0):
            raise cli.UserError(
                f"--min_length {decoding.min_length}: captions of this run have at most {longest} words; expected at "
                "most this number"
            )
        key = (dataclasses.replace(decoding, sample_seed=0, consensus_weight=0.0), row_shape)
        if key not in self._decoders:
            while len(self._decoders) >= DECODERS:
                del self._decoders[next(iter(self._decoders))]
            inputs = [tf.TensorSpec([None, *row_shape], self.row_type)]
            if decoding.is_sampled:
                inputs.append(tf.TensorSpec([None, decoding.size, self.max_caption_length], tf.float64))

            @tf.function(input_signature=inputs)
            def decoder(rows_BD, *uniforms):
                found = self._decoded(decoding, self.generator.initial_state(self.feature(rows_BD)), *uniforms)
                return found.words, found.lengths, found.log_probs, found.scores, found.ended

            self._decoders[key] = self._on_all_devices(decoder)
        return self._decoders[key]

    def _decoded(self, decoding, state, uniforms_BKT=None):
        """Decodes captions: returns models.decoding.Beams.

        Args: decoding: Decoding. state: tuple of tensors [B, ...], the generator's state before the first word.
          uniforms_BKT: float64, the random numbers of samples.
        """
        penalty = decoding.repetition_penalty if decoding.repetition_penalty != 1 else None
        rules = WordRules(decoding.min_length, decoding.no_repeat_ngram, penalty)
        length, own = self.max_caption_length, self.input_embedding
        if decoding.is_sampled:
            truncated = decoding.top_k > 0 or decoding.top_p < 1
            top = (decoding.top_k, decoding.top_p) if truncated else (None, None)
            nucleus = decoders.Nucleus(decoding.temperature, *top)
            return decoders.sample(self.generator, state, uniforms_BKT, nucleus, rules, self.suppress_unknown, own)
        rules = rules if decoding.has_rules else None
        if decoding.method == "greedy":
            return decoders.greedy(self.generator, state, length, own, rules)
        exponent = decoding.length_normalization
        beam = (decoding.size, length, exponent, self.suppress_unknown, own)
        return decoders.beam_search(self.generator, state, *beam, rules)

    def with_word_log_probs(self, vectors_ND, found):
        """Returns captions with the log-probability of each word by the network: list of N lists of Hypothesis.

        The sum over a caption's words is its `log_prob`, up to rounding.

        Args: vectors_ND: the input rows, as of `caption_vectors`. found: list of N lists of Hypothesis.
        """
        rows = [row for row, several in enumerate(found) for _ in several]
        flat, values = [one for several in found for one in several], []
        longest = max((len(one.ids) for one in flat), default=0)
        for start in range(0, len(flat), ROWS):
            part = flat[start : start + ROWS]
            words = np.zeros((len(part), longest), np.int32)
            for row, one in zip(words, part, strict=True):
                row[: len(one.ids)] = one.ids
            inputs = np.asarray(vectors_ND, self.row_type)[rows[start : start + ROWS]]
            lengths = np.array([len(one.ids) for one in part], np.int32)
            values += list(self._word_log_probs(inputs, words, lengths).numpy())
        pairs = (
            tuple((self.vocabulary.word(i), float(log_prob)) for i, log_prob in zip(one.ids, row, strict=False))
            for one, row in zip(flat, values, strict=True)
        )
        new = (dataclasses.replace(one, word_log_probs=next(pairs)) for one in flat)
        return [[next(new) for _ in several] for several in found]

    @tf.function(reduce_retracing=True)
    def _word_log_probs(self, rows_BD, words_BT, lengths_B):
        """Returns the log-probabilities of given words: float32 [B, T]. Args: as of models.decoding.word_log_probs."""
        state = self.generator.initial_state(self.feature(rows_BD))
        return decoders.word_log_probs(self.generator, state, words_BT, lengths_B, self.input_embedding)

    def _on_all_devices(self, decoder):
        """Returns a function with the arguments and results of `decoder` that divides the rows among the devices.

        With one device this is `decoder` itself; with R devices the number of rows must be a multiple of R.
        """
        strategy, replicas = self._strategy, self._strategy.num_replicas_in_sync
        if replicas == 1:
            return decoder
        run = tf.function(lambda *shares: strategy.run(lambda *inputs: decoder(*inputs), shares))

        def share(part):
            shares = np.split(part, replicas)
            return strategy.experimental_distribute_values_from_function(
                lambda context: tf.constant(shares[context.replica_id_in_sync_group])
            )

        def dealt_out(*inputs):
            results = run(*map(share, inputs))
            return [tf.concat(strategy.experimental_local_results(part), 0) for part in results]

        return dealt_out

    def attention(self, vectors, captions):
        """Returns the attention weights over the cells with which each word of given captions is predicted.

        Args:
          vectors: float32 [N, C, D], grids of cells, one for each caption.
          captions: N sequences of word ids as in Hypothesis.ids.

        Returns: list of N arrays float32 [number of ids, C], whose rows sum to 1.
        Raises: cli.UserError for a network without attention.
        """
        if not hasattr(self.generator, "attention_weights"):
            raise cli.UserError(
                f"a {type(self.generator).__name__} has no attention; only runs of baselines.show_attend_tell have"
            )
        tokens = np.zeros((len(captions), max(map(len, captions))), np.int32)
        for row, ids in zip(tokens, captions, strict=True):
            row[1 : len(ids)] = ids[:-1]  # the start token, then every word but the last
        weights = self.generator.attention_weights(self.feature(tf.constant(vectors, tf.float32)), tf.constant(tokens))
        return [row[: len(ids)] for row, ids in zip(weights.numpy(), captions, strict=True)]

    def _hypotheses(self, words, lengths, log_probs, scores, ended):
        """Returns the decoded captions of one image as a list of Hypothesis, in the order of the arrays.

        Args: words: int [K, T], word ids. lengths: int [K], number of ids, the end token counted. log_probs: [K]; -inf
          marks a place without a caption, which is left out. scores: [K]. ended: bool [K], whether a caption has an end
          token.
        """
        found = []
        for ids, length, log_prob, score, has_ended in zip(words, lengths, log_probs, scores, ended, strict=True):
            if not np.isfinite(log_prob):
                continue
            ids = [int(i) for i in ids[:length]]
            kept = ids
            if not has_ended and self.semantics == "reference":
                kept = ids[:-1]  # the authors always cut the last token, end token or not (quirk Q22)
            words = tuple(i for i in kept if i not in (START_ID, END_ID))
            found.append(Hypothesis(self.vocabulary.decode(words), tuple(ids), float(log_prob), float(score), words))
        return found

    def captions_of(self, names, vectors_ND, decode="beam3", description=None):
        """Returns the best caption of each image: dict name -> text. Args: as of `several_captions_of`."""
        found = self.several_captions_of(names, vectors_ND, decode, description)
        return {name: several[0] for name, several in found.items()}

    def several_captions_of(self, names, vectors_ND, decode="beam3", description=None):
        """Returns all captions of each image: dict name -> list of texts, best first.

        Args:
          names: N image names.
          vectors_ND: their input rows in the same order.
          decode: captioning.decode.Decoding, or its name.
          description: text of the progress bar; None for no bar.

        Raises: cli.UserError as `caption_vectors`.
        """
        found = self.caption_vectors(vectors_ND, decode, description=description, names=names)
        return {name: [one.text for one in several] for name, several in zip(names, found, strict=True)}


def build_network(content, vocabulary_size):
    """Returns the network that generates the captions of a run (a WordDecoder), with new weights.

    Args: content: dict, the content of the run's config.json. vocabulary_size: V.
    """
    return registry.system_of(content).load("network")(content, vocabulary_size)


def unpaired_network(content, vocabulary_size):
    """Returns the generator of a run of the full model or of im_caption as a Generator, with new weights.

    Args: content: dict, the content of the run's config.json. vocabulary_size: V.
    """
    settings, facts = content["settings"], content["facts"]
    seed = tf.constant([0, 0], tf.int32)
    sizes = (settings["emb_dim"], settings["mem_dim"], 1.0)
    return Generator(vocabulary_size, facts["image_dim"], *sizes, seed, settings["feature_scale"])
