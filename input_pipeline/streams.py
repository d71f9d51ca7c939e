"""Endless shuffled sequences of examples, each draw a pure function of (seed, purpose, position)."""

import functools
import zlib

import numpy as np


def generator_of(seed, purpose, number):
    """Returns a numpy random generator that is a pure function of the arguments."""
    key = [seed & 0xFFFFFFFFFFFFFFFF, zlib.crc32(purpose.encode())]
    return np.random.Generator(np.random.Philox(key=key, counter=[0, 0, 0, number]))


class Stream:
    """Endless shuffled indices of `size` examples, a pure function of (seed, purpose, position)."""

    def __init__(self, size, seed, purpose):
        self.size, self.seed, self.purpose = size, seed, purpose
        self._permutation = functools.lru_cache(maxsize=2)(self._draw)

    def _draw(self, epoch):
        return generator_of(self.seed, self.purpose, epoch).permutation(self.size)

    def indices(self, first, count):
        """Returns the example indices at positions [first, first + count): int64 [count]."""
        positions = np.arange(first, first + count)
        epochs, offsets = positions // self.size, positions % self.size
        found = np.empty(count, np.int64)
        for epoch in np.unique(epochs):
            here = epochs == epoch
            found[here] = self._permutation(int(epoch))[offsets[here]]
        return found
