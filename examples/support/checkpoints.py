"""Checkpoints of a training: written whole or not at all, and read only with the settings they were made with."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import torch

CHECKPOINT = "checkpoint.pt"


def states(parts: dict[str, Any]) -> dict[str, Any]:
    """Copies of what the parts hold, which later training does not change."""
    return _cloned({name: part.state_dict() for name, part in parts.items()})


def restore(parts: dict[str, Any], saved: dict[str, Any]) -> None:
    """Give the parts what `states` took from them."""
    for name, part in parts.items():
        part.load_state_dict(saved[name])


def save(path: Path, state: dict[str, Any]) -> None:
    """Write beside the old checkpoint and swap, so that an interruption never leaves half a file."""
    partial = path.with_suffix(".partial")
    torch.save(state, partial)
    os.replace(partial, path)


def load(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """Read a checkpoint; one that is missing or was made with other settings ends the program with what to do."""
    if not path.exists():
        raise SystemExit(f"--resume: there is no checkpoint {path}; start without --resume.")
    state: dict[str, Any] = torch.load(path, weights_only=True)
    was = {key: state["settings"].get(key) for key in settings}
    differing = [f"--{key.replace('_', '-')} was {was[key]}" for key, value in settings.items() if was[key] != value]
    if differing:
        raise SystemExit(f"--resume: {path} was made with other settings ({', '.join(differing)}); give the same ones.")
    return state


def _cloned(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _cloned(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_cloned(item) for item in value]
    return value
