"""sentence_ae: a noised sentence -> the sentence (docs/method.md, equation X1).

noised sentence -> Discriminator's LSTM -> last hidden state -> unit feature -> Generator -> sentence
"""

from models import layers
from models.noise import noised_sentences
from models.randomness import fold_in
from objectives.cross_entropy import CrossEntropyObjective
from objectives.networks import build_discriminator, build_generator


class SentenceAutoEncoderObjective(CrossEntropyObjective):
    """Trains sentence_ae. Batches have only sentences; the noise is drawn here."""

    def __init__(self, options, vocabulary_size):
        """Must be called inside `strategy.scope()`. Args: options: config.SentenceAutoEncoder."""
        self.discriminator = build_discriminator(options, vocabulary_size, heads=())
        generator = build_generator(options, vocabulary_size)
        super().__init__(options, generator=generator, discriminator=self.discriminator)

    def feature(self, batch, seed):
        """Returns unit vectors of the hidden state before dropout, without the head recon (quirk Q10): [B, E]."""
        noise_seed = self.evaluation_seed("noise") if seed is None else fold_in(seed, "noise")
        noised_BK, lengths_B = self.noised(batch, noise_seed)
        read_seed = None if seed is None else fold_in(seed, "encoder")
        return layers.unit(self.discriminator.read(noised_BK, lengths_B, read_seed)[1])

    def noised(self, batch, seed):
        """Returns noised sentences, which end with the end token, and their lengths (equation 10)."""
        return noised_sentences(batch["sentence"], batch["length"], seed)
