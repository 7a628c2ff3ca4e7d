"""What `import pyode_bridge` costs and starts."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

SCRIPT = """
import sys, torch
before = set(sys.modules)
import pyode_bridge
heavy = {"juliacall", "juliapkg", "diffeqpy", "scipy", "torchdiffeq", "matplotlib", "sksundae", "numpy.f2py"}
print(sorted(heavy & (set(sys.modules) - before)))
"""


def test_import_starts_no_julia_and_loads_no_solver() -> None:
    result = subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True, timeout=120)
    assert result.stdout.strip() == "[]"


def test_public_names_are_there_and_documented() -> None:
    import pyode_bridge

    for name in pyode_bridge.__all__:
        assert getattr(pyode_bridge, name).__doc__, name


def test_no_public_name_hides_a_module() -> None:
    import pyode_bridge

    for name in pyode_bridge.__all__:
        assert importlib.util.find_spec(f"pyode_bridge.{name}") is None, name
