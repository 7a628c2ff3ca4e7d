"""Matrix products of compiled dynamics by torch's own BLAS, where it can be had: as fast as in torch, and as exact.

Julia brings OpenBLAS, torch on x86 MKL, which can be several times as fast: OpenBLAS takes a processor that it does not
know for one of twenty years ago.
"""

from __future__ import annotations

import ctypes
import sys
from pathlib import Path
from typing import Any

# MKL's: of double and single precision with integers of 64 bits, and how many threads they may use in this one.
FUNCTIONS = ("dgemm_64_", "sgemm_64_", "MKL_Set_Num_Threads_Local")


def share_products(module: Any) -> None:
    """Give PyODEBridge the matrix products of the torch in this process, if they can be found."""
    addresses = torchs_addresses()
    if addresses is not None:
        module.use_products(*addresses)


def torchs_addresses() -> list[int] | None:
    """Of FUNCTIONS in the library of torch; None where that is not loaded, or has another BLAS."""
    torch = sys.modules.get("torch")  # not in a worker
    if torch is None or torch.__file__ is None:
        return None
    try:
        library = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so"))
        return [ctypes.cast(getattr(library, name), ctypes.c_void_p).value or 0 for name in FUNCTIONS]
    except (OSError, AttributeError):
        return None
