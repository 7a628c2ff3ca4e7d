"""Guarded cache hits: dynamics that need no trial before a solve, for they were tried, translated and compared before.

A trial finds the tensors whose gradients are wanted and the value at the start. Where `Guards` are exhaustive, an equal
key means the same graph, so that they have the same indices, and the translation computes what the function would.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.capture.guards import Guards, guards_of
from pyode_bridge.compiled.errors import UnsupportedDynamicsError
from pyode_bridge.compiled.runtime.cache import Translations
from pyode_bridge.compiled.runtime.translation import Translation
from pyode_bridge.problem import levels
from pyode_bridge.problem.direction import Direction
from pyode_bridge.problem.dynamics import Dynamics
from pyode_bridge.problem.graph import are_entangled
from pyode_bridge.problem.state import Structure
from pyode_bridge.problem.wanted import Wanted


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class CacheHit:
    """What is known of dynamics that were translated before, and whose guards are exhaustive.

    Attributes:
        key: hashable; equal for dynamics whose trials would find the same.
        guards: what they depend on.
        translations: all of the Julia that was asked.
        translation: what it made of them.
        parameters, used: their indices among the tensors of the guards; see `Wanted`.
    """

    key: Any
    guards: Guards
    translations: Translations
    translation: Translation
    parameters: tuple[int, ...]
    used: tuple[int, ...]

    @property
    def wanted(self) -> Wanted:
        """What their trial would find."""
        return Wanted(self._at(self.parameters), self._at(self.used))

    def _at(self, indices: tuple[int, ...]) -> list[Tensor]:
        return [self.guards.tensors[index] for index in indices]

    def still_holds(self, func: Any) -> bool:
        """Whether all that the function reaches is seen to be as it was."""
        try:
            return guards_of(func) is self.guards
        except UnsupportedDynamicsError:  # it reaches something that no key can hold
            return False

    def translation_of(self, translations: Translations) -> Translation | None:
        """What another Julia made of them; None where it has not met them."""
        if translations is self.translations:
            return self.translation
        return translations.guarded.get(self.key, (None,))[0]


def look_up(guards: Guards, structure: Structure, direction: Direction, translations: Translations) -> CacheHit | None:
    """What is known of dynamics with these guards; None where they were not translated, or may depend on more."""
    key = _key(guards, structure, direction, recorded=torch.is_grad_enabled())
    known = None if key is None else translations.guarded.get(key)
    if known is None:
        return None
    hit = CacheHit(key, guards, translations, *known)
    # Which tensor was computed from which is not in the key.
    return None if are_entangled(hit.wanted.parameters) else hit


def record(dynamics: Dynamics, guards: Guards, translation: Translation, translations: Translations) -> None:
    """Have dynamics with these guards hit a translation, which they became after their trial."""
    wanted = dynamics.wanted
    if wanted.used is None:
        return
    key = _key_of(dynamics, guards)
    parameters, used = guards.indices(wanted.parameters), guards.indices(wanted.used)
    if key is not None and parameters is not None and used is not None:
        translations.guarded[key] = translation, parameters, used


def discard(dynamics: Dynamics, guards: Guards, translations: Translations) -> None:
    """Have dynamics with these guards hit none."""
    translations.guarded.pop(_key_of(dynamics, guards), None)


def _key_of(dynamics: Dynamics, guards: Guards) -> Any:
    # By what they want gradients of: torch's own nodes switch the recording off around the solve.
    recorded = bool(dynamics.parameters)
    return _key(guards, dynamics.structure, dynamics.direction, recorded=recorded)


def _key(guards: Guards, structure: Structure, direction: Direction, *, recorded: bool) -> Any:
    """None where the guards do not tell all that a trial would."""
    if not guards.exhaustive or levels.is_redirected():
        return None
    wanted = tuple([recorded and tensor.requires_grad and 1 + tensor.is_leaf for tensor in guards.tensors])
    return guards.key, structure, direction.sign, torch.get_default_dtype(), wanted
