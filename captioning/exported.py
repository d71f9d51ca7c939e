"""A captioner as a network that runs without this program: a SavedModel with the texts inside.

Its computation is that of `Captioner.caption_vectors`; only the last step, from word ids to a text, is done by
TensorFlow here in place of Python.

Shapes: B batch, K captions of an image, T words, D image vector, C cells of a grid.
"""

import tensorflow as tf

from formats.languages import unicode_text
from models.generator import END_ID


class ExportedCaptioner(tf.Module):
    """Image vectors in, texts out: what a SavedModel holds.

    Attributes: caption_vectors: the compiled function, see `_captions`.
    """

    def __init__(self, captioner, decoding, row_shape, vocabulary_file):
        """Builds the functions.

        Args:
          captioner: captioning.captioner.Captioner with the weights of a checkpoint.
          decoding: captioning.decode.Decoding that draws no random numbers.
          row_shape: shape of one input row: (D,), or (C, D) for a grid of cells.
          vocabulary_file: path of the run's vocabulary.txt; TensorFlow copies it as an asset.

        Raises: cli.UserError if the decoding does not fit the dictionary or the length of captions.
        """
        super().__init__()
        self._cut_last = captioner.semantics == "reference"
        self._decode = captioner.decoder(decoding, tuple(row_shape))
        # A SavedModel must hold every variable that its functions read, whichever networks the captioner has.
        self.variables_read = list(self._decode.get_concrete_function().graph.variables)
        lines = tf.lookup.TextFileInitializer(
            vocabulary_file, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, 0, delimiter=" "
        )
        vocabulary = captioner.vocabulary
        self._words = tf.lookup.StaticHashTable(lines, vocabulary.word(vocabulary.unknown_id))
        self._has_unspaced = any(map(unicode_text.has_unspaced, vocabulary.words))
        rows = tf.TensorSpec([None, *row_shape], captioner.row_type, name="vectors")
        self.caption_vectors = tf.function(self._captions, input_signature=[rows])

    def _captions(self, vectors):
        """Returns the captions of image vectors: a dict with

        "caption": string [B], the best caption of each image;
        "captions": string [B, K], all of them, best first; "" in places without a caption;
        "log_probs": float64 [B, K], their summed natural log-probabilities, -inf in places without a caption.

        Args: vectors: float32 [B, D] or [B, C, D], of the run's encoder, not standardised.
        """
        words_BKT, lengths_BK, log_probs_BK, _, ended_BK = self._decode(vectors)
        texts_BK = self._texts(spoken_words(words_BKT, lengths_BK, ended_BK, self._cut_last))
        texts_BK = tf.where(tf.math.is_finite(log_probs_BK), texts_BK, "")
        return {"caption": texts_BK[:, 0], "captions": texts_BK, "log_probs": log_probs_BK}

    def _texts(self, words_BKT):
        """Returns captions as texts, as Vocabulary.decode: string [B, K]. Args: words_BKT: from `spoken_words`."""
        words_NT = tf.reshape(words_BKT, [-1, tf.shape(words_BKT)[2]])
        spelled = tf.ragged.boolean_mask(self._words.lookup(tf.cast(words_NT, tf.int64)), words_NT > END_ID)
        texts = tf.strings.reduce_join(spelled, axis=-1, separator=" ")
        if self._has_unspaced:  # `unicode_text.join` in two steps: these patterns have no look-around
            texts = tf.strings.regex_replace(texts, f"([{unicode_text.UNSPACED}]) ", r"\1")
            texts = tf.strings.regex_replace(texts, f" ([{unicode_text.UNSPACED}])", r"\1")
        return tf.reshape(texts, tf.shape(words_BKT)[:2])

    def save(self, folder):
        """Writes the SavedModel to a folder. Raises: OSError or tf.errors.OpError if a file cannot be written."""
        tf.saved_model.save(self, folder, signatures={"serving_default": self.caption_vectors})


def spoken_words(words, lengths, ended, cut_last):
    """Returns the word ids of the captions' texts: int32 of the same shape, 0 in the place of everything else.

    Args:
      words: int32 [..., T], decoded word ids. lengths: int32 [...], number of ids, the end token counted.
      ended: bool [...], whether a caption has an end token.
      cut_last: whether the last word of a caption without an end token is left out (quirk Q22 of
        docs/implementation_details.md).
    """
    if cut_last:
        lengths -= tf.cast(~ended, tf.int32)
    is_spoken = (tf.range(tf.shape(words)[-1]) < lengths[..., None]) & (words > END_ID)
    return tf.where(is_spoken, words, 0)
