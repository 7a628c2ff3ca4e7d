"""Dynamics that need no trial before a solve: they were tried, translated and compared with torch before.

A trial finds the tensors whose gradients are wanted and the value at the start. Where a `Guards` is whole, an equal key
means the same graph, so that they stand at the same places, and the translation computes what the function would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards
from pyode_bridge.compiled.runtime.cache import Translation, Translations
from pyode_bridge.problem import levels
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.graph import are_entangled
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Familiar:
    """What is known of dynamics that were translated before, and whose reach is whole.

    Attributes:
        key: hashable; equal for dynamics whose trials would find the same.
        reach: what they depend on.
        translations: all of the Julia that was asked.
        translation: what it made of them.
        parameters, used: their places among the tensors that are reached; see `Wanted`.
    """

    key: Any
    reach: Guards
    translations: Translations
    translation: Translation
    parameters: tuple[int, ...]
    used: tuple[int, ...]

    @property
    def wanted(self) -> Wanted:
        """What their trial would find."""
        return Wanted(self._at(self.parameters), self._at(self.used))

    def _at(self, places: tuple[int, ...]) -> list[Tensor]:
        return [self.reach.tensors[place] for place in places]

    def translation_of(self, translations: Translations) -> Translation | None:
        """What another Julia made of them; None where it has not met them."""
        if translations is self.translations:
            return self.translation
        return translations.familiar.get(self.key, (None,))[0]


def look(found: Guards, structure: Structure, sign: float, translations: Translations) -> Familiar | None:
    """What is known of dynamics with this reach; None where they were not translated yet, or may depend on more."""
    key = _key(found, structure, sign, recorded=torch.is_grad_enabled())
    known = None if key is None else translations.familiar.get(key)
    if known is None:
        return None
    met = Familiar(key, found, translations, *known)
    # Which tensor was computed from which is not in the key.
    return None if are_entangled(met.wanted.parameters) else met


def remember(dynamics: Dynamics, found: Guards, translation: Translation, translations: Translations) -> None:
    """That dynamics with this reach are, after their trial, what was translated."""
    wanted = dynamics.wanted
    if dynamics.start is None or wanted.used is None:
        return
    key, parameters, used = _key_of(dynamics, found), found.indices(wanted.parameters), found.indices(wanted.used)
    if key is not None and parameters is not None and used is not None:
        translations.familiar[key] = translation, parameters, used


def forget(dynamics: Dynamics, found: Guards, translations: Translations) -> None:
    """That there is a translation to use."""
    translations.familiar.pop(_key_of(dynamics, found), None)


def _key_of(dynamics: Dynamics, found: Guards) -> Any:
    # By what they want gradients of: torch's own nodes switch the recording off around the solve.
    recorded = bool(dynamics.parameters)
    return _key(found, dynamics.structure, dynamics.sign, recorded=recorded)


def _key(found: Guards, structure: Structure, sign: float, *, recorded: bool) -> Any:
    """None where the reach does not tell all that a trial would."""
    if not found.exhaustive or levels.is_redirected():
        return None
    wanted = tuple([recorded and tensor.requires_grad and 1 + tensor.is_leaf for tensor in found.tensors])
    return found.key, structure, sign, torch.get_default_dtype(), wanted
