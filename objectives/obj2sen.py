"""obj2sen: the concept words of a sentence, in random order -> the sentence (docs/method.md, equation X1).

Shapes: B batch, K concept words, E embedding.

    words -> Discriminator's LSTM -> last hidden state -> unit feature -> Generator -> sentence
"""

from models import layers
from models.noise import shuffled
from models.randomness import fold_in
from objectives.cross_entropy import CrossEntropyObjective
from objectives.networks import build_discriminator, build_generator


class ObjectToSentenceObjective(CrossEntropyObjective):
    """Trains obj2sen. Besides sentences, batches have `key` int32 [B, K], zero padded, and `key_length` int32 [B]."""

    def __init__(self, options, vocabulary_size):
        """Must be called inside `strategy.scope()`. Args: options: config.ObjectToSentence."""
        self.discriminator = build_discriminator(options, vocabulary_size, heads=())
        generator = build_generator(options, vocabulary_size)
        super().__init__(options, generator=generator, discriminator=self.discriminator)

    @property
    def input_embedding(self):
        """The embedding of the generator's input words; the authors use the discriminator's (quirk Q8)."""
        return self.discriminator.embedding if self.options.semantics == "reference" else None

    @property
    def suppress_unknown(self):
        """Whether decoding excludes the unknown word; the authors do not (docs/implementation_details.md)."""
        return self.options.semantics != "reference"

    def feature(self, batch, seed):
        key_BK = self.ordered(batch, self.evaluation_seed("order") if seed is None else fold_in(seed, "order"))
        return self.encode(key_BK, batch["key_length"], None if seed is None else fold_in(seed, "encoder"))

    def ordered(self, batch, seed):
        """Returns the concept words in random order: int32 [B, K]."""
        return shuffled(batch["key"], batch["key_length"], seed)

    def encode(self, key_BK, lengths_B, seed=None):
        """Returns the unit feature of concept words: float32 [B, E]; zeros for a row without words."""
        return layers.unit(self.discriminator.read(key_BK, lengths_B, seed)[1])
