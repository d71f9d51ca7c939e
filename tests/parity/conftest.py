"""Prints after the tests the largest deviation from the authors' numbers, by test file and quantity."""

import pytest

from tests.parity import comparison


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call(item):
    comparison.noted.clear()
    yield
    item.user_properties.append(("deviations", dict(comparison.noted)))


def pytest_terminal_summary(terminalreporter):
    largest = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            for name, noted in getattr(report, "user_properties", []):
                if name != "deviations":
                    continue
                file = report.nodeid.split("::")[0].rpartition("/")[2]
                for quantity, deviation in noted.items():
                    largest[file, quantity] = max(largest.get((file, quantity), 0.0), deviation)
    if largest:
        terminalreporter.section("largest deviation from the authors' numbers")
        for (file, quantity), deviation in sorted(largest.items()):
            terminalreporter.line(f"{file:<32} {quantity:<44} {deviation:.1e}")
