"""Example of an encoder: the mean colour of each cell of a grid, which separates day from night and little more.

    python -m preprocessing.extract_features --data_dir D --encoder docs/examples/colour_grid.py:4

The argument (the text after the colon) is the number of cells along each side. The base class `WholeImageEncoder`
resizes the photographs, makes random crops and checks the vectors.
"""

import numpy as np

from models.encoders import WholeImageEncoder

PIXELS = 16  # side of a cell


class Encoder(WholeImageEncoder):
    """Encoder whose vector consists of the mean colours of the cells of a grid.

    Attributes:
      spec: the encoder's full name.
      files: tuple of the paths of all files that determine the vectors, including this one.
      dim: number of dimensions of a vector, D.
    """

    def __init__(self, spec, argument, resize):
        """Prepares the encoder.

        Args:
          spec: the full name, FILE.py:ARGUMENT.
          argument: text after the colon.
          resize: method to resize photographs: "legacy" (that of TensorFlow 1), "modern" (with antialiasing) or None
            (the default, "modern").

        Raises: ValueError for an invalid argument.
        """
        if not argument.isdigit() or not 1 <= int(argument) <= 16:
            raise ValueError(f"encoder {spec!r}: expected the number of cells along each side, 1 to 16")
        self.spec, self.files = spec, (__file__,)
        self._side = int(argument)
        self.dim = 3 * self._side**2
        self.prepare_for(PIXELS * self._side, resize)

    def encode(self, batch_BSSC):
        """Returns the vectors float32 [B, D] of B resized pictures, uint8 [B, S, S, 3]."""
        side = self._side
        cells = batch_BSSC.reshape(len(batch_BSSC), side, PIXELS, side, PIXELS, 3) / 255.0
        return cells.mean(axis=(2, 4)).reshape(len(batch_BSSC), self.dim).astype(np.float32)
