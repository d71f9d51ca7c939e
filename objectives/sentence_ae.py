"""sentence_ae: a noised sentence -> the sentence (docs/method.md, equation X1).

    noised sentence -> Discriminator's LSTM -> last hidden state -> unit feature -> Generator -> sentence

Shapes: B batch, S words of a sentence with start and end token, E embedding.
"""

from models import layers
from models.noise import noised_sentences
from models.randomness import fold_in
from objectives.cross_entropy import CrossEntropyObjective
from objectives.networks import build_discriminator, build_generator


class SentenceAutoEncoderObjective(CrossEntropyObjective):
    """Trains sentence_ae. Batches have `sentence` int32 [B, S] and `length` int32 [B]; the noise is drawn here."""

    def __init__(self, options, vocabulary_size):
        """Builds the networks and the optimizer; must be called inside `strategy.scope()`.

        Args: options: config.SentenceAutoEncoder. vocabulary_size: number of words.
        """
        self.discriminator = build_discriminator(options, vocabulary_size, heads=())
        generator = build_generator(options, vocabulary_size)
        super().__init__(options, generator=generator, discriminator=self.discriminator)

    def feature(self, batch, seed):
        """Returns the unit features of noised sentences: float32 [B, E].

        They are the last hidden states before dropout, without the discriminator's head `recon` (quirk Q10 of
        docs/implementation_details.md). Args: batch: dict of tensors. seed: int32 [2], None in an evaluation.
        """
        noise_seed = self.evaluation_seed("noise") if seed is None else fold_in(seed, "noise")
        noised_BK, lengths_B = self.noised(batch, noise_seed)
        read_seed = None if seed is None else fold_in(seed, "encoder")
        return layers.unit(self.discriminator.read(noised_BK, lengths_B, read_seed)[1])

    def noised(self, batch, seed):
        """Returns (noised sentences int32 [B, S - 1], ending with the end token; lengths int32 [B]). Equation 10.

        Args: batch: dict with `sentence` and `length`. seed: int32 [2].
        """
        return noised_sentences(batch["sentence"], batch["length"], seed)
