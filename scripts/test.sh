#!/usr/bin/env bash
# Runs the tests: `scripts/test.sh` the fast ones (under 15 minutes on 2 cores), `scripts/test.sh --all` also the slow
# ones. Further arguments go to pytest. Makes .venv if it does not exist.
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
# Builds the manual into site/ if MkDocs is installed (.ci/run installs requirements-docs.txt).
if python -c "import mkdocs" 2> /dev/null; then
  NO_MKDOCS_2_WARNING=1 mkdocs build --strict --quiet
fi
# Two processes; each runs whole files, whose tests share fixtures. The order of the files is in tests/conftest.py.
python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "${selection[@]}" "$@"
