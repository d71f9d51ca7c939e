"""Validation of the text stages: cross entropy, token accuracy and perplexity of held-out sentences."""

import math
import os

import numpy as np
import tensorflow as tf

from formats import readers
from formats.sidecars import write_json


class HeldOut:
    """Evaluates held-out sentences at every checkpoint; RUN/best.json has the step with the minimum loss."""

    def __init__(self, objective, batches, run):
        """Compiles the evaluation.

        Args:
          objective: an objectives.cross_entropy.CrossEntropyObjective.
          batches: input_pipeline.SentenceBatches of the held-out sentences.
          run: the RunDirectory.
        """
        self.batches, self.run = batches, run
        self._evaluate = tf.function(objective.evaluate, reduce_retracing=True)

    def __call__(self, step):
        """Returns {"loss", "accuracy", "perplexity"} over all words of the held-out sentences."""
        totals = np.zeros(3)
        for batch in self._batches():
            totals += [float(part) for part in self._evaluate(batch)]
        loss, right, words = totals
        found = {"loss": loss / words, "accuracy": right / words, "perplexity": math.exp(min(loss / words, 700.0))}
        self.run.log(
            f"step {step}: held-out sentences ({int(words)} words): cross entropy {found['loss']:.4f}, token accuracy "
            f"{found['accuracy']:.4f}, perplexity {found['perplexity']:.2f}"
        )
        self._keep_best(step, found)
        return found

    def _batches(self):
        """Yields batches of the sentences, sorted by length, each batch as wide as its longest sentence."""
        lengths = np.diff(self.batches.corpus.sentences.offsets)[self.batches.corpus.rows]
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), self.batches.batch_size):
            batch = self.batches.rows(order[start : start + self.batches.batch_size])
            batch["sentence"] = batch["sentence"][:, : batch["length"].max()]
            yield {name: tf.constant(array) for name, array in batch.items()}

    def _keep_best(self, step, found):
        if not self.run.writes:
            return
        path = self.run.file("best.json")
        if os.path.exists(path):
            best = readers.read_json(path, "the best step so far; remove it")
            readers.check_fields(best, {"loss": readers.is_number}, path, "remove it")
            if best["loss"] <= found["loss"]:
                return
        write_json(path, {"step": step, **found})
