"""An encoder of one's own: the mean colour of each cell of a grid, which tells day from night and little more.

    python -m preprocessing.extract_features --data_dir D --encoder docs/examples/colour_grid.py:4

The argument is the number of cells a side. Crops, resizing and checks come from `WholeImageEncoder`.
"""

import numpy as np

from models.encoders import WholeImageEncoder

PIXELS = 16  # of a cell's side


class Encoder(WholeImageEncoder):
    """dim, image_size and preprocessing describe it; `files` are what it consists of, this file among them."""

    def __init__(self, spec, argument, resize):
        """Args: spec: as given. argument: what is behind the colon. resize: "legacy", "modern" or None for its own."""
        if not argument.isdigit() or not 1 <= int(argument) <= 16:
            raise ValueError(f"encoder {spec!r}: expected the number of cells a side, 1 to 16")
        self.spec, self.files = spec, (__file__,)
        self._side = int(argument)
        self.dim = 3 * self._side**2
        self.prepare_for(PIXELS * self._side, resize)

    def encode(self, batch_BSSC):
        """uint8 [B, S, S, 3] -> float32 [B, D]."""
        side = self._side
        cells = batch_BSSC.reshape(len(batch_BSSC), side, PIXELS, side, PIXELS, 3) / 255.0
        return cells.mean(axis=(2, 4)).reshape(len(batch_BSSC), self.dim).astype(np.float32)
