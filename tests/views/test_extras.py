"""A view whose package is missing says which extra brings it."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

import pytest

import pyode_bridge as pb
from tests.views.solutions import turning

VIEWS: dict[str, tuple[str, Callable[[pb.Result], Any]]] = {
    "plot": ("matplotlib", lambda solution: solution.plot()),
    "pandas": ("pandas", lambda solution: solution.to_pandas()),
    "xarray": ("xarray", lambda solution: solution.to_xarray()),
}


@pytest.mark.parametrize("extra", VIEWS)
def test_a_missing_package_is_named_with_its_extra(extra: str, monkeypatch: pytest.MonkeyPatch) -> None:
    package, view = VIEWS[extra]
    for name in [name for name in sys.modules if name.partition(".")[0] == package]:
        monkeypatch.delitem(sys.modules, name)

    class Missing:
        def find_spec(self, name: str, *_: Any) -> None:
            if name.partition(".")[0] == package:
                raise ModuleNotFoundError(f"No module named {package!r}", name=package)

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    with pytest.raises(pb.MissingPackageError, match=rf'needs {package}, .*`pip install "pyode_bridge\[{extra}\]"`'):
        view(turning())


def test_a_package_that_cannot_be_imported_says_so_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'dateutil'", name="dateutil")

    monkeypatch.setattr(importlib, "import_module", broken)
    with pytest.raises(ModuleNotFoundError, match="dateutil") as caught:
        turning().to_pandas()
    assert not isinstance(caught.value, pb.BridgeError)
