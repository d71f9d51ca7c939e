"""METEOR with pycocoevalcap's protocol and scores, by a Java process with a time limit.

pycocoevalcap's `Meteor` keeps a lock after any exception and then blocks for ever when it is collected, waits
without limit, and never reads its error pipe. This one has a watchdog, an explicit `close`, and its error output
in a file.
"""

import os
import subprocess
import tempfile
import threading

from pycocoevalcap.meteor import meteor

from evaluation.metrics.java import JavaError, command, environment


class Meteor(meteor.Meteor):
    """METEOR 1.5 for English, `-norm`, as the COCO evaluation calls it."""

    def __init__(self, java):
        """Starts the process, which needs about 1.1 GB and, for its first score, about 5 s."""
        # Does not call the parent's __init__, which uses any `java`, any locale, and a pipe for errors.
        self.lock = threading.Lock()
        self.meteor_p = None
        self.errors = tempfile.TemporaryFile()
        arguments = ("-Xmx2G", "-jar", meteor.METEOR_JAR, "-", "-", "-stdio", "-l", "en", "-norm")
        try:
            self.meteor_p = subprocess.Popen(
                command(java, *arguments),
                cwd=os.path.dirname(os.path.abspath(meteor.__file__)),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=environment(),
            )
        except OSError as error:
            self.close()
            raise JavaError(f"METEOR could not be started: {error}") from None

    def compute_score(self, references, captions, timeout=None):
        """Scores one caption per image.

        Args:
          references: dict image id -> list of tokenized references, at least one.
          captions: dict image id -> list of exactly one tokenized caption, the same ids.
          timeout: seconds until the process is killed; default 120 s + 0.1 s for each image.

        Returns:
          (score of the corpus, list of the images' scores), 0 to 1.

        Raises:
          ValueError: the ids differ, an image does not have exactly one caption, or it has no reference.
          JavaError: the process ended or took too long.
        """
        if references.keys() != captions.keys():
            raise ValueError("METEOR: captions and references are of different images")
        if any(len(texts) != 1 for texts in captions.values()) or not all(references.values()):
            raise ValueError("METEOR: expected exactly one caption and at least one reference for each image")
        if self.meteor_p is None:
            raise JavaError("METEOR is closed")
        limit = timeout or 120 + 0.1 * len(captions)
        expired = threading.Event()
        process = self.meteor_p

        def end():
            expired.set()
            process.kill()

        watchdog = threading.Timer(limit, end)
        watchdog.daemon = True
        watchdog.start()
        try:
            return super().compute_score(references, captions)
        except (OSError, ValueError) as error:  # the process has ended: a broken pipe, or "" in place of a number
            raise JavaError(self._obituary(error, expired.is_set(), limit)) from None
        finally:
            watchdog.cancel()

    def _obituary(self, error, expired, limit):
        """Kills the process; returns the reason why it failed, as text."""
        process = self.meteor_p
        try:
            process.wait(timeout=2)
            how = f"its Java process ended with code {process.returncode}"
        except subprocess.TimeoutExpired:
            how = f"its Java process gave an unexpected answer ({error})"
        self.errors.seek(0)
        complaint = self.errors.read().decode(errors="replace").strip()[-300:]
        self.close()
        if expired:
            return f"METEOR took longer than {limit:g} s and was killed"
        return f"METEOR failed: {how}" + (f": {complaint}" if complaint else "")

    def close(self):
        """Kills the process; may be called twice."""
        process, self.meteor_p = self.meteor_p, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                try:
                    pipe.close()
                except OSError:  # the buffer was not empty, and its reader has ended
                    pass
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()
