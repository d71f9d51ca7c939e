"""R2M's objective: cross entropy on text, then triplet and reconstruction losses on images (docs/method.md, R1 to R6).

Shapes: B batch (of one replica), G global batch, S words with start and end token, T time, K concept words, E
embedding, D image vector, O outputs of the memory, N valid words of the batch.

    text    concepts of a sentence -> v -> decoder -> sentence;  o, o, ... -> reconstructor -> v~
    images  detected concepts -> v -> decoder -> greedy words; o, o, ... -> reconstructor -> v~;  image -> v^

v is the vector of the concept words, o the output of the decoder's memory at one step, v~ the reconstruction of v, v^
the projected image vector; v and v^ have unit length. The losses are

    xe: cross entropy.  rec: |v - v~|^2.  triplet: v^ closer to the v~ of its image than to those of other images.

Metrics are dicts name -> (sum, count): float32 scalars of this replica.
"""

import tensorflow as tf

from baselines.r2m import configuration, memory_captioner
from models import layers
from models.noise import shuffled
from models.randomness import fold_in
from models.standardise import Standardise
from objectives.counts import counted
from objectives.cross_entropy import OneOptimizerObjective, sentence_metrics, summed, word_losses
from objectives.networks import weight_seed
from training.accumulation import global_sum, kept, parts, place


def triplet_loss(images_GE, sentences_GE, margin, masked=True):
    """Returns the triplet loss with the hardest negative of each image and each sentence, averaged over the pairs.

    Args:
      images_GE: float32, unit vectors. sentences_GE: float32, row i belongs to image i.
      margin: float, by which a matching pair (image i, sentence i) must be more similar than any negative pair.
      masked: True uses only pairs that do not match as negatives. False, as in the authors' program, also uses the
        matching pair as a negative and swaps the two maxima; the loss is then at least twice the margin.

    Returns: float32 scalar. Source: equation R6; VSE++ (Faghri et al. 2018), which sums over the pairs.
    """
    s = tf.matmul(images_GE, sentences_GE, transpose_b=True)
    right = tf.linalg.diag_part(s)
    of_rows = tf.maximum(0.0, margin + s - right[:, None])  # image i with sentence j, against its own sentence
    of_columns = tf.maximum(0.0, margin + s - right[None, :])  # sentence j with image i, against its own image
    if not masked:
        return tf.reduce_mean(tf.reduce_max(of_rows, 0) + tf.reduce_max(of_columns, 1))
    own = tf.zeros_like(right)
    of_rows, of_columns = tf.linalg.set_diag(of_rows, own), tf.linalg.set_diag(of_columns, own)
    return tf.reduce_mean(tf.reduce_max(of_rows, 1) + tf.reduce_max(of_columns, 0))


def reconstruction_loss(v_BE, reconstructed_BE, rows, reduction):
    """Returns the squared distance summed over B and E, divided by `rows`: float32 scalar (equation R5).

    With the size of the global batch as `rows`, this is one replica's share of the mean over the global batch.

    Args: v_BE: float32, vectors of the concept words. reconstructed_BE: float32, their reconstructions v~. rows: float,
      or float32 scalar tensor. reduction: "sum", or "mean" to divide by E as well.
    """
    summed = tf.reduce_sum((v_BE - reconstructed_BE) ** 2) / rows
    return summed / float(v_BE.shape[-1]) if reduction == "mean" else summed


