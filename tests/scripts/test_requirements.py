"""All imported packages are in the requirements, which resolve for the Pythons that README names (needs a registry)."""

import ast
import importlib.metadata
import re
import subprocess
import sys

import pytest

from tests import project_files, tiny_runs

# Files that may import more than requirements.txt: file of requirements -> first parts of paths.
EXTRA = {
    "requirements-serve.txt": ("web/", "serve.py", "tests/"),
    "requirements-beam.txt": ("preprocessing/sharding/beam.py", "tests/"),
    "requirements-dask.txt": ("preprocessing/sharding/dask_engine.py", "tests/"),
    "requirements-spark.txt": ("preprocessing/sharding/spark_engine.py", "tests/"),
    "requirements-sentences.txt": ("models/consensus/sentence_encoders.py", "tests/"),
    "requirements-docs.txt": ("docs/", "tests/docs/"),
    "requirements-dev.txt": ("tests/",),
}
ELSEWHERE = ("scripts/inception_v4_oracle.py",)  # runs in a separate environment, see its docstring


def required(name):
    """Returns the distributions that a file of requirements names."""
    lines = (tiny_runs.ROOT / name).read_text().split("\n")
    return {re.split(r"[=><\[ ]", line)[0].lower().replace("_", "-") for line in lines if line and line[0] not in "#-"}


def imported(path):
    """Returns the top-level modules of other projects that a file imports, also inside functions."""
    for node in ast.walk(ast.parse((tiny_runs.ROOT / path).read_text())):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        names += [node.module] if isinstance(node, ast.ImportFrom) else []
        for name in (name.partition(".")[0] for name in names):
            here = (tiny_runs.ROOT / name).is_dir() or (tiny_runs.ROOT / f"{name}.py").exists()
            if name not in sys.stdlib_module_names and not here:
                yield name


def test_what_is_imported_is_required():
    distributions, missing, seen = importlib.metadata.packages_distributions(), set(), set()
    for path in project_files.listed("*.py"):
        if path in ELSEWHERE:
            continue
        known = required("requirements.txt").union(*(required(f) for f, who in EXTRA.items() if path.startswith(who)))
        for module in imported(path):
            seen.add(module)
            names = {name.lower().replace("_", "-") for name in distributions.get(module, ())}
            if names and not names & known:  # not installed: cannot be checked
                missing.add((path, module))
    assert missing == set()
    assert {"tensorflow", "jinja2", "PIL", "lxml"} <= seen


@pytest.mark.slow
@pytest.mark.parametrize("version", ["3.12", "3.13"])
def test_requirements_resolve(version, tmp_path):
    command = [sys.executable, "-m", "pip", "install", "--dry-run", "--quiet", "--ignore-installed"]
    command += ["--python-version", version, "--only-binary=:all:", "--target", str(tmp_path), "-r", "requirements.txt"]
    done = subprocess.run(command, cwd=tiny_runs.ROOT, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-2000:]
