"""A captioner as a TensorFlow Lite network: greedy decoding of one image at a time, word ids out.

TensorFlow Lite has no texts that are put together; the words of the ids are in the run's vocabulary.txt, beside the
network. It decodes no picture files either, so it reads pixels.

Shapes: T words, D image vector, C cells of a grid, H height, W width, S side of the encoder's picture.
"""

import tempfile

import tensorflow as tf

import cli
import quiet_start
from captioning.exported import spoken_words
from models import layers
from models.encoders import image_ops
from models.encoders.base import rounded
from models.generator import END_ID


def convert(captioner, row_shape, encoder=None):
    """Returns the bytes of a `.tflite` file with the signatures

    "caption_vectors", without an encoder: "vectors", float32 [1, D] or a grid [1, C, D] -> "words";
    "caption_pixels", with an encoder that TensorFlow computes: "pixels", uint8 [1, H, W, 3], a picture of any size ->
        "words";
    "encoder_input" and "caption_encoded", with an encoder that is a `.tflite` file: "pixels" -> "input", what the
        encoder's network reads; "encoded", its tensor `output` -> "words".

    "words" is int32 [1, T]: the ids of the words of the greedy caption, 0 after its end.

    Args:
      captioner: captioning.captioner.Captioner with the weights of a checkpoint.
      row_shape: shape of one input row: (D,), or (C, D) for a grid of cells.
      encoder: models.encoders.Encoder that can be exported; None to read image vectors.

    Raises: cli.UserError if TensorFlow Lite lacks an operation of the networks.
    """
    module = tf.Module()
    signatures = _signatures(captioner, row_shape, encoder)
    graphs = [function.get_concrete_function().graph for function in signatures.values()]
    module.variables_read = [variable for graph in graphs for variable in graph.variables]
    with tempfile.TemporaryDirectory() as folder, quiet_start.filtered_stderr():
        tf.saved_model.save(module, folder, signatures=signatures)
        try:
            return tf.lite.TFLiteConverter.from_saved_model(folder, signature_keys=list(signatures)).convert()
        except Exception as error:  # ConverterError is no public name
            lines = str(error).strip().splitlines() or [type(error).__name__]
            raise cli.UserError(
                f"TensorFlow Lite cannot run a {type(captioner.generator).__name__} ({lines[0]}); use --format "
                "saved_model"
            ) from error


def _signatures(captioner, row_shape, encoder):
    """Returns the functions of the file: dict signature -> tf.function. Args: as of `convert`."""
    pixels = tf.TensorSpec([1, None, None, 3], tf.uint8, name="pixels")

    def crop(pixels):
        return encoder.crop_in_graph(pixels[0], image_ops.portable_resize)

    def caption_vectors(vectors):
        return {"words": _greedy_words(captioner, vectors)}

    def caption_pixels(pixels):
        return {"words": _greedy_words(captioner, rounded(encoder.vectors_in_graph(crop(pixels)[None])))}

    def encoder_input(pixels):
        return {"input": encoder.network.input_of(crop(pixels))[None]}

    def caption_encoded(encoded):
        return {"words": _greedy_words(captioner, rounded(encoder.vectors_in_graph(encoded)))}

    if encoder is None:
        found = {caption_vectors: tf.TensorSpec([1, *row_shape], tf.float32, name="vectors")}
    elif encoder.network is None:
        found = {caption_pixels: pixels}
    else:
        encoded = tf.TensorSpec(encoder.output["shape"], encoder.output["dtype"], name="encoded")
        found = {encoder_input: pixels, caption_encoded: encoded}
    return {function.__name__: tf.function(function, input_signature=[spec]) for function, spec in found.items()}


def _greedy_words(captioner, vectors):
    """Returns the word ids of the text of a greedy caption: int32 [1, T]. Args: vectors: of one image."""
    generator, own = captioner.generator, captioner.input_embedding
    # The embedding is read here: TensorFlow Lite cannot read rows of a variable inside a loop.
    embedding = tf.identity(generator.embedding if own is None else own)
    state = generator.initial_state(captioner.feature(vectors))
    words = generator.decode(state, captioner.max_caption_length, input_embedding=embedding)
    ended = tf.reduce_any(words == END_ID, 1)
    return spoken_words(words, layers.sequence_lengths(words), ended, captioner.semantics == "reference")
