"""Runs the tasks of a stage on a Dask cluster (`--runner dask:ADDRESS`).

ADDRESS is that of the scheduler, such as tcp://HOST:8786. The tasks are sent by value: only the workers need this
program, not the scheduler.
"""

import concurrent.futures
import contextlib
import logging
import queue
import time

import cli
from preprocessing.sharding import engines

CONNECT = 10.0  # seconds until a scheduler must answer
NO_WORKER = 60.0  # seconds without any worker after which the command ends
POLL = 1.0  # seconds between two looks at the workers while no task is finished


def check(address):
    """Checks ADDRESS of `--runner dask:ADDRESS`. Raises: cli.UserError if it is empty or Dask is not installed."""
    if not address:
        raise cli.UserError("--runner dask: expected the address of the scheduler, such as dask:tcp://127.0.0.1:8786")
    engines.require("distributed", "distributed", "requirements-dask.txt", f"dask:{address}")


def run(function, tasks, address, description):
    """Runs `function(task)` for every task on the workers of a scheduler, and shows the progress.

    Args: function, tasks, description: as for `engines.map_tasks`. address: of the scheduler.
    Raises: the first failure of a task, after cancelling the tasks that have not started; cli.UserError when there is
      no scheduler or worker, or the connection is lost.
    """
    with _connected(address) as client:
        threads = client.nthreads()
        print(f"{description}: {len(tasks)} tasks handed to Dask at {address}, {len(threads)} workers")
        if any(number > 1 for number in threads.values()):
            print("NOTE: a worker runs one task at a time; for more, start workers with --nworkers N --nthreads 1")
        items = [engines.payload(function, task) for task in tasks]
        futures = client.map(_one_at_a_time(engines.remote()), items, key=description.replace(" ", "_"), pure=False)
        for failure in cli.progress(_finished(client, futures, address), description, len(futures)):
            if failure is not None:
                engines.fail(failure, f"dask:{address}")


@contextlib.contextmanager
def _connected(address):
    """Context manager: yields a client of the scheduler. Raises: cli.UserError if there is none at the address."""
    import distributed

    logging.getLogger("distributed").setLevel(logging.CRITICAL)  # a lost scheduler is reported by `_finished`
    try:
        client = distributed.Client(address, timeout=CONNECT, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:  # an address in another form is a ValueError or a TypeError
        raise cli.UserError(
            f"--runner dask:{address}: no Dask scheduler answers there ({error}). Start one with: dask scheduler"
        ) from error
    try:
        yield client
    finally:
        client.close()  # the scheduler forgets the tasks that have not started


def _one_at_a_time(call):
    """Returns a function like `call` that runs one task at a time in a worker: not all tasks are made for threads."""

    def locked(item):
        import threading

        import distributed

        with vars(distributed.get_worker()).setdefault("lock_of_shards", threading.Lock()):
            return call(item)

    return locked


def _finished(client, futures, address):
    """Yields the results of futures in the order in which they are finished.

    Raises: cli.UserError if the scheduler or all workers are gone, or a task has ended several workers.
    """
    import distributed

    done, seen = queue.SimpleQueue(), time.monotonic()
    for future in futures:
        future.add_done_callback(done.put)
    for _ in futures:
        try:
            while not (future := _next(done)):
                if client.nthreads():
                    seen = time.monotonic()
                elif time.monotonic() - seen > NO_WORKER:
                    raise cli.UserError(
                        f"--runner dask:{address}: no worker for {NO_WORKER:.0f} s; start some with: "
                        f"dask worker {address} --nworkers 2 --nthreads 1. {engines.again()}"
                    )
            result = future.result()
        except distributed.scheduler.KilledWorker as error:
            raise cli.UserError(
                f"--runner dask:{address}: {error.allowed_failures + 1} workers ended while they ran the same task "
                f"(out of memory?). {engines.again()}"
            ) from error
        except (concurrent.futures.CancelledError, OSError) as error:  # also of `nthreads`
            raise cli.UserError(
                f"--runner dask:{address}: the connection to the scheduler was lost. {engines.again()}"
            ) from error
        yield result


def _next(done):
    """Returns the next item of a queue; None if there is none for POLL seconds."""
    with contextlib.suppress(queue.Empty):
        return done.get(timeout=POLL)
