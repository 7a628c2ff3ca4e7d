"""How the memory that compiled functions work in is laid out. Without torch, which worker processes do without."""

from __future__ import annotations

# The environment of a call: integers in memory. Julia's half knows the first ones too; see `kernels.jl`.
LEFT, TICK, WORK, MEMORY, JOINT, RHS_CALLS, VJP_CALLS, JACOBIAN_CALLS, TENSORS = range(1, 10)

ALIGNMENT = 64  # bytes


def aligned(place: int) -> int:
    """The next place, in bytes, where a buffer may begin."""
    return -(-place // ALIGNMENT) * ALIGNMENT
