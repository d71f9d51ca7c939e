"""Checks that serve.py keeps its memory small and answers while many hostile clients send requests.

    python -m tests.page_load --clients 200 --seconds 120

Starts serve.py on 127.0.0.1 with two tiny runs. Hostile clients send large, slow, truncated or false pictures; an
honest client sends a small photograph each second. Prints the server's peak memory, the answers by status, and the
slowest honest answer. Exit code 1 when the memory was above 2 GiB, an honest answer failed or took longer than 10 s,
the log of the server has a traceback, or files remain.
"""

import asyncio
import collections
import dataclasses
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np
from PIL import Image

import cli
from tests import tiny_runs
from tests.web import web_runs
from tests.web.test_uploads import bomb
from web.uploads import MAX_BYTES, MAX_COST, MAX_PIXELS

MAX_MEMORY = 2 << 20  # KiB
MAX_SECONDS = 10  # for an honest answer
PATIENCE = 60  # seconds that a hostile client waits for an answer
LARGEST = (6000, MAX_PIXELS // 6000)  # pixels, as many as are accepted
LARGER = (8000, 5000)  # 40 million pixels


@dataclasses.dataclass(frozen=True)
class Options:
    """Flags of tests.page_load."""

    clients: int = cli.field(200, "hostile clients at once")
    seconds: int = cli.field(120, "how long they send requests")


def main(options):
    """Trains two runs and measures the server; returns the exit code."""
    with tempfile.TemporaryDirectory() as folder:
        runs = web_runs.make(folder)
        return load(options, runs, folder)


def load(options, runs, folder):
    """Measures the server with given runs. Args: runs, folder: result and argument of web_runs.make."""
    bodies = hostile_bodies(pathlib.Path(folder))
    with open(os.path.join(folder, "photos", "val_000.jpg"), "rb") as file:
        photograph = file.read()
    temporary = os.path.join(folder, "load")
    os.mkdir(temporary)
    log = os.path.join(folder, "load.log")
    command = [sys.executable, "serve.py", f"--job_dir={runs[0]}", f"--job_dir2={runs[1]}", "--port=0"]
    with open(log, "w") as errors:
        there = {"cwd": tiny_runs.ROOT, "env": os.environ | {"TMPDIR": temporary}}
        server = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, **there)
    try:
        found = re.search(r"http://127\.0\.0\.1:(\d+)", server.stdout.readline())
        if not found:
            raise cli.UserError(f"serve.py did not start:\n{pathlib.Path(log).read_text()}")
        clients = Clients(int(found[1]), bodies, photograph)
        asyncio.run(clients.run(options.clients, options.seconds))
        memory = peak_memory(server.pid)
    finally:
        server.terminate()
        try:
            server.wait(timeout=60)
        except subprocess.TimeoutExpired:
            server.kill()
    return judge(clients, memory, pathlib.Path(log).read_text(), os.listdir(temporary))


def judge(clients, memory, log, left):
    """Prints what was measured; returns the exit code."""
    slowest = max(clients.honest, default=float("inf"))
    print(f"peak memory of the server: {memory / 2**20:.2f} GiB")
    for (kind, status), count in sorted(clients.answers.items(), key=str):
        print(f"{kind:14} {status!s:12} {count:6}")
    print(f"honest answers: {len(clients.honest)}, slowest {slowest:.2f} s, failed: {clients.failed or 'none'}")
    faults = {
        "memory above 2 GiB": memory > MAX_MEMORY,
        "an honest answer was too slow, or failed": slowest > MAX_SECONDS or clients.failed,
        "traceback in the log": "Traceback" in log,
        "files remain": left,
    }
    for fault in (fault for fault, found in faults.items() if found):
        print(f"FAILED: {fault}")
    if "Traceback" in log:
        print(log[log.index("Traceback") :][:5000])
    return int(any(faults.values()))


def peak_memory(process):
    """Returns the peak resident memory of a process, in KiB."""
    status = pathlib.Path(f"/proc/{process}/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", status)[1])


