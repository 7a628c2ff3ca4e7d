"""Peak memory of one forward and backward pass on the CPU, from the events of torch's own allocator."""

from __future__ import annotations

import gc
import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch.profiler import ProfilerActivity, profile


def peak_bytes(work: Callable[[], object]) -> int:
    """The most bytes that torch's CPU allocator held at once during ``work()``, above what it held before.

    Counts every tensor of the pass: activations kept for backward, a solver's stages, gradients. What other libraries
    allocate (Julia's arrays, oneDNN's scratch space) is not seen.
    """
    gc.collect()  # so that nothing older is freed meanwhile
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        work()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    held = peak = 0
    for event in sorted((event for event in events if event["name"] == "[memory]"), key=lambda event: event["ts"]):
        held += event["args"]["Bytes"]
        peak = max(peak, held)
    return peak
