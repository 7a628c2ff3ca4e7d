"""All features by name: each adds lines to a program, so that any of them meet in one."""

from __future__ import annotations

from collections.abc import Callable

from tests.hunt.draft import Draft

Feature = Callable[[Draft], None]
FEATURES: dict[str, Feature] = {}


def feature(add: Feature) -> Feature:
    FEATURES[add.__name__] = add
    return add