class R2MObjective(OneOptimizerObjective):
    """Trains the networks of one stage of R2M; configuration.LOSSES has the losses of each stage."""

    def __init__(self, options, vocabulary_size, image_dim=None, encode=None):
        """Must be called inside `strategy.scope()`.

        Args:
          options: configuration.R2M of one stage, from `configuration.of_stage`.
          vocabulary_size: V.
          image_dim: D; None in stages without images.
          encode: function batch["pixels"] -> image vectors float32 [B, D]; None if batches contain image vectors.
        """
        self.options, self.encode_pixels = options, encode
        self.losses = configuration.LOSSES[options.stage]
        seed = fold_in(weight_seed(options), "r2m")
        sizes = memory_captioner.Sizes.of(options)
        self.encoder, self.decoder, self.reconstructor = memory_captioner.build(
            vocabulary_size, sizes, options.keep_prob, seed
        )
        networks = {"encoder": self.encoder, "decoder": self.decoder}
        if self.losses != ("xe",):
            networks["reconstructor"] = self.reconstructor
        trained, self.projection = list(networks.values()), None
        if "triplet" in self.losses:
            self._build_projection(image_dim, seed, networks, trained)
        super().__init__(options, networks, trained)

    def _build_projection(self, image_dim, seed, networks, trained):
        """Adds the projection and the standardisation of image vectors to `networks`.

        With --projection frozen the projection has new random weights in every stage and is not trained.

        Args: image_dim: D. seed: int32 [2]. networks: dict name -> network, to which both are added. trained: list of
          the trained networks, to which the projection is added unless it is frozen.
        """
        frozen = configuration.quirk(self.options, "projection") == "frozen"
        seed = fold_in(seed, f"projection {self.options.stage}" if frozen else "projection")
        self.projection = layers.Linear(image_dim, self.options.emb_dim, seed, "Projection")
        self.standardise = Standardise(image_dim)
        networks |= {"projection": self.projection, "standardise": self.standardise}
        if not frozen:
            trained.append(self.projection)

    def handed_over(self, has_projection):
        """Returns the networks that the checkpoint of the previous stage initialises, as a list of tf.Modules.

        Args: has_projection: whether that checkpoint contains a projection. If it does and this stage trains its own
          projection, the list includes `self.projection`.
        """
        networks = [self.encoder, self.decoder]
        if "reconstructor" in self.networks and self.options.stage != "xe_rec":
            networks.append(self.reconstructor)
        if has_projection and self.projection in self.trained:
            networks.append(self.projection)
        return networks

    # ---------------------------------------------------------------------------------------------- losses

    def gradients(self, batch, seed):
        """Returns (metrics, list of gradients of this replica's share of the loss for `trainable_variables`).

        The gradient of a variable on which the loss does not depend is None.

        Args:
          batch: dict of tensors. Stages with text need `sentence` int32 [B, S], `length` int32 [B], and as concept
            words `key` int32 [B, K], `key_length` int32 [B]; stages with images need `concepts` int32 [B, K],
            `concepts_length` int32 [B], and `image` float32 [B, D] or `pixels`, the input of `encode`.
          seed: int32 [2], distinct for every step and replica.
        """
        metrics, loss = {}, 0.0
        with tf.GradientTape() as tape:
            if "xe" in self.losses:
                share, more = self._text(batch, fold_in(seed, "text"))
                loss, metrics = loss + share, metrics | more
            if "triplet" in self.losses:
                share, more = self._images(batch, fold_in(seed, "images"))
                loss, metrics = loss + share, metrics | more
        return metrics, tape.gradient(loss, self.trainable_variables)

    def _text(self, batch, seed):
        """Returns (this replica's share of the loss of a batch of sentences, metrics).

        The loss is the cross entropy, averaged over the words of all replicas; in stages with the loss rec_text, w_rec
        times the reconstruction loss is added.

        Args: batch: dict of tensors with `sentence` int32 [B, S], `length` int32 [B], and as concept words `key` int32
          [B, K], `key_length` int32 [B]. seed: int32 [2], distinct for every step and replica.
        """
        words, words_global = counted(layers.mask_of(batch["length"] - 1, tf.shape(batch["sentence"])[1]))
        rows, rows_global = counted(tf.ones_like(batch["length"], tf.float32))
        (loss, *statistics), v_BE, outputs_BTO = self._cross_entropy(batch, seed, 1.0 / words_global)
        metrics = sentence_metrics(*statistics, words)
        if "rec_text" in self.losses:
            share, distance = self._reconstruction(v_BE, outputs_BTO, batch["length"] - 1, rows_global)[1:]
            loss += self.options.w_rec * share
            metrics["loss/rec_text"] = (distance, rows)
        return loss, metrics

    def _images(self, batch, seed):
        """Returns (float32 scalar to differentiate, metrics) for a batch of images; the scalar is not the loss itself.

        The gradient of the scalar is this replica's share of the gradient of the loss, which is w_triplet times the
        triplet loss; in stages with the loss rec_image, w_rec times the reconstruction loss is added. The triplet loss
        compares all vectors of the global batch: every replica computes it from the gathered vectors and uses the
        gradient for its own rows.

        Args: batch: dict of tensors with `concepts` int32 [B, K], `concepts_length` int32 [B], and `image` float32
          [B, D] or `pixels`. seed: int32 [2], distinct for every step and replica.
        """
        options = self.options
        rows, rows_global = counted(tf.ones_like(batch["concepts_length"], tf.float32))
        v_BE = self.encoder(batch["concepts"], batch["concepts_length"], fold_in(seed, "encoder"))
        words_BT, lengths_B = self.words(v_BE)
        outputs_BTO = memory_captioner.read_words(self.decoder, v_BE, words_BT, lengths_B, self.encoder.embedding)
        reconstructed_BE, share, distance = self._reconstruction(v_BE, outputs_BTO, lengths_B, rows_global)
        image_BD = kept(lambda: self.encode_pixels(batch["pixels"])) if "pixels" in batch else batch["image"]
        image_BE = layers.unit(self.projection(self.standardise(image_BD)))
        masked = configuration.quirk(options, "triplet") == "masked"
        triplet, d_image_BE, d_reconstructed_BE = gathered_triplet(image_BE, reconstructed_BE, options.margin, masked)
        loss = options.w_triplet * (
            tf.reduce_sum(d_image_BE * image_BE) + tf.reduce_sum(d_reconstructed_BE * reconstructed_BE)
        )
        if "rec_image" in self.losses:
            loss += options.w_rec * share
        ended = tf.cast(tf.reduce_any(tf.equal(words_BT, 1), 1), tf.float32)
        metrics = {
            "loss/triplet": (triplet, tf.ones_like(triplet)),  # of the global batch, equal in every replica
            "loss/rec_image": (distance, rows),
            "length/words": (tf.reduce_sum(tf.cast(lengths_B, tf.float32)), rows),
            "ended": (tf.reduce_sum(ended), rows),
        }
        return loss, metrics

    # ---------------------------------------------------------------------------------------------- parts

    def words(self, v_BE):
        """Returns (the decoder's greedy words int32 [B, T], number of words int32 [B]), without gradient.

        The end token is one of the words, unless --unroll words were generated before it. The words are zero padded.

        Args: v_BE: float32, the output of the concept encoder.
        """
        state = self.decoder.initial_state(v_BE)
        words_BT = kept(lambda: self.decoder.decode(state, self.options.unroll, input_embedding=self.encoder.embedding))
        lengths_B = layers.sequence_lengths(words_BT)
        return words_BT[:, : tf.reduce_max(lengths_B)], lengths_B

    def _reconstruction(self, v_BE, outputs_BTO, lengths_B, rows_global):
        """Returns (v~ float32 [B, E], this replica's share of the reconstruction loss, summed squared distance).

        The last two are float32 scalars; the distance is summed over B and E.

        Args: v_BE: float32, vectors of concept words. outputs_BTO: float32, the decoder's outputs. lengths_B: int32,
          words in each row. rows_global: number of rows in the global batch.
        """
        reconstructed_BE = memory_captioner.reconstruct(self.reconstructor, outputs_BTO, lengths_B)
        share = reconstruction_loss(
            v_BE, reconstructed_BE, rows_global, configuration.quirk(self.options, "rec_reduction")
        )
        return reconstructed_BE, share, tf.reduce_sum(tf.stop_gradient(v_BE - reconstructed_BE) ** 2)

    def _cross_entropy(self, batch, seed, weight):
        """Returns (losses, v float32 [B, E], outputs of the decoder float32 [B, T, O]).

        `losses` is a tuple of float32 tensors: weight * summed cross entropy (scalar); for each word [N] its
        log-probability, the entropy of the predicted distribution, and 1 or 0: whether the most probable word is right.

        Args: batch: dict of tensors with `sentence` int32 [B, S], `length` int32 [B], `key` int32 [B, K], `key_length`
          int32 [B]. seed: int32 [2]; None for no dropout and a fixed order of the concept words. weight: float32
          scalar, factor on the loss of each word.
        """
        order = self.evaluation_seed("order") if seed is None else fold_in(seed, "order")
        key_BK = shuffled(batch["key"], batch["key_length"], order)
        v_BE = self.encoder(key_BK, batch["key_length"], None if seed is None else fold_in(seed, "encoder"))
        lengths_B = batch["length"] - 1
        targets_BT = batch["sentence"][:, 1 : tf.reduce_max(batch["length"])]  # the memory is slow: cut the padding
        outputs_BTO = memory_captioner.read_words(self.decoder, v_BE, targets_BT, lengths_B, self.encoder.embedding)
        valid_BT = tf.sequence_mask(lengths_B, tf.shape(targets_BT)[1])
        targets_N = tf.boolean_mask(targets_BT, valid_BT)
        outputs_NO = tf.boolean_mask(outputs_BTO, valid_BT)
        return word_losses(outputs_NO, self.decoder, targets_N, weight), v_BE, outputs_BTO

    def evaluate(self, batch):
        """Returns (summed cross entropy, number of correctly predicted words, number of words): float32 scalars.

        Args: batch: dict of tensors with `sentence` int32 [B, S], `length` int32 [B], and as concept words `key` int32
          [B, K], `key_length` int32 [B].
        """
        return summed(self._cross_entropy(batch, None, 1.0)[0])


