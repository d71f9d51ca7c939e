"""Who may use the network: one request at a time, the cheapest of those that wait first, and not too many of them."""

import concurrent.futures
import itertools
import threading
import time

from web.uploads import Refused

MAX_WAITING = 16
MAX_SECONDS = 30


class Turns:
    """Lets one caller at a time through; `take` may be called from several threads.

    What is cheap goes first, so that small pictures are answered while large ones arrive. When too many wait, the most
    expensive of them is sent away.
    """

    def __init__(self, most=MAX_WAITING, seconds=MAX_SECONDS):
        """Args: most: callers that may wait. seconds: how long one may wait."""
        self.most, self.seconds = most, seconds
        self._waiting, self._number, self._taken = [], itertools.count(), False
        self._changed = threading.Condition()
        # Always the same thread: each that decodes keeps tens of megabytes for the next time (malloc's arenas).
        self._worker = concurrent.futures.ThreadPoolExecutor(1)

    def take(self, cost, function):
        """function(), when its turn has come. Args: cost: any number. Raises: Refused (503) when it does not come."""
        self._wait((cost, next(self._number)))
        try:
            return self._worker.submit(function).result()
        finally:
            with self._changed:
                self._taken = False
                self._changed.notify_all()

    def _wait(self, ticket):
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
