"""Runs TensorFlow Lite files on uint8 images; tensors are returned as float32, quantised ones too."""

import os
import warnings

import numpy as np
import tensorflow as tf

import quiet_start

# Range of the pixels of a float input -> (divisor, then subtracted), for pixels of 0 to 255.
RANGES = {"-1 to 1": (127.5, 1.0), "0 to 1": (255.0, 0.0), "0 to 255": (1.0, 0.0)}


class TFLiteModel:
    """A `.tflite` network with one image as its input. It cannot be passed to another process.

    Args:
      path: the file.
      keep_all: whether intermediate tensors can be read after a run (slower, more memory).
      pixels: range of the pixels of a float input, a key of RANGES. MobileNet, Inception and SSD networks have the
        default. Integer inputs do not use it.

    Attributes:
      content: bytes of the file. image_size: S, side of the input in pixels.
      path, keeps_all: as the arguments.
      input, outputs: details of the input, list of details of the outputs. Details are the dict in which TensorFlow
        Lite describes a tensor: its index, name, shape, dtype and quantization.

    Raises:
      ValueError: the file is absent or truncated, or its input is not one square image [1, S, S, 3].
    """

    def __init__(self, path, keep_all=False, pixels="-1 to 1"):
        try:
            # From the bytes, not from the path: only then is the file checked; a truncated one kills the process.
            with open(path, "rb") as file:
                self.content = content = file.read()
            with warnings.catch_warnings(), quiet_start.filtered_stderr():
                warnings.simplefilter("ignore")  # a deprecation notice, and the cost of keep_all
                self._interpreter = tf.lite.Interpreter(
                    model_content=content, num_threads=1, experimental_preserve_all_tensors=keep_all
                )
                self._interpreter.allocate_tensors()
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(f"{path}: not a readable .tflite file ({error})") from error
        self.path, self.keeps_all = path, keep_all
        self._divisor, self._subtracted = map(np.float32, RANGES[pixels])
        self.input = self._interpreter.get_input_details()[0]
        self.outputs = self._interpreter.get_output_details()
        shape = tuple(int(side) for side in self.input["shape"])
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or shape[1] != shape[2]:
            raise ValueError(f"{path}: its input has shape {list(shape)}, expected one square image [1, S, S, 3]")
        self.image_size = shape[1]

    def tensors(self):
        """Returns the details of all tensors: dict tensor number -> details."""
        return {details["index"]: details for details in self._interpreter.get_tensor_details()}

    def signature_outputs(self):
        """Returns the outputs by their names in the file's signature: dict name -> details.

        The dict is empty if the file has no signature, or several.
        """
        if len(self._interpreter.get_signature_list()) != 1:
            return {}
        found = self._interpreter.get_signature_runner().get_output_details()
        by_index = {details["index"]: details for details in self.outputs}
        return {name: by_index[details["index"]] for name, details in found.items() if details["index"] in by_index}

    def run(self, image_uint8):
        """Runs the network on one image; afterwards `read` returns the results.

        uint8 inputs get the image unchanged, int8 inputs the image minus 128, and float inputs values in the range
        that was given as `pixels`.

        Args: image_uint8: uint8 [S, S, 3].
        """
        self._interpreter.set_tensor(self.input["index"], np.asarray(self.input_of(image_uint8))[None])
        self._interpreter.invoke()

    def input_of(self, image_uint8):
        """Returns what the network reads for an image, see `run`: an array or a tensor of its input's dtype.

        Args: image_uint8: uint8 [S, S, 3], an array or a tensor.
        """
        kind = self.input["dtype"]
        if kind == np.uint8:
            return image_uint8
        if kind == np.int8:
            return _as_type(_as_type(image_uint8, np.int16) - 128, np.int8)
        return _as_type(image_uint8, np.float32) / self._divisor - self._subtracted

    def read(self, details):
        """Returns the values of a tensor after `run`, dequantised: float32, without the batch axis.

        Args: details: of the tensor, from `tensors`, `outputs` or `signature_outputs`.
        """
        return self.dequantised(self._interpreter.get_tensor(details["index"])[0], details)

    @staticmethod
    def dequantised(values, details):
        """Returns the values of a tensor as float32, an array or a tensor of the same shape.

        Args: values: array or tensor of the dtype of the network's tensor. details: of that tensor.
        """
        scale, zero_point = details["quantization"]
        if np.issubdtype(details["dtype"], np.integer):
            return (_as_type(values, np.float32) - np.float32(zero_point)) * np.float32(scale)
        return _as_type(values, np.float32)

    @property
    def name(self):
        """The name of the file without its folder."""
        return os.path.basename(self.path)


def _as_type(values, kind):
    """Returns an array or a tensor as another dtype. Args: kind: numpy type."""
    return tf.cast(values, kind) if tf.is_tensor(values) else np.asarray(values).astype(kind)
