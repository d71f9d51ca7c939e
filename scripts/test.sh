#!/usr/bin/env bash
# Runs the tests: `scripts/test.sh` the fast ones (under 15 minutes on 2 cores), `scripts/test.sh --all` the slow ones
# as well. Further arguments go to pytest. Makes .venv when it is not there.
set -euo pipefail
cd "$(dirname "$0")/.."
source scripts/setup.sh requirements-dev.txt

selection=(-m "not slow")
if [ "${1:-}" = --all ]; then
  selection=()
  shift
fi
ruff check .
ruff format --check .
# The manual into site/, where MkDocs is installed (.ci/run installs requirements-docs.txt).
if python -c "import mkdocs" 2> /dev/null; then
  NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
fi
# Two processes, each takes the next whole file: its tests share what its fixtures made. tests/conftest.py has the order.
python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "${selection[@]}" "$@"
