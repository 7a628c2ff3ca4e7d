"""The sensitivity algorithms of the Julia engine, by name."""

ADJOINTS = [
    "InterpolatingAdjoint",
    "InterpolatingAdjoint(checkpointing=true)",
    "GaussAdjoint",
    "GaussKronrodAdjoint",
    "QuadratureAdjoint",
    "BacksolveAdjoint",
]
SENSEALGS = [*ADJOINTS, "ForwardSensitivity"]
