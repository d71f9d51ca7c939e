"""What people brought and what went wrong: each case is a test with its right value. Inputs: tests/fixtures/cases/.

Names that are not UTF-8, links that lead nowhere and full disks are made by the tests.
"""

import pathlib

FIXTURES = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "cases"
