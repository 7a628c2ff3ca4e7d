"""Of what took part or might have."""

from __future__ import annotations

import importlib.metadata

PACKAGES = (
    "torchdiffeq",
    "scipy",
    "torchode",
    "torchsde",
    "diffrax",
    "jax",
    "gradsolve",
    "pydiffsol",
    "diffeqpy",
    "juliacall",
)


def versions(engine: str) -> dict[str, str]:
    """By package."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            found[package] = "not installed"
    if engine == "julia":
        from juliacall import Main

        found |= {str(name): str(version) for name, version in Main.PyODEBridge.versions()}
        found["Julia threads"] = str(Main.seval("Threads.nthreads()"))
    return found
