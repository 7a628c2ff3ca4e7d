"""What a mass matrix ``M`` of ``M y' = f(t, y)`` is, where the equation is solved for the velocity."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class MassMatrix(NamedTuple):
    """What the velocity is found by, of a matrix ``M`` of shape ``(n, n)`` and rank ``n - m``.

    Attributes:
        inverse: ``M⁺``, Moore and Penrose's.
        rows: ``U``, shape ``(m, n)``, orthonormal, with ``U M = 0``.
        columns: ``V``, shape ``(n, m)``, orthonormal, with ``M V = 0``.
        condition: the largest singular value by the least that is not zero.
    """

    inverse: Tensor
    rows: Tensor
    columns: Tensor
    condition: float

    @classmethod
    def of(cls, matrix: Tensor) -> MassMatrix:
        """That of a matrix, of which singular values are zero that rounding errors may have made."""
        left, sizes, right = torch.linalg.svd(matrix)
        rank = int((sizes > sizes[0] * len(sizes) * torch.finfo(sizes.dtype).eps).sum())
        inverse = (right[:rank].mT / sizes[:rank]) @ left[:, :rank].mT
        condition = (sizes[0] / sizes[rank - 1]).item() if rank else 1.0
        return cls(inverse, left[:, rank:].mT, right[rank:].mT, condition)

    @property
    def is_singular(self) -> bool:
        """Whether there is a constraint."""
        return len(self.rows) > 0

    @property
    def is_doubtful(self) -> bool:
        """Whether its rank is in doubt: singular values that count differ by so much that errors spoil ``M⁺``."""
        most: float = torch.finfo(self.inverse.dtype).eps ** -0.5
        return self.condition >= most