def hostile_bodies(folder):
    """Returns dict name -> bytes: files that are expensive to decode, or are not pictures."""
    rng = np.random.default_rng(0)
    noise = Image.fromarray(rng.integers(0, 255, (300, 400, 3), dtype=np.uint8))
    large, largest = noise.resize(LARGER), noise.resize(LARGEST)
    flat = Image.new("RGBA", LARGEST, (9, 9, 9, 99))
    progressive = encoded(largest, "JPEG", quality=30, progressive=True)
    last = progressive.rfind(b"\xff\xda")
    more = progressive[last:-2] * (MAX_COST // MAX_PIXELS - progressive.count(b"\xff\xda"))
    tiny = encoded(noise, "JPEG", progressive=True)
    return {
        "jpeg 40M": encoded(large, "JPEG", quality=30),
        "png 40M": encoded(Image.new("RGB", LARGER), "PNG"),
        "jpeg largest": encoded(largest, "JPEG", quality=30),
        "png largest": encoded(flat, "PNG"),
        "webp largest": encoded(flat, "WEBP", lossless=True, method=0),
        "progressive": progressive,
        "scans": tiny[:-2] + tiny[tiny.rfind(b"\xff\xda") : -2] * 300 + b"\xff\xd9",
        "scans largest": progressive[:-2] + more + b"\xff\xd9",
        "bomb": bomb(folder / "bomb.png", 60000, 60000).read_bytes(),
        "empty": b"",
        "no picture": b"no picture" * 1000,
        "too many bytes": bytes(MAX_BYTES + (1 << 20)),
    }


def encoded(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


class Clients:
    """Clients of one server.

    Attributes: answers: count by (kind, status). honest: seconds of honest answers. failed: honest ones that failed.
    """

    def __init__(self, port, bodies, photograph):
        self.port, self.bodies, self.photograph = port, bodies, photograph
        self.answers, self.honest, self.failed = collections.Counter(), [], []
        self.kinds = [*bodies, "slow", "cut", "gone", "foreign", "silent", "stranger's path"]

    async def run(self, count, seconds):
        """Runs `count` hostile clients and an honest one for `seconds`."""
        await self.honest_answer()  # the first request compiles, which is not counted
        self.honest.clear()
        end = time.monotonic() + seconds
        tasks = [asyncio.create_task(self.hostile(number, end)) for number in range(count)]
        while time.monotonic() < end:
            await self.honest_answer()
            await asyncio.sleep(1)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def honest_answer(self):
        start = time.monotonic()
        try:
            status = await asyncio.wait_for(self.post(self.photograph), 3 * MAX_SECONDS)
        except (OSError, EOFError, TimeoutError) as error:
            status = type(error).__name__
        self.honest.append(time.monotonic() - start)
        if status != 200:
            self.failed.append(status)

    async def hostile(self, number, end):
        """Runs one client; each number starts with another kind of attack."""
        while time.monotonic() < end:
            kind = self.kinds[number % len(self.kinds)]
            number += 1
            try:
                status = await asyncio.wait_for(self.attack(kind), PATIENCE)
            except (OSError, EOFError, TimeoutError) as error:
                status = type(error).__name__
            self.answers[kind, status] += 1

    async def attack(self, kind):
        """Makes one attack; returns the status of the answer, or what was done instead of waiting for one."""
        picture = self.bodies["jpeg largest"]
        if kind == "slow":
            return await self.post(b"\xff" * 1000, pause=1)
        if kind == "cut":
            return await self.post(picture[:1000], length=len(picture), leave=True)
        if kind == "gone":
            return await self.post(picture, leave=True)
        if kind == "foreign":
            return await self.post(picture, headers="Origin: http://evil.example\r\n")
        if kind == "silent":
            return await self.post(b"", head="P")
        if kind == "stranger's path":
            event = b'{"data": [{"path": "/etc/passwd"}, 3, 0.3], "fn_index": 0, "session_hash": "a"}'
            return await self.post(event, path="/gradio_api/queue/join")
        return await self.post(self.bodies[kind])

    async def post(
        self, body, path="/caption?name=val_000.jpg", headers="", length=None, pause=0, leave=False, head=None
    ):
        """Sends a POST request; returns the status of the answer.

        Args: length: announced length, None for that of the body. pause: seconds after each byte. leave: whether to
          close the connection without waiting for the answer. head: bytes to send in place of a request.
        """
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        sending = None
        try:
            head = head or (
                f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\nConnection: close\r\n{headers}"
                f"Content-Type: application/octet-stream\r\nContent-Length: {length or len(body)}\r\n\r\n"
            )
            writer.write(head.encode())
            sending = asyncio.create_task(send(writer, body, pause))
            if leave:
                await sending
                return "left"
            line = await reader.readline()  # may arrive before the whole body is sent
            if not line:
                return "closed"
            await reader.read()
            return int(line.split()[1])
        finally:
            if sending:
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
            writer.close()


async def send(writer, body, pause):
    """Writes a body; byte by byte if there is a pause."""
    step = 1 if pause else 1 << 16
    for start in range(0, len(body), step):
        writer.write(body[start : start + step])
        await writer.drain()
        await asyncio.sleep(pause)


if __name__ == "__main__":
    cli.run(main, Options)
