"""A time limit for tests that could hang."""

import contextlib
import signal


@contextlib.contextmanager
def time_limit(seconds):
    """Raises AssertionError in the main thread when the block takes longer than `seconds`."""

    def end(*_):
        raise AssertionError(f"not finished within {seconds} s")

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
