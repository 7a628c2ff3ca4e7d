"""How the workspace of compiled functions is laid out. Without torch, which worker processes do without."""

from __future__ import annotations

# Integers in memory, by slot from 1. Julia's half, which calls the workspace `env`, knows the first ones too.
LEFT, TICK, WORK, MEMORY, JOINT, RHS_CALLS, VJP_CALLS, JACOBIAN_CALLS, PART_CALLS, TENSORS = range(1, 11)

ALIGNMENT = 64  # bytes


def aligned(offset: int) -> int:
    """The next offset, in bytes, at which a buffer may begin."""
    return -(-offset // ALIGNMENT) * ALIGNMENT
