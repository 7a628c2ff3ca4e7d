#!/usr/bin/env bash
# Set up a virtual environment, then check and test the package. Arguments go to pytest, such as `-m slow`.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check "torch==2.13.0"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[test]"
.venv/bin/ruff check .
.venv/bin/ruff format --check .
.venv/bin/mypy
.venv/bin/lint-imports
NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --strict --quiet # into site/, which git ignores
# Two processes, each with whole files, whose tests may share what is slow to make; `-n 0` runs all in one.
exec .venv/bin/python -m pytest -n 2 --dist loadfile "$@"
