"""Evaluates held-out sentences during the training of text stages: cross entropy, token accuracy and perplexity."""

import math
import os

import numpy as np
import tensorflow as tf

from formats import readers
from formats.sidecars import write_json


class HeldOut:
    """Evaluates held-out sentences at every checkpoint, and writes the step with the minimum loss to RUN/best.json."""

    def __init__(self, objective, batches, run):
        """Wraps the objective's evaluation in a tf.function.

        Args:
          objective: objectives.cross_entropy.CrossEntropyObjective.
          batches: input_pipeline.SentenceBatches of the held-out sentences.
          run: training.run_directory.RunDirectory.
        """
        self.batches, self.run = batches, run
        self._evaluate = tf.function(objective.evaluate, reduce_retracing=True)

    def __call__(self, step):
        """Evaluates the current weights, logs the result, and writes it to RUN/best.json if the loss is a new minimum.

        Args: step: number of the training step.
        Returns: dict of the means over all words of the held-out sentences: "loss" (cross entropy, nats a word),
          "accuracy" (0 to 1) and "perplexity".
        """
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
        """Yields the sentences in batches, sorted by length and padded to the batch's longest: dicts of tensors."""
        lengths = np.diff(self.batches.corpus.sentences.offsets)[self.batches.corpus.rows]
        order = np.argsort(lengths, kind="stable")
        for start in range(0, len(order), self.batches.batch_size):
            batch = self.batches.rows(order[start : start + self.batches.batch_size])
            batch["sentence"] = batch["sentence"][:, : batch["length"].max()]
            yield {name: tf.constant(array) for name, array in batch.items()}

    def _keep_best(self, step, found):
        """Writes `step` and the values of `found` to RUN/best.json unless the file has a step with a loss as low.

        Args: step: number of the training step. found: dict with "loss", "accuracy" and "perplexity".
        """
        if not self.run.writes:
            return
        path = self.run.file("best.json")
        if os.path.exists(path):
            best = readers.read_json(path, "the best step so far; remove it")
            readers.check_fields(best, {"loss": readers.is_number}, path, "remove it")
            if best["loss"] <= found["loss"]:
                return
        write_json(path, {"step": step, **found})
