"""Sines and cosines in loops: without a branch wherever all the angles allow it, so that the loops become SIMD."""

from __future__ import annotations

import re
from collections.abc import Sequence

_CALL = re.compile(r"^(\w+) = (sin|cos)\((\w+)\)$")


def quick_angles(statement: Sequence[str]) -> list[str]:
    """The statement with the functions that only serve angles up to 2^48, done again with others where one is beyond.

    It must write the same the second time, whatever it wrote the first.
    """
    found = [_CALL.match(line) for line in statement]
    if not any(found):
        return list(statement)
    quick = ["reducible = true"]
    for line, call in zip(statement, found, strict=True):
        if call is None:
            quick.append(line)
        else:
            value, name, angle = call.groups()
            quick += [f"reducible &= is_reducible({angle})", f"{value} = quick_{name}({angle})"]
    return [*quick, "if !reducible", *statement, "end"]
