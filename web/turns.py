"""Limits the network to one request at a time: the cheapest waiting request is next, and few may wait."""

import concurrent.futures
import itertools
import threading
import time

from web.uploads import Refused

MAX_WAITING = 16
MAX_SECONDS = 30


class Turns:
    """Queue of functions that run one at a time; `take` may be called from several threads.

    The cheapest request runs first, so that small pictures are answered while large ones arrive. When too many wait,
    the most expensive one is refused.
    """

    def __init__(self, most=MAX_WAITING, seconds=MAX_SECONDS):
        """Creates an empty queue. Args: most: maximum number of waiting callers. seconds: maximum time of waiting."""
        self.most, self.seconds = most, seconds
        self._waiting, self._number, self._taken = [], itertools.count(), False
        self._changed = threading.Condition()
        # One thread does all the work: each thread that decodes would keep tens of megabytes (malloc's arenas).
        self._worker = concurrent.futures.ThreadPoolExecutor(1)

    def take(self, cost, function):
        """Waits for this caller's turn, calls `function` without arguments in a worker thread, and returns its result.

        Args: cost: number, e.g. from uploads.check_file; of the waiting callers the one with the lowest cost is next,
          of equal ones the first.
        Raises: uploads.Refused (status 503) if it waited too long, or if too many are waiting and this one has the
          highest cost; whatever `function` raises.
        """
        self._wait((cost, next(self._number)))
        try:
            return self._worker.submit(function).result()
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _wait(self, ticket):
        """Blocks until it is this caller's turn. Args: ticket: (cost, number of arrival). Raises: Refused."""
        deadline = time.monotonic() + self.seconds
        with self._changed:
            self._waiting.append(ticket)
            if len(self._waiting) > self.most:
                self._waiting.remove(max(self._waiting))
                self._changed.notify_all()
            while ticket in self._waiting and (self._taken or min(self._waiting) != ticket):
                left = deadline - time.monotonic()
                if left <= 0:
                    self._waiting.remove(ticket)
                    self._changed.notify_all()
                    break
                self._changed.wait(left)
            if ticket not in self._waiting:
                raise Refused("Too many pictures are waiting here; try again in a few seconds.", 503)
            self._waiting.remove(ticket)
            self._taken = True
