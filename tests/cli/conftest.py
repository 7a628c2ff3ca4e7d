"""What the tests of the installation have: a home of its own for each test, and fake Julias."""

from __future__ import annotations

from tests.install.conftest import _home_of_its_own, fake_julia, ready_project
from tests.install.juliapkg_state import fresh_juliapkg

__all__ = ["_home_of_its_own", "fake_julia", "fresh_juliapkg", "ready_project"]
