"""No module imports from a floor above or in a circle; files and folders stay small enough to read.

FLOORS lists the floors from the bottom. Imports inside functions count as well; modules that registry.py,
experiments.py or config.py import by name do not.
"""

import ast
import collections
import pathlib
import re

import pytest

from tests import project_files

ROOT = pathlib.Path(__file__).resolve().parents[1]
FLOORS = (
    ("aliases", "cli", "extensions", "quiet_start"),
    ("config", "registry", "reward_list", "experiments"),
    ("formats",),
    ("models",),
    ("training", "input_pipeline", "preprocessing"),
    ("objectives",),
    ("captioning",),
    ("evaluation",),
    ("initialization", "baselines", "web"),
    ("train", "eval_val", "eval_test", "caption", "serve", "scripts"),
    ("configs",),
)
FLOOR_OF = {name: number for number, floor in enumerate(FLOORS) for name in floor}


def module_of(path):
    return path.removesuffix(".py").replace("/", ".").removesuffix(".__init__")


def read_imports():
    """Returns dict module -> set of the project's modules that it imports."""
    paths = [path for path in project_files.listed("*.py") if not path.startswith(("tests/", "docs/"))]
    modules, found = {module_of(path) for path in paths}, collections.defaultdict(set)
    for path in paths:
        for node in ast.walk(ast.parse((ROOT / path).read_text())):
            targets = []
            if isinstance(node, ast.ImportFrom):
                assert not node.level, f"{path}: a relative import"
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                targets = [full if full in modules else node.module for full in inner]
            elif isinstance(node, ast.Import):
                targets = [alias.name for alias in node.names]
            found[module_of(path)] |= {target for target in targets if target in modules}
    assert len(found) > 100
    return found


@pytest.fixture(scope="module")
def imports():
    return read_imports()


def test_every_module_has_a_floor(imports):
    assert {module.partition(".")[0] for module in imports} <= set(FLOOR_OF)


def test_no_arrow_upwards(imports):
    floor = lambda module: FLOOR_OF[module.partition(".")[0]]  # noqa: E731
    upward = [f"{a} imports {b}" for a, targets in sorted(imports.items()) for b in targets if floor(b) > floor(a)]
    assert upward == []


def test_no_circle(imports):
    done, circles = set(), []

    def visit(module, path):
        if module in path:
            circles.append(" -> ".join([*path[path.index(module) :], module]))
        elif module not in done:
            for target in sorted(imports[module] - {module}):
                visit(target, [*path, module])
            done.add(module)

    for module in sorted(imports):
        visit(module, [])
    assert circles == []


def test_files_can_be_read_in_one_go():
    long = {
        path: text.count("\n")
        for path in project_files.listed("*.py")
        if (text := (ROOT / path).read_text()).count("\n") > 400
    }
    assert long == {}


def test_folders_have_rooms():
    folders = collections.Counter(str(pathlib.PurePath(path).parent) for path in project_files.listed("*.py"))
    assert {folder: count for folder, count in folders.items() if count > 25} == {}
    assert len(project_files.listed("scripts/*")) <= 25


def test_the_stage_of_a_run_and_old_names_are_known_in_one_place():
    """Which system a run is of is decided by the registry; old names of settings are in the table of aliases alone."""
    wanted = re.compile(r'\["stage"\]|SUPERVISED\b|R2M\.__name__|w_fit|fit_contrast')
    known = {"registry.py", "aliases.py", "training/run_directory.py"}
    known |= {"tests/commands/test_aliases.py", "tests/test_import_floors.py"}
    found = {path for path in project_files.listed("*.py") if wanted.search((ROOT / path).read_text())}
    assert found <= known and {"registry.py", "aliases.py"} <= found
