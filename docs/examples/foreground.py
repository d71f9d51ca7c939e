"""Example of a detector: one box around all pixels that differ from the border; the argument is its class name.

python -m preprocessing.detect_objects --data_dir D --image_dir photos --detector docs/examples/foreground.py:duck
"""

import numpy as np

from formats.records import Detection

DIFFERENCE = 60  # summed over the three colours, of 765


class Detector:
    """The interface that preprocessing/detection/detectors.py expects.

    Attributes:
      source: its name, stored with each detection. classes: class names by number, or None if not known before.
      needs_pixels: False for a detector that needs only the file name.
    """

    needs_pixels = True

    def __init__(self, part, settings):
        """Args: part: detectors.Part with `path` (text after the colon) and `labels` (--labels). settings: dict."""
        self.source, self.classes = part.source, [part.path or "thing"]

    def detect(self, name, image_HWC):
        """Returns the objects in uint8 [H, W, 3]: list of Detection, boxes (ymin, xmin, ymax, xmax) in 0 to 1."""
        pixels = image_HWC.astype(np.int32)
        border = np.concatenate([pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]])
        differs = np.abs(pixels - np.median(border, axis=0)).sum(2) > DIFFERENCE
        if not differs.any():
            return []
        rows, columns = np.flatnonzero(differs.any(1)), np.flatnonzero(differs.any(0))
        height, width = differs.shape
        box = rows[0] / height, columns[0] / width, (rows[-1] + 1) / height, (columns[-1] + 1) / width
        filled = differs[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].mean()
        return [Detection(0, self.classes[0], float(filled), tuple(map(float, box)), self.source)]
