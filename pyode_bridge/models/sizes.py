"""Sizes of networks, which are whole numbers."""

from __future__ import annotations

from pyode_bridge.errors import InputError


def positive(**sizes: object) -> None:
    """Raise InputError unless every named value is a positive whole number."""
    for name, value in sizes.items():
        if not is_whole(value, least=1):
            raise InputError(f"{name} is {value!r}; expected a positive whole number.")


def is_whole(value: object, least: int) -> bool:
    """Whether it is a whole number, and at least so large; True and False are none."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least
