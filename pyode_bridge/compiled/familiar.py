"""Dynamics that need no trial before a solve: they were tried, translated and compared with torch before.

A trial finds the leaf tensors in use and the value at the start. Where a `Reach` is whole, an equal key means the same
graph, so that the leaves stand at the same places, and the translation computes what the function would.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from pyode_bridge import levels
from pyode_bridge.compiled.reach import Reach, reach
from pyode_bridge.compiled.refusals import UntranslatableError
from pyode_bridge.state import Structure

if TYPE_CHECKING:
    from pyode_bridge.compiled.lane import Translation, Translations
    from pyode_bridge.dynamics import Dynamics


@dataclass(frozen=True)
class Familiar:
    """What is known of dynamics whose reach is whole.

    Attributes:
        key: hashable; equal for dynamics whose trials would find the same.
        reach: what they depend on.
        translations: all of the Julia that was asked.
        translation: what it made of them; None where they were not tried yet.
        places: of the leaves in use among the tensors that are reached.
    """

    key: Any
    reach: Reach
    translations: Translations
    translation: Translation | None = None
    places: tuple[int, ...] = ()

    @property
    def leaves(self) -> list[Tensor]:
        """The leaf tensors in use."""
        return [self.reach.tensors[place] for place in self.places]

    def translation_of(self, translations: Translations) -> Translation | None:
        """What another Julia made of them; None where it has not met them."""
        if translations is self.translations:
            return self.translation
        return translations.familiar.get(self.key, (None,))[0]


def look(func: Callable[..., Any], structure: Structure, sign: float, translations: Translations) -> Familiar | None:
    """What is known of ``func``, or None where it may depend on more than can be told, or on what was computed."""
    if levels.is_redirected():
        return None
    try:
        found = reach(func)
    except UntranslatableError:
        return None
    if not found.whole or any(tensor.grad_fn is not None for tensor in found.tensors):
        return None
    recorded = torch.is_grad_enabled()
    wanted = tuple([tensor.requires_grad for tensor in found.tensors]) if recorded else None
    key = (found.key, structure, sign, torch.get_default_dtype(), wanted)
    return Familiar(key, found, translations, *translations.familiar.get(key, ()))


def remember(dynamics: Dynamics, translation: Translation, translations: Translations) -> None:
    """That these dynamics, after their trial, are what was translated."""
    familiar = dynamics.familiar
    if familiar is None or dynamics.start is None:
        return
    by_identity = {id(tensor): place for place, tensor in enumerate(familiar.reach.tensors)}
    if all(id(leaf) in by_identity for leaf in dynamics.leaves):
        translations.familiar[familiar.key] = translation, tuple(by_identity[id(leaf)] for leaf in dynamics.leaves)


def forget(dynamics: Dynamics, translations: Translations) -> None:
    """That there is a translation to use."""
    if dynamics.familiar is not None:
        translations.familiar.pop(dynamics.familiar.key, None)
