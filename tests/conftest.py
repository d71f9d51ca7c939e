"""The order of the test files: two processes take whole files, so the slowest files run first."""

LONGEST_FIRST = (
    "tests/commands/test_demo.py",
    "tests/training/test_distribution.py",
    "tests/commands/test_scored_is_given.py",
    "tests/baselines/test_r2m.py",
    "tests/commands/test_train.py",
    "tests/objectives/test_replicas.py",
    "tests/baselines/test_runs.py",
)


def pytest_collection_modifyitems(items):
    """Moves the slowest files to the front and keeps the order of all others."""
    rank = {path: i for i, path in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: rank.get(item.nodeid.partition("::")[0], len(rank)))
