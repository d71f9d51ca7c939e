"""Example of a detector: one box around all pixels that differ from the border of the photograph.

    python -m preprocessing.detect_objects --data_dir D --image_dir photos --detector docs/examples/foreground.py:duck

The argument (the text after the colon) is the class name of the box.
"""

import numpy as np

from formats.records import Detection

DIFFERENCE = 60  # summed over the three colours, of 765


class Detector:
    """Detector that finds at most one object: the pixels that differ from the border of the photograph.

    Attributes (those that preprocessing/detection/detectors.py expects):
      source: name of the detector, stored with each detection.
      classes: list of class names by number, here of one.
      needs_pixels: True, because `detect` needs the pixels and not only the file name.
    """

    needs_pixels = True

    def __init__(self, part, settings):
        """Makes the detector.

        Args:
          part: detectors.Part with `path` (text after the colon) and `labels` (value of --labels).
          settings: dict of settings for classifiers, "classifier_threshold" and "classifier_top"; not used here.
        """
        self.source, self.classes = part.source, [part.path or "thing"]

    def detect(self, name, image_HWC):
        """Returns the object in a photograph as a list of one Detection; [] if no pixel differs from the border.

        Its box is (ymin, xmin, ymax, xmax) in 0 to 1, its score the share of differing pixels in the box.

        Args: name: file name of the photograph. image_HWC: its pixels, uint8 [H, W, 3].
        """
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
