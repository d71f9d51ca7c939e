"""A captioner as a network that runs without this program: a SavedModel with decoding, texts and encoder inside.

Its computation is that of caption.py. What caption.py does in Python is done by TensorFlow here: reading the file,
preparing the picture, rounding the image vector, and making a text of word ids.

Shapes: B batch, K captions of an image, T words, D image vector, C cells of a grid.
"""

import tensorflow as tf

from formats.languages import unicode_text
from models.encoders import picture_bytes
from models.encoders.base import rounded
from models.generator import END_ID


class ExportedCaptioner(tf.Module):
    """What a SavedModel holds: the functions below, and all that they need.

    Attributes:
      caption_vectors: the compiled function `_captions_of_vectors`.
      caption_files: the compiled function `_captions_of_files`; only with an encoder that TensorFlow computes.
      encoder_input, caption_encoded: the compiled functions `_encoder_input` and `_captions_of_encoded`, which are
        called before and after the encoder's network; only with an encoder that is a `.tflite` file.
    """

    def __init__(self, captioner, decoding, row_shape, vocabulary_file, encoder=None, exif=True):
        """Builds the functions.

        Args:
          captioner: captioning.captioner.Captioner with the weights of a checkpoint.
          decoding: captioning.decode.Decoding that draws no random numbers.
          row_shape: shape of one input row: (D,), or (C, D) for a grid of cells.
          vocabulary_file: path of the run's vocabulary.txt; TensorFlow copies it as an asset.
          encoder: models.encoders.Encoder that can be exported; None to read vectors alone.
          exif: whether the pictures are turned by their EXIF orientation.

        Raises: cli.UserError if the decoding does not fit the dictionary or the length of captions.
        """
        super().__init__()
        self._cut_last = captioner.semantics == "reference"
        self._decode, self._encoder, self._exif = captioner.decoder(decoding, tuple(row_shape)), encoder, exif
        lines = tf.lookup.TextFileInitializer(
            vocabulary_file, tf.int64, tf.lookup.TextFileIndex.LINE_NUMBER, tf.string, 0, delimiter=" "
        )
        vocabulary = captioner.vocabulary
        self._words = tf.lookup.StaticHashTable(lines, vocabulary.word(vocabulary.unknown_id))
        self._has_unspaced = any(map(unicode_text.has_unspaced, vocabulary.words))
        self.variables_read = []
        rows = tf.TensorSpec([None, *row_shape], captioner.row_type, name="vectors")
        self.caption_vectors = self._compiled(self._captions_of_vectors, rows)
        if encoder is not None and encoder.network is None:
            files = tf.TensorSpec([None], tf.string, name="files")
            self.caption_files = self._compiled(self._captions_of_files, files)
        elif encoder is not None:
            output = tf.TensorSpec(encoder.output["shape"], encoder.output["dtype"], name="encoded")
            self.encoder_input = self._compiled(self._encoder_input, tf.TensorSpec([], tf.string, name="file"))
            self.caption_encoded = self._compiled(self._captions_of_encoded, output)

    def _compiled(self, function, specification):
        """Returns a function as a tf.function of one tensor, and keeps the variables that it reads.

        A SavedModel has the variables that TensorFlow finds in attributes; it does not look into networks of Keras.
        """
        compiled = tf.function(function, input_signature=[specification])
        self.variables_read = [*self.variables_read, *compiled.get_concrete_function().graph.variables]
        return compiled

    def _captions_of_vectors(self, vectors):
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

    def _captions_of_files(self, files):
        """Returns the captions of pictures, as `_captions_of_vectors`.

        Args: files: string [B], the bytes of picture files.
        """
        one = tf.function(self._crop).get_concrete_function(tf.TensorSpec([], tf.string)).structured_outputs
        crops_BSSC = tf.map_fn(self._crop, files, fn_output_signature=tf.TensorSpec(one.shape, one.dtype))
        return self._captions_of_vectors(rounded(self._encoder.vectors_in_graph(crops_BSSC)))

    def _crop(self, data):
        """Returns a picture as the encoder prepares it: [S, S, 3]. Args: data: string scalar, bytes of its file."""
        return self._encoder.crop_in_graph(picture_bytes.decode(data, self._exif))

    def _encoder_input(self, data):
        """Returns what the encoder's network reads: [1, S, S, 3]. Args: data: string scalar, bytes of a picture file.

        Its dtype is that of the network's input.
        """
        return self._encoder.network.input_of(self._crop(data))[None]

    def _captions_of_encoded(self, values):
        """Returns the captions of an image, as `_captions_of_vectors`.

        Args: values: tensor `output` of the encoder's network.
        """
        return self._captions_of_vectors(rounded(self._encoder.vectors_in_graph(values)))

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
        """Writes the SavedModel to a folder; the functions that give captions are its signatures.

        Raises: OSError or tf.errors.OpError if a file cannot be written.
        """
        names = ("caption_files", "caption_encoded", "caption_vectors")
        signatures = {name: getattr(self, name) for name in names if hasattr(self, name)}
        default = {"serving_default": next(iter(signatures.values()))}
        tf.saved_model.save(self, folder, signatures=signatures | default)


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
