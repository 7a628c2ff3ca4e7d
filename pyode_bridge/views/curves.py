"""What matplotlib can draw of components: real numbers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pyode_bridge.views.components import Array, Components


@dataclass(frozen=True, eq=False)
class Curve:
    """A component, or one of the parts of a complex one.

    Attributes:
        name: of the component, and of the part.
        values: real, of the shape of the component's.
        component: its position among the components.
        imaginary: whether it is an imaginary part.
    """

    name: str
    values: Array
    component: int
    imaginary: bool = False


def curves(found: Components) -> list[Curve]:
    """One for each real component, two for each complex one."""
    made = []
    for place, (name, values) in enumerate(found.items()):
        if np.iscomplexobj(values):
            made += [Curve(f"Re {name}", values.real, place), Curve(f"Im {name}", values.imag, place, imaginary=True)]
        else:
            made.append(Curve(name, values, place))
    return made
