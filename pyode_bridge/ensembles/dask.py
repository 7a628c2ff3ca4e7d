"""Starts the engine in every worker of a dask cluster."""

from __future__ import annotations

from typing import Any

from distributed import WorkerPlugin

from pyode_bridge.engines import select_engine


class StartEngine(WorkerPlugin):
    """Starts it where a worker starts, on the main thread, as Julia wants it; tasks run on others."""

    idempotent = True

    def __init__(self, engine: str) -> None:
        self.name = f"pyode_bridge-{engine}"
        self._engine = engine

    def setup(self, worker: Any) -> None:
        """Dask calls it in each worker, those that it starts later included."""
        select_engine(self._engine)
