"""The full model: networks, losses and one update (docs/method.md, equations 1 to 12).

x: image feature, x': sentence feature. Quirks (Q1): docs/implementation_details.md.

    image  -> Generator.image_feature -> x -> sampled caption w, greedy caption g
    w, g   -> Discriminator -> adversarial reward, x' ;  objects -> concept reward ;  |x - x'| -> image reward
    returns of w minus returns of g = advantage -> policy gradient            (generator)
    sentence -> noise -> Discriminator -> x' -> Generator -> sentence         (generator, cross entropy)
    real sentences against w, and x against x'                                (discriminator)

Every mean is a sum over all replicas divided by a count over all replicas, so the update does not depend on their
number. Metrics are (sum, count) pairs for the same reason.
Shapes: B batch (of one replica), T time, S words of a sentence, D image vector, E embedding, V vocabulary, N words.
"""

import dataclasses

import tensorflow as tf

from models import layers, rewards
from models.generator import joined_masks, shift_right
from models.noise import noised_sentences
from models.randomness import fold_in
from models.standardise import Standardise
from models.token_loss import weighted_cross_entropy
from objectives.anchor import Anchor
from objectives.counts import counted, replicas, unique_rows
from objectives.cross_entropy import teacher_forced
from objectives.encoder_updates import EncoderUpdates
from objectives.networks import build_discriminator, build_generator, build_rewards
from training.accumulation import accumulated, kept
from training.optimization import WarmedUp, apply_gradients, decayed, make_optimizer


@dataclasses.dataclass
class Rollout:
    """Sampled and greedy captions of a batch of images; T is --max_caption_length.

    Attributes:
      generator_input: float32 [B, D], standardised image vectors; in sentence_gan float32 [B, E], noise.
      feature_BE: float32, x, the unit image features, computed from generator_input; no gradient.
      masks: models.generator.Masks, the dropout masks with which the sampled captions were drawn.
      sample_BT, greedy_BT: int32 word ids, 0 after a caption's end; greedy_BT is all 0 if no greedy captions were made.
        With --semantics reference, a greedy caption continues past its end token to its sample's length (quirk Q1).
      sample_lengths_B, greedy_lengths_B: int32, words up to and including the first end token; T without an end token.
      mask_BT: float32, 1 on the first sample_lengths_B words of a row of sample_BT, 0 after them.
    """

    generator_input: tf.Tensor
    feature_BE: tf.Tensor
    masks: object
    sample_BT: tf.Tensor
    sample_lengths_B: tf.Tensor
    greedy_BT: tf.Tensor
    greedy_lengths_B: tf.Tensor
    mask_BT: tf.Tensor


