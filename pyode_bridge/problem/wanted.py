"""The tensors of which a solve's gradient is wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from torch import Tensor

from pyode_bridge.errors import UnsupportedError


@dataclass(slots=True)  # freezing takes longer, field by field, at each solve
class Wanted:
    """The tensors of which a solve's gradient is wanted.

    Attributes:
        parameters: leaves, and computed tensors, where autograd's graph is cut: what is behind them is autograd's own
            business, once for a backward pass. None of them was computed from another.
        used: those that the right-hand side depends on at the start; None where nobody looked.
        unmet: other leaves, which it may come to depend on.
        complete: whether there is no leaf but these that it can depend on, as far as can be told.
    """

    parameters: Sequence[Tensor] = ()
    used: Sequence[Tensor] | None = ()
    unmet: Sequence[Tensor] = ()
    complete: bool = True

    def widened(self) -> Wanted:
        """The same, with what is unmet among the parameters."""
        return replace(self, parameters=[*self.parameters, *self.unmet], unmet=())


class UnmetError(UnsupportedError):
    """The dynamics depend on a leaf that they did not depend on at the start, so that it is no parameter yet."""
