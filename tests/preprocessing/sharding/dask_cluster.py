"""A Dask cluster on 127.0.0.1 for tests: a scheduler and workers, each a process of its own."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

from tests.preprocessing.sharding import processes


class DaskCluster:
    """Scheduler and worker processes. Attributes: address: of the scheduler. scheduler, workers: subprocess.Popen."""

    def __init__(self, folder, workers=2, threads=1, **environment):
        """Starts the processes in `folder`, which has no program of ours, and waits until they listen."""
        self.folder, self.environment = folder, environment
        folder.mkdir(exist_ok=True)
        port = processes.free_port()
        self.address = f"tcp://127.0.0.1:{port}"
        self.scheduler = self._start("scheduler", "--host=127.0.0.1", f"--port={port}", "--no-dashboard")
        self.workers = []
        for _ in range(workers):
            self.add_worker(threads)
        try:
            processes.wait_until(self._workers_are_registered)
        except BaseException:
            self.close()
            raise

    def _start(self, *arguments):
        log = open(self.folder / "log.txt", "ab")
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=self.folder,
            env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"} | self.environment,
            stdout=log,
            stderr=log,
        )

    def add_worker(self, threads=1):
        """Starts a worker without a nanny, which would start it again after its end."""
        flags = ("--host=127.0.0.1", f"--nthreads={threads}", "--no-nanny", "--no-dashboard")
        self.workers.append(self._start("worker", self.address, *flags))

    def _workers_are_registered(self):
        text = pathlib.Path(self.folder / "log.txt").read_text()
        return text.count("Registered to") >= len(self.workers)

    def close(self):
        """Ends all processes."""
        for process in (self.scheduler, *self.workers):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGKILL)
            process.wait()
