"""Whoever would wait for Julia is told so; a program whose output is read by another is not troubled."""

from __future__ import annotations

import sys

import pytest

from pyode_bridge.engines.julia import session


@pytest.mark.parametrize("watched", [True, False])
def test_the_start_of_julia_is_announced_at_a_terminal(
    watched: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delitem(sys.modules, "ipykernel", raising=False)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: watched)
    session._announce_start()
    assert ("starting Julia" in capsys.readouterr().err) is watched
