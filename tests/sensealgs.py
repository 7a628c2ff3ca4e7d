"""The sensitivity algorithms of the Julia engine, by name."""

ADJOINTS = [
    "InterpolatingAdjoint",
    "InterpolatingAdjoint(checkpointing=true)",
    "GaussAdjoint",
    "GaussKronrodAdjoint",
    "QuadratureAdjoint",
    "BacksolveAdjoint",
]
SENSEALGS = [*ADJOINTS, "ForwardSensitivity", "ForwardDiffSensitivity"]
# Dual numbers go through the steps of explicit solvers alone.
IMPLICIT = ["Rodas5P", "KenCarp4", "FBDF", "QNDF", "RadauIIA5"]


def serves(sensealg: str, method: str) -> bool:
    return sensealg != "ForwardDiffSensitivity" or method not in IMPLICIT