class FullObjective:
    """The networks and optimizers of the full model; `update` is one training step in one replica.

    Batches have `sentence` int32 [B, S], `length` int32 [B], and `image` float32 [B, D] or `pixels` (prepared crops);
    for the concept reward also detected objects: `classes` (word ids) and `scores` [B, C], `num` [B], their number.
    """

    concept_of_V, anchor, encoder_updates = None, None, EncoderUpdates()  # in stages without images

    def __init__(self, options, vocabulary_size, image_dim, encode=None, concept_of_V=None):
        """Builds the networks and optimizers; must be called inside `strategy.scope()`.

        Args:
          options: config.FullModel. vocabulary_size: V. image_dim: D.
          encode: function batch["pixels"] (prepared crops) -> image vectors [B, D], such as an InStepEncoder, whose
            trained blocks are updated with the generator; None if batches have vectors.
          concept_of_V: int32 [V], the concept word that each word names for the concept reward; None: the word itself.
        """
        self.options, self.encode, self.concept_of_V = options, encode, concept_of_V
        self.generator = build_generator(options, vocabulary_size, image_dim)
        self.discriminator = build_discriminator(options, vocabulary_size, heads=("fc", "recon"))
        self.standardise = Standardise(image_dim)
        self.rewards = build_rewards(options, image_dim)
        self.anchor = Anchor(options, vocabulary_size, image_dim) if options.w_anchor > 0 else None
        gen_lr, dis_lr, encoder_lr = (
            decayed(rate, options.lr_decay_steps) for rate in (options.gen_lr, options.dis_lr, options.encoder_lr)
        )
        if options.dis_warmup_steps:
            dis_lr = WarmedUp(options.dis_warmup_steps, options.dis_warmup_lr, dis_lr)
        self.generator_optimizer = make_optimizer(options, gen_lr, options.beta1, self.generator)
        self.encoder_updates = EncoderUpdates(options, encode, encoder_lr)
        self.discriminator_optimizer = make_optimizer(options, dis_lr, options.beta1, self.discriminator)

    def checkpointed(self):
        """Returns what a checkpoint contains: dict name -> network or optimizer."""
        parts = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "standardise": self.standardise,
            "generator_optimizer": self.generator_optimizer,
            "discriminator_optimizer": self.discriminator_optimizer,
        }
        parts |= {"anchor": self.anchor.generator} if self.anchor else {}
        return parts | self.encoder_updates.checkpointed()

    def phase(self, step):
        """Returns (phase, step at which it ends): "warm-up" only trains the discriminator, "joint" (end: None) both."""
        warmup = self.options.dis_warmup_steps
        return ("warm-up", warmup) if step < warmup else ("joint", None)

    def update(self, batch, seed, phase="joint"):
        """Runs one training step on one replica's share of the batch.

        With --semantics fixed, both networks are updated together, from the same captions. With --semantics reference,
        the first of `two_batches` updates the generator; then captions by the updated generator for the second one
        train the discriminator (quirk Q12).

        Args: batch: dict of tensors. seed: int32 [2], different in every step and replica.
          phase: "warm-up" or "joint", from the method `phase`; in the warm-up only the discriminator is updated.
        Returns: metrics: dict name -> (sum, count).
        """
        batch, count = layers.to_longest(batch), self.options.accumulate
        if self.options.semantics == "reference":
            first, second = self.two_batches(batch)
            metrics, gradients = accumulated(self.generator_step, first, fold_in(seed, "generator step"), count)
            if phase == "joint":
                metrics |= self.apply_generator(gradients)
            seed = fold_in(seed, "discriminator step")
            more, dis_gradients = accumulated(self.discriminator_step, second, seed, count)
        else:
            metrics, dis_gradients, more, gradients = accumulated(self.both_steps, batch, seed, count)
            if phase == "joint":
                metrics |= self.apply_generator(gradients)
        metrics |= self.apply(self.discriminator_optimizer, dis_gradients, self.discriminator, "discriminator")
        return metrics | more

    def both_steps(self, batch, seed):
        """Returns metrics and gradients of the discriminator, then of the generator, from the same captions."""
        rollout = self.rollout(batch, seed)
        *of_discriminator, judged = self.discriminator_gradients(batch, rollout, seed)
        return *of_discriminator, *self.generator_step(batch, seed, rollout, judged)

    def discriminator_step(self, batch, seed):
        """Returns (metrics, gradients of the discriminator's variables: list), from sampled captions for a batch."""
        return self.discriminator_gradients(batch, self.rollout(batch, seed, greedy=False), seed)[:2]

    def two_batches(self, batch):
        """Returns (generator's batch, discriminator's batch): two dicts with the halves of each tensor on axis 0."""
        half = tf.shape(batch["length"])[0] // 2
        first = {name: value[:half] for name, value in batch.items()}
        return first, {name: value[half:] for name, value in batch.items()}

    def generator_step(self, batch, seed, rollout=None, judged=None):
        """Returns (metrics: dict name -> (sum, count); gradients of the generator, then of the encoder: list).

        Args: rollout: Rollout of the batch. judged: the discriminator's (logits [B, T], features [B, E] or None) for
          the sampled captions. Each of them is computed here if it is None.
        """
        rollout = rollout or self.rollout(batch, seed)
        return self.generator_gradients(batch, rollout, self.rewards_and_advantages(batch, rollout, seed, judged), seed)

    def apply_generator(self, gradients):
        """Updates the generator, and the trained blocks of the encoder. Args: gradients: from `generator_step`."""
        own = len(self.generator.trainable_variables)
        metrics = self.apply(self.generator_optimizer, gradients[:own], self.generator, "generator")
        return metrics | self.encoder_updates.apply(gradients[own:])

    def apply(self, optimizer, gradients, network, name):
        """Updates `network` by the replicas' summed, clipped gradients. Returns {"gradient_norm/NAME": (norm, 1)}."""
        norm = apply_gradients(optimizer, gradients, network.trainable_variables, self.options.clip_norm)
        return {f"gradient_norm/{name}": (norm, tf.ones_like(norm))}

    def generator_input(self, batch, seed):
        """Returns standardised image vectors of batch["image"], or of batch["pixels"] by `encode`: float32 [B, D]."""
        return self.standardise(kept(lambda: self.encode(batch["pixels"])) if "pixels" in batch else batch["image"])

    def feature(self, generator_input):
        """Returns x, the unit image features, from standardised image vectors: float32 [B, E] (equation 2)."""
        return self.generator.image_feature(generator_input)

    def rollout(self, batch, seed, greedy=True, sample_BT=None):
        """Samples captions for a batch and decodes greedy ones, without gradient: returns their `Rollout`.

        Args: greedy: False: no greedy captions; with --baseline none there are none in any case. sample_BT: int32,
          sampled captions given by a test; None to draw them.
        """
        options, steps = self.options, self.options.max_caption_length
        generator_input = self.generator_input(batch, seed)
        feature_BE = tf.stop_gradient(self.feature(generator_input))
        rows = tf.shape(feature_BE)[0]
        masks = self.generator.masks(rows, steps, fold_in(seed, "sampling"))
        state = self.generator.initial_state(feature_BE, masks)
        draws, greedy = fold_in(seed, "categorical"), greedy and options.baseline == "greedy"
        if greedy:
            greedy_masks = self.generator.masks(rows, steps, fold_in(seed, "greedy"))
        if greedy and sample_BT is None:
            goes_on = options.semantics == "reference"
            arguments = state, steps, masks, greedy_masks, draws, goes_on
            sample_BT, greedy_BT = kept(lambda: self.generator.sample_and_greedy(*arguments))
        elif sample_BT is None:
            sample_BT = kept(lambda: self.generator.decode(state, steps, masks, draws))
        elif greedy:
            at_least_B = layers.sequence_lengths(sample_BT) if options.semantics == "reference" else None
            greedy_BT = self.generator.decode(state, steps, greedy_masks, None, at_least_B)
        if not greedy:
            greedy_BT = tf.zeros_like(sample_BT)
        sample_lengths_B, greedy_lengths_B = layers.sequence_lengths(sample_BT), layers.sequence_lengths(greedy_BT)
        captions = sample_BT, sample_lengths_B, greedy_BT, greedy_lengths_B
        return Rollout(generator_input, feature_BE, masks, *captions, layers.mask_of(sample_lengths_B, steps))

    def rewards_and_advantages(self, batch, rollout, seed, judged=None):
        """Returns rewards, returns and advantages of a rollout, without gradient (docs/method.md, equation 11).

        Args: judged: the discriminator's (logits [B, T], features [B, E] or None) for the samples; None: computed here.
        Returns: dict of tensors. Of the samples: `reward/NAME` (weighted), `unweighted/NAME`: [B, T] or [B]; `returns`,
          `logits`: [B, T]. Of greedy captions: the same as `baseline/...`; without them only `baseline/returns`, zeros.
          `difference` of returns, `advantages`: [B, T]. If w_sen > 0 `sentence_feature` [B, E], x' of noised sentences.
        """
        options = self.options
        own_mask_BT = layers.mask_of(rollout.greedy_lengths_B, options.max_caption_length)
        baseline_mask_BT = own_mask_BT if options.baseline_mask == "own" else rollout.mask_BT
        read = {}  # captions and sentences that the discriminator reads in one pass
        if judged is None:
            read["sample"] = rollout.sample_BT, rollout.sample_lengths_B, fold_in(seed, "judge sample")
        if options.baseline == "greedy":
            read["greedy"] = rollout.greedy_BT, rollout.greedy_lengths_B, fold_in(seed, "judge greedy")
        if options.w_sen > 0:
            read["noised"] = *self.noised(batch, fold_in(seed, "noise")), fold_in(seed, "read noised")
        outputs = dict(zip(read, self.discriminator.read_all(*read.values()), strict=True)) if read else {}
        if judged is None:
            judged = self.discriminator.judged(outputs["sample"], rollout.sample_lengths_B)
        terms = self._returns(batch, rollout, rollout.sample_BT, rollout.mask_BT, *judged)
        if options.baseline == "greedy":
            judged = self.discriminator.judged(outputs["greedy"], rollout.greedy_lengths_B)
            greedy = self._returns(batch, rollout, rollout.greedy_BT, baseline_mask_BT, *judged)
            terms |= {f"baseline/{name}": value for name, value in greedy.items()}
        else:
            terms["baseline/returns"] = tf.zeros_like(terms["returns"])
        if options.w_sen > 0:
            terms["sentence_feature"] = self.discriminator.sentence_feature(outputs["noised"], read["noised"][1])
        terms["difference"] = tf.cast(terms["returns"] - terms["baseline/returns"], tf.float32) * rollout.mask_BT
        terms["advantages"] = rewards.advantages(terms["difference"], options.advantage_clip)
        return {name: tf.stop_gradient(value) for name, value in terms.items()}

    def _returns(self, batch, rollout, tokens_BT, mask_BT, logits_BT, sentence_feature_BE):
        """Returns a dict of tensors: `reward/NAME`, `unweighted/NAME`, `returns`, `logits` of one set of captions.

        Args: mask_BT: 1 on rewarded words, else 0. logits_BT, sentence_feature_BE: the discriminator's for tokens_BT.
        """
        concepts_BT = tokens_BT if self.concept_of_V is None else tf.gather(self.concept_of_V, tokens_BT)
        captions = rewards.Captions(
            tokens_BT, mask_BT, batch, concepts_BT, logits_BT, sentence_feature_BE, rollout.feature_BE
        )
        found = {"logits": logits_BT}
        words_BT, sentences_B = tf.zeros_like(mask_BT), tf.zeros_like(mask_BT[:, 0])
        for reward, compute in self.rewards:
            unweighted = tf.cast(compute(captions), tf.float32)
            if rewards.is_per_word(reward, unweighted, mask_BT):
                weighted = reward.weight * unweighted * mask_BT
                words_BT += weighted
            else:
                weighted = reward.weight * unweighted
                sentences_B += weighted
            found |= {f"unweighted/{reward.name}": unweighted, f"reward/{reward.name}": weighted}
        return found | {"returns": rewards.returns(words_BT, sentences_B, mask_BT, self.options.gamma)}

    def generator_gradients(self, batch, rollout, terms, seed):
        """Computes the gradients of the generator's loss: policy gradient plus sentence reconstruction (eq. 10, 11).

        One teacher-forced pass reads the sampled captions, with the dropout masks of their sampling, and the sentences.
        Args: terms: result of rewards_and_advantages. Returns: (metrics: dict name -> (sum, count); gradients: list).
        """
        generator, options = self.generator, self.options
        words, words_global = counted(rollout.mask_BT)
        sentence_words, sentence_words_global = counted(
            layers.mask_of(batch["length"] - 1, tf.shape(batch["sentence"])[1])
        )
        reconstructs = options.w_sen > 0
        with tf.GradientTape() as tape:
            generator_input, inputs_BT = rollout.generator_input, shift_right(rollout.sample_BT)
            if self.encoder_updates.variables:  # once more, for its gradients
                generator_input = self.standardise(self.encode(batch["pixels"]))
            feature_BE = self.feature(generator_input)
            targets_BT, lengths_B, masks = rollout.sample_BT, rollout.sample_lengths_B, rollout.masks
            weights_N = tf.boolean_mask(terms["advantages"], rollout.mask_BT > 0) / words_global
            sampled = tf.size(weights_N)
            if reconstructs:  # the sentences are appended to the samples
                sentence_BS, rows = batch["sentence"], tf.shape(batch["sentence"])[0]
                more_masks = generator.masks(rows, tf.shape(sentence_BS)[1] - 1, fold_in(seed, "reconstruction"))
                feature_BE = tf.concat([feature_BE, terms["sentence_feature"]], 0)
                inputs_BT = layers.stacked_rows([inputs_BT, sentence_BS[:, :-1]])
                targets_BT = layers.stacked_rows([targets_BT, sentence_BS[:, 1:]])
                lengths_B = tf.concat([lengths_B, batch["length"] - 1], 0)
                masks = joined_masks(masks, more_masks)
                share = options.w_sen / sentence_words_global
                weights_N = tf.concat([weights_N, tf.repeat(share, tf.reduce_sum(batch["length"] - 1))], 0)
            hidden_NH, targets_N = teacher_forced(generator, feature_BE, inputs_BT, targets_BT, lengths_B, masks)
            loss, log_probs_N, entropy_N, best_N = weighted_cross_entropy(
                hidden_NH, generator.embedding, generator.softmax_b, targets_N, weights_N
            )
            if self.anchor:
                divergence = self.anchor(rollout, hidden_NH[:sampled], generator)
                loss += options.w_anchor * divergence / words_global
        gradients = tape.gradient(loss, [*generator.trainable_variables, *self.encoder_updates.variables])

        policy_loss = -tf.reduce_sum((weights_N * log_probs_N)[:sampled])
        metrics = self._reward_metrics(batch, rollout, terms, words)
        metrics |= {
            "loss/generator": (loss, 1.0 / replicas()),
            "loss/policy": (policy_loss, 1.0 / replicas()),
            "policy/entropy": (tf.reduce_sum(entropy_N[:sampled]), words),
            "policy/log_prob": (tf.reduce_sum(log_probs_N[:sampled]), words),
        }
        if self.anchor:
            metrics["loss/anchor"] = (divergence, words)
        if reconstructs:
            right = tf.cast(tf.equal(best_N[sampled:], targets_N[sampled:]), tf.float32)
            metrics["loss/sentence"] = (-tf.reduce_sum(log_probs_N[sampled:]), sentence_words)
            metrics["accuracy/sentence"] = (tf.reduce_sum(right), sentence_words)
        return metrics, gradients

    def discriminator_gradients(self, batch, rollout, seed):
        """Computes the gradients of the discriminator's loss, adversarial plus image reconstruction (equation 12).

        Returns: (metrics: dict name -> (sum, count); gradients of the discriminator's variables: list; (logits [B, T],
          features [B, E], None without the head recon): its outputs for the sampled captions).
        """
        options, discriminator = self.options, self.discriminator
        real_BS, real_lengths_B = batch["sentence"][:, 1:], batch["length"] - 1
        real_mask_BS = layers.mask_of(real_lengths_B, tf.shape(real_BS)[1])
        real_words, real_global = counted(real_mask_BS)
        fake_words, fake_global = counted(rollout.mask_BT)
        rows, rows_global = counted(tf.ones_like(rollout.sample_lengths_B, tf.float32))
        with tf.GradientTape() as tape:
            real_TBH, fake_TBH = discriminator.read_all(
                (real_BS, real_lengths_B, fold_in(seed, "judge real")),
                (rollout.sample_BT, rollout.sample_lengths_B, fold_in(seed, "judge sample")),
            )
            real_logits_BS = discriminator.judge(real_TBH)
            fake_logits_BT, feature_BE = discriminator.judged(fake_TBH, rollout.sample_lengths_B)
            real_sum, fake_sum = rewards.adversarial_losses(
                real_logits_BS, real_mask_BS, fake_logits_BT, rollout.mask_BT, options.label_smoothing
            )
            adversarial = real_sum / real_global + fake_sum / fake_global
            loss = options.w_adv * adversarial
            distance_B = tf.zeros_like(rollout.sample_lengths_B, tf.float32)
            if feature_BE is not None:
                distance_B = rewards.feature_distance(rollout.feature_BE, feature_BE)
                loss += tf.reduce_sum(options.w_mse * distance_B) / rows_global
        gradients = tape.gradient(loss, discriminator.trainable_variables)
        real_right = tf.reduce_sum(tf.cast(real_logits_BS > 0, tf.float32) * real_mask_BS)
        fake_right = tf.reduce_sum(tf.cast(fake_logits_BT < 0, tf.float32) * rollout.mask_BT)
        metrics = {
            "loss/discriminator": (loss, 1.0 / replicas()),
            "loss/adversarial": (adversarial, 1.0 / replicas()),
            "loss/mse": (tf.reduce_sum(distance_B), rows),
            "discriminator/accuracy_real": (real_right, real_words),
            "discriminator/accuracy_fake": (fake_right, fake_words),
        }
        return metrics, gradients, (fake_logits_BT, feature_BE)

    def noised(self, batch, seed):
        """Returns (sentences with words moved and dropped: int32 [B, S - 1], no start token; lengths [B])."""
        return noised_sentences(batch["sentence"], batch["length"], seed)

    def _reward_metrics(self, batch, rollout, terms, words):
        """Returns metrics of this replica: dict name -> (sum, count). Args: words: number of words in the samples."""
        mask_BT, rows = rollout.mask_BT, tf.cast(tf.shape(rollout.mask_BT)[0], tf.float32)
        total = lambda values_BT: tf.reduce_sum(values_BT * mask_BT)  # noqa: E731
        difference, clip = terms["difference"], self.options.advantage_clip
        metrics = {
            "return/sample": (total(tf.cast(terms["returns"], tf.float32)), words),
            "return/baseline": (total(tf.cast(terms["baseline/returns"], tf.float32)), words),
            "advantage/mean": (total(terms["advantages"]), words),
            "advantage/square": (total(terms["advantages"] ** 2), words),
            "advantage/clipped": (total(tf.cast(tf.abs(difference) >= clip, tf.float32)), words),
            "length/sample": (words, rows),
            "length/greedy": (tf.reduce_sum(tf.cast(rollout.greedy_lengths_B, tf.float32)), rows),
            "unique/sample": (unique_rows(rollout.sample_BT * tf.cast(mask_BT, tf.int32)), rows),
        }
        if self.options.baseline == "greedy":
            metrics["unique/greedy"] = (unique_rows(rollout.greedy_BT), rows)
        for reward, _ in self.rewards:
            # Without the weight, so that curves of all recipes can be compared. It is divided out of the sum: a second
            # use of the unweighted values would let TensorFlow round the weighted ones in another way.
            values = terms[f"reward/{reward.name}" if reward.weight else f"unweighted/{reward.name}"]
            value, count = (total(values), words) if values.shape.rank == 2 else (tf.reduce_sum(values), rows)
            metrics[f"reward/{reward.name}"] = (value / (reward.weight or 1.0), count)
        if "classes" in batch:
            positive = lambda values_BT: tf.reduce_sum(tf.cast(values_BT > 0, tf.float32))  # noqa: E731
            metrics["objects"] = (tf.reduce_sum(tf.cast(batch["num"], tf.float32)), rows)
            metrics["mean_found_obj"] = (positive(terms["unweighted/concept"]), rows)
            if self.options.baseline == "greedy":
                metrics["mean_found_obj/greedy"] = (positive(terms["baseline/unweighted/concept"]), rows)
        return metrics
