"""TensorFlow Lite files: one interpreter, real numbers in and out of quantised tensors."""

import os
import warnings

import numpy as np
import tensorflow as tf

import quiet_start


class TFLiteModel:
    """One `.tflite` file with one picture as its input; an interpreter belongs to the process that made it.

    Args:
      path: the file.
      keep_all: keep intermediate tensors readable after a run (slower, more memory).

    Raises:
      ValueError: the file is absent, cut short, or does not take one picture [1, H, W, 3].
    """

    def __init__(self, path, keep_all=False):
        try:
            # From the bytes, not from the path: only then is the file checked; a cut-short one kills the process.
            with open(path, "rb") as file:
                self.content = content = file.read()
            with warnings.catch_warnings(), quiet_start.filtered_stderr():
                warnings.simplefilter("ignore")  # announces the class's future home, and what keep_all costs
                self._interpreter = tf.lite.Interpreter(
                    model_content=content, num_threads=1, experimental_preserve_all_tensors=keep_all
                )
                self._interpreter.allocate_tensors()
        except (OSError, ValueError, RuntimeError) as error:
            raise ValueError(f"{path}: not a readable .tflite file ({error})") from error
        self.path = path
        self.input = self._interpreter.get_input_details()[0]
        self.outputs = self._interpreter.get_output_details()
        shape = tuple(int(side) for side in self.input["shape"])
        if len(shape) != 4 or shape[0] != 1 or shape[3] != 3 or shape[1] != shape[2]:
            raise ValueError(f"{path}: its input has shape {list(shape)}, expected one square picture [1, S, S, 3]")
        self.image_size = shape[1]

    def tensors(self):
        """Details of all tensors: dict tensor number -> details."""
        return {details["index"]: details for details in self._interpreter.get_tensor_details()}

    def signature_outputs(self):
        """The outputs by their names in the file's signature: dict name -> details; empty where it has none."""
        if len(self._interpreter.get_signature_list()) != 1:
            return {}
        found = self._interpreter.get_signature_runner().get_output_details()
        by_index = {details["index"]: details for details in self.outputs}
        return {name: by_index[details["index"]] for name, details in found.items() if details["index"] in by_index}

    def run(self, image_uint8):
        """Runs the network on uint8 [S, S, 3]; results are read with `read`.

        Networks with unsigned input take the picture as it is; signed ones take it minus 128, and networks with float
        input take [-1, 1], as the MobileNet, Inception and SSD files do.
        """
        kind = self.input["dtype"]
        if kind == np.uint8:
            values = image_uint8
        elif kind == np.int8:
            values = (image_uint8.astype(np.int16) - 128).astype(np.int8)
        else:
            values = image_uint8.astype(np.float32) / np.float32(127.5) - np.float32(1)
        self._interpreter.set_tensor(self.input["index"], values[None])
        self._interpreter.invoke()

    def read(self, details):
        """The real numbers of a tensor after `run`, float32, without the batch axis."""
        values = self._interpreter.get_tensor(details["index"])[0]
        scale, zero_point = details["quantization"]
        if np.issubdtype(details["dtype"], np.integer):
            return (values.astype(np.float32) - np.float32(zero_point)) * np.float32(scale)
        return np.asarray(values, np.float32)

    @property
    def name(self):
        return os.path.basename(self.path)
