"""Counts the useful floating-point operations of the networks, from which the share of the peak is computed.

Counted is only what every implementation must do: matrix products of valid words, forward once, and twice the forward
operations for what has a gradient. Not counted are the second forward pass over the sampled words, padding, words after
the end of a caption, dropout, softmax and optimizer.

A multiplication with addition counts as 2 operations (docs/performance.md). All functions return operations as a float.
"""

import dataclasses

INCEPTION_V4 = 24.58e9  # forward, one picture


@dataclasses.dataclass(frozen=True)
class Sizes:
    """The sizes that determine the number of operations.

    Attributes: vocabulary: number of words. units: width of word vectors and LSTM. image_dim: length of image vectors.
      words: number of words of the longest caption, end token included.
    """

    vocabulary: int = 18_669
    units: int = 512
    image_dim: int = 1536
    words: int = 20  # longest caption, end token counted

    @property
    def cell(self):
        """Operations of one step of an LSTM whose input is as wide as its state."""
        return 2 * 4 * self.units * 2 * self.units

    @property
    def product(self):
        """Operations of the output product with the vocabulary, for one word."""
        return 2 * self.units * self.vocabulary

    @property
    def projection(self):
        """Operations of the projection of an image vector to the width of the LSTM."""
        return 2 * self.image_dim * self.units

    def said(self, words):
        """Returns the operations of the generator's forward pass, without dropout and softmax, for one caption.

        It reads an image feature (whose projection is not counted), and generates `words` words, end token included.
        """
        return (words + 1) * self.cell + words * self.product


def full(sizes, words, semantics, noised_words, image=True):
    """Returns the operations for one example in a training step of the full model, or of sentence_gan if not `image`.

    Args: sizes: Sizes. words: mean words of captions and sentences, with the end token. noised_words: mean words of
      noised sentences. image: whether the model reads image vectors. semantics: value of --semantics; with "reference"
      the discriminator is trained on captions of other examples, whose sampling is counted too.
    """
    said, read = sizes.said(words), words * sizes.cell
    projection = sizes.projection if image else 0
    # The sample with its gradient and the greedy caption; the discriminator judges both.
    generator = 3 * (said + projection) + said + 2 * read
    if image:
        generator += 3 * said + noised_words * sizes.cell  # reconstruction of a sentence from its noised form
    discriminator = 3 * read + 2 * read  # the real sentence, and the gradient of the sample's judgement
    if semantics == "reference":  # the discriminator judges another sample
        discriminator += said + projection + read
    return generator + discriminator


def cross_entropy(sizes, words, read_words=0, image=False):
    """Returns the operations for one example in a training step with cross entropy.

    Args: sizes: Sizes. words: mean words of the sentences that are generated. read_words: mean words that an encoder
      reads, with gradient. image: whether an image vector is projected.
    """
    return 3 * (sizes.said(words) + read_words * sizes.cell + (sizes.projection if image else 0))


def decoded(sizes, words, beams=1):
    """Returns the operations of generating the caption of one image, with the projection of its image vector.

    Args: sizes: Sizes. words: words of the caption. beams: beam size, 1 for greedy decoding and for sampling.
    """
    return sizes.projection + sizes.cell + beams * words * (sizes.cell + sizes.product)
