"""obj2sen: the concept words of a sentence, in random order -> the sentence (docs/method.md, equation X1).

    words -> Discriminator's LSTM -> last hidden state -> unit feature -> Generator -> sentence

A concept word is the name of an object class that occurs in the sentence. Quirks (Q8) are listed in
docs/implementation_details.md.

Shapes: B batch, S words of a sentence, K concept words, V vocabulary, E embedding.
"""

from models import layers
from models.noise import shuffled
from models.randomness import fold_in
from objectives.cross_entropy import CrossEntropyObjective
from objectives.networks import build_discriminator, build_generator


class ObjectToSentenceObjective(CrossEntropyObjective):
    """Trains obj2sen.

    Batches have `sentence` int32 [B, S] with start and end token, `length` int32 [B], `key` int32 [B, K] (concept
    words, zero padded) and `key_length` int32 [B].
    """

    def __init__(self, options, vocabulary_size):
        """Builds the networks and the optimizer; must be called inside `strategy.scope()`.

        Args: options: config.ObjectToSentence. vocabulary_size: V.
        """
        self.discriminator = build_discriminator(options, vocabulary_size, heads=())
        generator = build_generator(options, vocabulary_size)
        super().__init__(options, generator=generator, discriminator=self.discriminator)

    @property
    def input_embedding(self):
        """Embedding of the generator's input words, float32 [V, E]; None for the generator's own.

        With --semantics reference it is the discriminator's, as in the authors' program (quirk Q8).
        """
        return self.discriminator.embedding if self.options.semantics == "reference" else None

    @property
    def suppress_unknown(self):
        """Whether decoding excludes the unknown word: bool.

        It is False with --semantics reference, because the authors' program can generate the unknown word.
        """
        return self.options.semantics != "reference"

    def feature(self, batch, seed):
        key_BK = self.ordered(batch, self.evaluation_seed("order") if seed is None else fold_in(seed, "order"))
        return self.encode(key_BK, batch["key_length"], None if seed is None else fold_in(seed, "encoder"))

    def ordered(self, batch, seed):
        """Returns the concept words of a batch, those of each sentence in random order: int32 [B, K], zero padded.

        Args: batch: dict with `key` and `key_length`. seed: int32 [2].
        """
        return shuffled(batch["key"], batch["key_length"], seed)

    def encode(self, key_BK, lengths_B, seed=None):
        """Returns the unit features of sets of concept words: float32 [B, E]; zeros for a row without words.

        Args: key_BK: int32 word ids. lengths_B: int32, number of words. seed: int32 [2]; None for no dropout.
        """
        return layers.unit(self.discriminator.read(key_BK, lengths_B, seed)[1])
