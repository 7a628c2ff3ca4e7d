"""Forks of a process in which Julia runs: they have one of its threads, and would wait for the others for ever."""

from __future__ import annotations

import os
import sys
from typing import Any

from pyode_bridge.errors import EngineUnavailableError

_forked_with_julia = False


def refuse() -> None:
    """Raise EngineUnavailableError in a process that was forked while Julia ran."""
    if _forked_with_julia:
        raise EngineUnavailableError(
            "This process was forked from one in which Julia runs, and Julia does not work in it. Start processes by "
            "'spawn' or 'forkserver' (torch.utils.data.DataLoader(..., multiprocessing_context='spawn')), or fork "
            "before the first solve."
        )


def _note() -> None:
    """After a fork, in the child."""
    global _forked_with_julia
    juliacall: Any = sys.modules.get("juliacall")
    config = getattr(juliacall, "CONFIG", {})
    if config.get("inited"):
        _forked_with_julia = True
        config["lib"].jl_atexit_hook = _nothing  # juliacall calls it in the end, and it would not return


def _nothing(code: int) -> None:
    """What is left of Julia's exit."""


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note)
