"""The queue for the network: one request at a time, the cheapest first; number and time of waiting are limited."""

import threading
import time

import pytest

from web.turns import Turns
from web.uploads import Refused


def started(turns, cost, said):
    """Starts and returns a thread that takes a turn and appends its cost to `said`, or ("no", cost) if refused."""

    def take():
        try:
            turns.take(cost, lambda: said.append(cost))
        except Refused as refused:
            assert refused.status == 503
            said.append(("no", cost))

    thread = threading.Thread(target=take)
    thread.start()
    time.sleep(0.05)
    return thread


def test_the_cheapest_first_and_the_most_expensive_is_sent_away():
    turns, said = Turns(most=3, seconds=20), []

    def many():
        found = [started(turns, cost, said) for cost in (5, 9, 3, 4, 8)]
        assert said == [("no", 9), ("no", 8)]
        return found

    threads = turns.take(0, many)
    for thread in threads:
        thread.join(5)
    assert said[2:] == [3, 4, 5]


def test_nobody_waits_for_ever_and_an_error_gives_the_turn_back():
    turns, said = Turns(seconds=0.2), []

    def fails():
        started(turns, 2, said).join(5)
        assert said == [("no", 2)]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        turns.take(1, fails)
    assert turns.take(1, lambda: "again") == "again"