# --------------------------------------------------------------------------------------------------------------
# Vectors of all replicas


def gathered(rows_BE):
    """Returns the rows of the global batch, without gradient: float32 [G, E].

    Must be called in every replica.

    Args: rows_BE: float32, the rows of this replica, or of the micro-batch that is being computed.
    """
    count = parts()
    if count == 1:
        return rows_BE
    at_R11 = tf.one_hot(place(), count)[:, None, None]
    return tf.reshape(global_sum(at_R11 * rows_BE[None]), [-1, rows_BE.shape[-1]])


def gathered_triplet(image_BE, sentence_BE, margin, masked):
    """Returns the triplet loss of the global batch and its gradients for the rows of this part of the batch.

    Args: image_BE, sentence_BE: float32, unit vectors of this replica or micro-batch; row i of both belongs together.
      margin: float, by which a matching pair must be more similar than any negative pair. masked: True if only pairs
        that do not match are negatives; with False the matching pair is one as well.

    Returns: (loss float32 scalar, gradient for image_BE, gradient for sentence_BE), the gradients float32 [B, E].
    """
    images_GE, sentences_GE = (gathered(tf.stop_gradient(rows)) for rows in (image_BE, sentence_BE))
    with tf.GradientTape() as tape:
        tape.watch((images_GE, sentences_GE))
        loss = triplet_loss(images_GE, sentences_GE, margin, masked)
    gradients = tape.gradient(loss, (images_GE, sentences_GE))
    index, batch = place(), tf.shape(image_BE)[0]
    own = lambda rows_GE: rows_GE[index * batch : (index + 1) * batch]  # noqa: E731
    return loss, *(tf.stop_gradient(own(rows_GE)) for rows_GE in gradients)
