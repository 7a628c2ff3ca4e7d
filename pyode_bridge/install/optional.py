"""Julia packages with more solvers, installed when a user asks for them."""

from __future__ import annotations

from collections.abc import Iterable

from pyode_bridge.errors import EngineUnavailableError, near_names
from pyode_bridge.install.location import JuliaLocation

# Name -> UUID, as in Julia's General registry.
OPTIONAL_PACKAGES = {
    "DelayDiffEq": "bcd4f6db-9728-5f36-b5f7-82caef46ccdb",
    "GlobalDiffEq": "1d72d19b-84cc-4cb7-a099-7cbdb9ccc67c",
    "IRKGaussLegendre": "58bc7355-f626-4c51-96f2-1f8a038f95a2",
    "LSODA": "7f56f5a3-f504-529b-bc02-0b1fe5e64312",
    "ODEInterfaceDiffEq": "09606e27-ecf5-54fc-bb29-004bd9f985bf",
    "OrdinaryDiffEqMultirate": "d4b830b4-ac80-426b-8507-16693d424963",
    "OrdinaryDiffEqMultirateImplicit": "fd3f87d1-5955-4d40-9638-6d84dd605b32",
    "OrdinaryDiffEqNewmark": "d204908a-63b9-11ef-18f5-cfec7123a93b",
    "StochasticDiffEq": "789caeaf-c7a9-5a7d-9973-96adeb23e2a0",
    "Sundials": "c3572dad-4567-51f8-b174-8c6c989267f4",
}

# Packages that come with another one, of which older versions will not do.
ALONG = {"StochasticDiffEq": ["DiffEqNoiseProcess"]}
BOUNDED = {"DiffEqNoiseProcess": ("77a26b50-5914-5dd7-bc55-306e6241c503", "5.34")}  # UUID, versions; see stochastic.jl

TOOLS = {"PackageCompiler": "9b87118b-4619-50d2-8e1e-99f35a4d4d9d"}  # which makes system images


def request(names: Iterable[str], location: JuliaLocation) -> list[str]:
    """Tell juliapkg to install these packages too, at its next resolve; returns those it was not told of before.

    Raises:
        EngineUnavailableError: a name is not known, the environment is the user's own and not juliapkg's, or juliapkg
            refuses its settings.
    """
    names = list(names)
    for name in names:
        if name not in OPTIONAL_PACKAGES and name not in TOOLS:
            known = ", ".join(OPTIONAL_PACKAGES)
            raise EngineUnavailableError(
                f"{name} is not a package that pyode_bridge can add; these are: {known}."
                + near_names(name, OPTIONAL_PACKAGES)
            )
    names += [other for name in names for other in ALONG.get(name, [])]
    if names and location.project:
        quoted = ", ".join(f'"{name}"' for name in names)
        raise EngineUnavailableError(
            f"The environment {location.project} is chosen by {location.rule}, so it is yours to change: run "
            f"`{location.exe} --project={location.project} -e 'using Pkg; Pkg.add([{quoted}])'`."
        )
    if not names:
        return []
    try:
        import juliapkg
        from juliapkg.deps import load_cur_deps

        known_before = load_cur_deps().get("packages", {})
        added = [name for name in names if name not in known_before]
        for name in added:
            uuid, versions = BOUNDED.get(name) or ({**OPTIONAL_PACKAGES, **TOOLS}[name], None)
            juliapkg.add(name, uuid, version=versions)
    except Exception as error:  # a bad setting makes the import itself raise
        raise EngineUnavailableError(f"juliapkg cannot be used ({error}).") from error
    return added


def withdraw(names: Iterable[str]) -> None:
    """Take back a `request` that could not be fulfilled."""
    import juliapkg

    for name in names:
        juliapkg.rm(name)
