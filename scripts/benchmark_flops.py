"""Useful floating-point operations of the networks, for the share of the peak that a step reaches.

Only what every implementation must do is counted: matrix products of valid words, forward once, backward twice the
forward of what has a gradient. A second forward pass over the sampled words, padding, words past a caption's end,
dropout, softmax and optimizer are not.

Source: specs/anchors.md E3, E4 (2 operations a multiplication with addition; 4.13 GFLOP an example with 20 words).
"""

import dataclasses

INCEPTION_V4 = 24.58e9  # forward, one picture


@dataclasses.dataclass(frozen=True)
class Sizes:
    """What the networks' operations depend on."""

    vocabulary: int = 18_669
    units: int = 512
    image_dim: int = 1536
    words: int = 20  # longest caption, end token counted

    @property
    def cell(self):
        """One step of an LSTM whose input is as wide as its state."""
        return 2 * 4 * self.units * 2 * self.units

    @property
    def product(self):
        """The product with the vocabulary for one word."""
        return 2 * self.units * self.vocabulary

    @property
    def projection(self):
        return 2 * self.image_dim * self.units

    def said(self, words):
        """A caption of so many words by the generator, forward; one step more for the feature."""
        return (words + 1) * self.cell + words * self.product


def full(sizes, words, semantics, noised_words, image=True):
    """A step of the full model an example, captions and sentences of `words` words on average; `image` False: no
    photographs and no reconstruction of sentences (sentence_gan)."""
    said, read = sizes.said(words), words * sizes.cell
    projection = sizes.projection if image else 0
    # Sample and its gradient, greedy caption; both are judged.
    generator = 3 * (said + projection) + said + 2 * read
    if image:
        generator += 3 * said + noised_words * sizes.cell  # a sentence said again from its noised form
    discriminator = 3 * read + 2 * read  # the real sentence, and the gradient of the sample's judgement
    if semantics == "reference":  # the discriminator judges another sample
        discriminator += said + projection + read
    return generator + discriminator


def cross_entropy(sizes, words, read_words=0, image=False):
    """A step of a stage that learns sentences: `read_words` pass the encoder, also with gradient."""
    return 3 * (sizes.said(words) + read_words * sizes.cell + (sizes.projection if image else 0))


def decoded(sizes, words, beams=1):
    """One caption by greedy decoding, sampling or a beam."""
    return sizes.projection + sizes.cell + beams * words * (sizes.cell + sizes.product)
