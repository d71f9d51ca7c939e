"""Endless shuffled sequences of examples. Every random draw is a pure function of (seed, purpose, position)."""

import functools
import zlib

import numpy as np


def generator_of(seed, purpose, number):
    """Returns a new numpy random generator (np.random.Generator) whose state is a pure function of the arguments.

    Args: seed: int, seed of the run. purpose: text that says what is drawn; different texts give independent
      generators. number: int, for example the epoch or the step.
    """
    key = [seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(purpose.encode())]
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))


class Stream:
    """An endless sequence of example indices, one random permutation of 0 .. size - 1 for each epoch.

    Args: size: number of examples. seed: int, seed of the run. purpose: text that says what is drawn; streams with
      different texts are independent.
    """

    def __init__(self, size, seed, purpose):
        self.size, self.seed, self.purpose = size, seed, purpose
        self._permutation = functools.lru_cache(maxsize=2)(self._draw)

    def _draw(self, epoch):
        """Returns the permutation of an epoch, 0 for the first: int64 [size]."""
        return generator_of(self.seed, self.purpose, epoch).permutation(self.size)

    def indices(self, first, count):
        """Returns the example indices at the positions first .. first + count - 1 of the sequence: int64 [count].

        Args: first: int, position from the beginning of the sequence, 0 for the first. count: number of positions.
        """
        positions = np.arange(first, first + count)
        epochs, offsets = positions // self.size, positions % self.size
        found = np.empty(count, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = self._permutation(int(epoch))[offsets[here]]
        return found
