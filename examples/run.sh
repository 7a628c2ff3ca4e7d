#!/usr/bin/env bash
# Set up a virtual environment, then train the spiral neural ODE. Arguments go to examples/studies/spiral.py, such as `--quick`.
set -euo pipefail
cd "$(dirname "$0")/.."
[ -x .venv/bin/python ] || "${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --disable-pip-version-check "torch==2.13.0"
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".[examples]"
exec .venv/bin/python examples/studies/spiral.py "$@"
