"""Computes METEOR with pycocoevalcap's protocol and scores, by a Java process with a time limit.

pycocoevalcap's `Meteor` keeps a lock after any exception and then blocks for ever when it is garbage-collected, waits
without limit, never reads its error pipe, and waits for the answer about an image before it sends the next one. This
class sends all images at once.
"""

import os

from pycocoevalcap.meteor import meteor

from evaluation.metrics import java


class Meteor(java.Program):
    """A process that computes METEOR 1.5 for English, option `-norm`, as the COCO evaluation calls it."""

    def __init__(self, runtime):
        """Starts the process, which needs about 1.1 GB of memory and, for its first score, about 5 s.

        Args: runtime: java.Java. Raises: JavaError if it cannot be started.
        """
        arguments = ("-Xmx2G", "-jar", meteor.METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm")
        super().__init__("METEOR", runtime, *arguments, folder=os.path.dirname(os.path.abspath(meteor.__file__)))

    def compute_score(self, references, captions, timeout=None):
        """Scores one caption per image.

        Args:
          references: dict image id -> list of tokenized references (strings), at least one.
          captions: dict image id -> list of exactly one tokenized caption, the same ids.
          timeout: seconds until the process is killed; default 120 s + 0.1 s for each image.

        Returns:
          (score of the corpus, list of the images' scores in the order of `references`), floats 0 to 1.

        Raises:
          ValueError: the ids differ, an image does not have exactly one caption, or it has no reference.
          JavaError: the process ended or took too long.
        """
        if references.keys() != captions.keys():
            raise ValueError("METEOR: captions and references are of different images")
        if any(len(texts) != 1 for texts in captions.values()) or not all(references.values()):
            raise ValueError("METEOR: expected exactly one caption and at least one reference for each image")
        with self.limited(timeout or 120 + 0.1 * len(captions)):
            self.send("".join(_question(captions[name][0], texts) for name, texts in references.items()))
            statistics = [self.line().strip() for _ in references]
            self.send(" ||| ".join(["EVAL", *statistics]) + "\n")
            scores = [float(self.line()) for _ in references]
            return float(self.line()), scores


def _question(caption, references):
    """Returns the line that requests METEOR's statistics of one image from the process.

    Args: caption: tokenized string. references: list of tokenized strings.
    """
    caption = caption.replace("|||", "").replace("  ", " ")
    return " ||| ".join(["SCORE", *references, caption]) + "\n"
