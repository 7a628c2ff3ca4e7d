"""Calls of every ATen operation that has a translation, by operation."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from tests.compiled.lowerings.operands import Given, Operand, bits, floats, given, positive, transposed, whole

aten, prims = torch.ops.aten, torch.ops.prims

CASES: dict[Any, list[Given]] = {}


def _enter(calls: list[Given], *operations: Any) -> None:
    for operation in operations:
        CASES[operation] = calls


def _alone(operand: Operand) -> list[Given]:
    """One operand in several shapes, a scalar and nothing at all among them."""
    shapes = [operand.shape, (), (0, 2)]
    return [given(Operand(shape, operand.low, operand.high, operand.made)) for shape in shapes]


# Functions of one number.

_enter(
    [*_alone(floats(3, 4)), given(transposed(2, 3))],
    *(aten.neg.default, aten.abs.default, aten.sign.default, aten.sgn.default, aten.exp.default, aten.exp2.default),
    *(aten.expm1.default, aten.sin.default, aten.cos.default, aten.tan.default, aten.atan.default, aten.sinh.default),
    *(aten.cosh.default, aten.tanh.default, aten.asinh.default, aten.erf.default, aten.erfc.default),
    *(aten.special_erfcx.default, aten.special_log_ndtr.default),
    *(aten.floor.default, aten.ceil.default, aten.round.default, aten.trunc.default, aten.frac.default),
    *(aten.sigmoid.default, aten.relu.default, aten.silu.default, aten.mish.default),
    *(prims.neg.default, prims.abs.default, prims.sign.default, prims.exp.default, prims.sin.default),
    *(prims.cos.default, prims.tanh.default),
)
for _operation in (aten.sin.default, aten.cos.default):
    CASES[_operation] = [*CASES[_operation], given(floats(9, low=-1e16, high=1e16)), given(floats(low=1e17, high=1e18))]
CASES[aten.neg.default] = [*CASES[aten.neg.default], given(whole(3))]
CASES[aten.abs.default] = [*CASES[aten.abs.default], given(whole(3))]
CASES[aten.sign.default] = [*CASES[aten.sign.default], given(whole(3))]
CASES[aten.floor.default] = [*CASES[aten.floor.default], given(whole(3))]
CASES[aten.exp.default] = [*CASES[aten.exp.default], given(whole(3)), given(bits(2))]
_enter(
    _alone(positive(3, 4)),
    *(aten.sqrt.default, aten.rsqrt.default, aten.log.default, aten.log2.default, aten.log10.default),
    *(aten.log1p.default, aten.reciprocal.default, prims.sqrt.default, prims.rsqrt.default, prims.log.default),
    prims.reciprocal.default,
)
_enter(_alone(floats(3, 4, low=-0.95, high=0.95)), aten.asin.default, aten.acos.default, aten.atanh.default)
_enter(_alone(floats(3, 4, low=1.05, high=3.0)), aten.acosh.default)
_enter(_alone(floats(3, 4, low=-5.0, high=5.0)), aten.hardsigmoid.default, aten.hardswish.default)
_enter([given(positive(3)), given(whole(3))], aten.isnan.default, aten.isinf.default)
_enter([given(floats(3, 4, low=-30.0, high=30.0)), given(floats(), 2.0, 3.0)], aten.softplus.default)
_enter([given(floats(3, 4)), given(floats(5), approximate="tanh")], aten.gelu.default)
_enter([given(floats(3, 4)), given(floats(5), 0.2)], aten.leaky_relu.default)
_enter([given(floats(3, 4)), given(floats(5), 0.7, 1.3, 0.9)], aten.elu.default)
_enter([given(floats(3, 4)), given(floats(5), -0.5, 0.25)], aten.hardtanh.default)

# Functions of two numbers.

BROADCAST = [((3, 4), (3, 4)), ((2, 1, 3), (4, 1)), ((), (5,)), ((0, 1), (1, 3))]


def _two(first: Operand, second: Operand) -> list[Given]:
    """Operands of shapes that are brought together."""
    return [
        given(Operand(a, first.low, first.high, first.made), Operand(b, second.low, second.high, second.made))
        for a, b in BROADCAST
    ]


_mixed = [given(floats(3), whole(3)), given(whole(2, 3), whole(3)), given(floats(2), bits(2)), given(whole(2), bits(2))]
_enter(
    [*_two(floats(), floats()), *_mixed, given(floats(3), floats(3), alpha=2.5)],
    *(aten.add.Tensor, aten.sub.Tensor, aten.rsub.Tensor),
)
CASES[aten.sub.Tensor] = CASES[aten.rsub.Tensor] = [
    *_two(floats(), floats()),
    *_mixed[:2],
    given(floats(3), floats(3), alpha=2.5),
]
_enter(
    [given(floats(3, 4), 2), given(floats(), 1.5, 2), given(whole(3), 2)],
    aten.add.Scalar,
    aten.sub.Scalar,
    aten.rsub.Scalar,
)
_enter([*_two(floats(), floats()), *_mixed, given(bits(3), bits(3))], aten.mul.Tensor)
_enter([given(floats(3, 4), 2), given(floats(), -1.5), given(whole(3), 2)], aten.mul.Scalar)
_same = [given(floats(3, 4), floats(3, 4)), given(floats(), floats()), given(whole(3), whole(3))]
_enter(_same, prims.add.default, prims.sub.default, prims.mul.default)
_enter([given(floats(3, 4), positive(3, 4)), given(floats(), positive())], prims.div.default)
_enter([*_two(floats(), positive()), given(whole(3), whole(3, low=1)), given(whole(2), positive(2))], aten.div.Tensor)
_enter([given(floats(3, 4), 3), given(whole(3), 2)], aten.div.Scalar)
_rounded = [
    given(floats(3, 4, low=-9.0, high=9.0), positive(4), rounding_mode=mode) for mode in ("floor", "trunc", None)
] + [given(whole(2, 5, low=-9, high=9), whole(5, low=1), rounding_mode=mode) for mode in ("floor", "trunc")]
_enter(_rounded, aten.div.Tensor_mode)
_enter(
    [given(floats(3, low=-9.0, high=9.0), 2.5, rounding_mode=mode) for mode in ("floor", "trunc")]
    + [given(whole(9), -3, rounding_mode=mode) for mode in ("floor", "trunc")],
    aten.div.Scalar_mode,
)
_enter([given(floats(3, 4), positive(4)), given(whole(5, low=-9), whole(5, low=1))], aten.floor_divide.default)
_divided = [*_two(floats(low=-9.0, high=9.0), positive()), given(whole(6, low=-9, high=9), whole(6, low=1))]
_enter(_divided, aten.fmod.Tensor, aten.remainder.Tensor)
_enter(
    [given(floats(3, 4), 0.7), given(floats(3, 4), -0.7), given(whole(5), 3), given(whole(5), -3)],
    *(aten.fmod.Scalar, aten.remainder.Scalar),
)
_enter(
    [given(floats(3, 4), exponent) for exponent in (0, 1, 2, 3, -2, 7.0)]
    + [given(positive(3), exponent) for exponent in (0.5, -0.5, 1.7, 40)]
    + [given(whole(3), 2), given(whole(3), 3)],
    aten.pow.Tensor_Scalar,
)
_enter(
    [*_two(positive(), floats()), given(floats(3), whole(3)), given(whole(3), whole(3, low=0))], aten.pow.Tensor_Tensor
)
_enter([given(2, floats(3)), given(1.5, floats(2, 2))], aten.pow.Scalar)
_extremes = [*_two(floats(), floats()), given(whole(3), whole(3)), given(floats(3), whole(3))]
_enter(_extremes, aten.maximum.default, aten.minimum.default)
_enter(_two(floats(), floats()), aten.atan2.default, aten.hypot.default, aten.copysign.Tensor, aten.logaddexp.default)
_enter([given(floats(3, 4), -2.0), given(floats(), 1)], aten.copysign.Scalar)

_compared = [
    *_two(floats(), floats()),
    given(whole(9, low=-1, high=1), whole(9, low=-1, high=1)),
    given(floats(3), whole(3)),
    given(bits(3), bits(3)),
]
_enter(_compared, aten.eq.Tensor, aten.ne.Tensor, aten.lt.Tensor, aten.le.Tensor, aten.gt.Tensor, aten.ge.Tensor)
_enter(
    [given(floats(3, 4), 0), given(floats(), 0.5), given(whole(9, low=-1, high=1), 0), given(whole(5), 0.5)],
    *(aten.eq.Scalar, aten.ne.Scalar, aten.lt.Scalar, aten.le.Scalar, aten.gt.Scalar, aten.ge.Scalar),
)
_enter(
    [given(floats(3, 4), floats(3, 4)), given(whole(9, low=-1, high=1), whole(9, low=-1, high=1))],
    *(prims.eq.default, prims.ne.default, prims.lt.default, prims.le.default, prims.gt.default, prims.ge.default),
)
_logical = [
    given(bits(4), bits(4)),
    given(bits(2, 1), bits(3)),
    given(whole(9, low=-1, high=1), bits(9)),
    given(floats(3), whole(3, low=-1, high=1)),
]
_enter(_logical, aten.logical_and.default, aten.logical_or.default, aten.logical_xor.default)
_enter([given(bits(4)), given(whole(5, low=-1, high=1)), given(floats(3))], aten.logical_not.default)
_bitwise = [given(bits(4), bits(4)), given(bits(2, 1), bits(3)), given(whole(5), whole(5))]
_enter(_bitwise, aten.bitwise_and.Tensor, aten.bitwise_or.Tensor, aten.bitwise_xor.Tensor)
_enter(
    [given(whole(5), 3), given(bits(3), True)], aten.bitwise_and.Scalar, aten.bitwise_or.Scalar, aten.bitwise_xor.Scalar
)
_enter([given(bits(4)), given(whole(5))], aten.bitwise_not.default)

_enter(
    [
        given(bits(3, 4), floats(3, 4), floats(3, 4)),
        given(bits(3, 1), floats(4), floats()),
        given(bits(3), floats(3), whole(3)),
        given(bits(3), whole(3), whole(3)),
    ],
    aten.where.self,
)
_enter([given(bits(3, 4), floats(3, 4), floats(3, 4))], prims.where.default)
_enter([given(floats(3, 4), bits(4), -1.5), given(whole(3), bits(3), 2)], aten.masked_fill.Scalar)
_enter([given(floats(3, 4), bits(3, 1), floats())], aten.masked_fill.Tensor)
_enter(
    [given(floats(3, 4), -0.5, 1), given(floats(3), None, 0.5), given(floats(), 0.5), given(whole(5), -1, 2)],
    aten.clamp.default,
)
_enter(
    [given(floats(3, 4), floats(4), floats(3, 1)), given(floats(3), None, floats(3)), given(floats(3), floats())],
    aten.clamp.Tensor,
)
_enter([given(floats(3, 4), 0.5), given(whole(5), 1)], aten.clamp_min.default, aten.clamp_max.default)
_enter([given(floats(3, 4), floats(4)), given(floats(3), floats())], aten.clamp_min.Tensor, aten.clamp_max.Tensor)

# Tensors whose values follow from shapes: nothing of the operand is left.

_enter([given(floats(3, 2))], aten.zeros_like.default, aten.ones_like.default)
_enter([given(floats(3, 2), 1.5)], aten.full_like.default)
_enter([given(floats(3, 2), [2, 2])], aten.new_zeros.default, aten.new_ones.default)
_enter([given(floats(3, 2), [2, 2], 1.5)], aten.new_full.default)

# Products.

_products = [
    given(floats(3, 4), floats(4, 2)),
    given(transposed(3, 4), floats(4, 2)),
    given(floats(1, 9), floats(9, 1)),
]
_empty = [given(floats(3, 0), floats(0, 2)), given(floats(0, 3), floats(3, 2)), given(floats(2, 3), floats(3, 0))]
_enter(
    [*_products, given(transposed(3, 9), transposed(9, 2)), *_empty],
    aten.mm.default,
)
_enter(
    [
        given(floats(2, 3, 4), floats(2, 4, 2)),
        given(floats(1, 2, 9), transposed(1, 9, 3)),
        given(floats(2, 3, 0), floats(2, 0, 2)),
        given(floats(0, 3, 4), floats(0, 4, 2)),
    ],
    aten.bmm.default,
)
_enter([given(floats(3, 4), floats(4)), given(transposed(3, 4), floats(4))], aten.mv.default)
_enter([given(floats(5), floats(5))], aten.dot.default, aten.vdot.default)
_enter(
    [
        given(floats(2), floats(3, 4), floats(4, 2)),
        given(floats(3, 2), transposed(3, 4), floats(4, 2), beta=0.5, alpha=-2),
        given(floats(2), floats(3, 0), floats(0, 2)),
    ],
    aten.addmm.default,
)
_enter(
    [
        given(floats(2, 3, 2), floats(2, 3, 4), floats(2, 4, 2)),
        given(floats(2), floats(2, 3, 4), floats(2, 4, 2), beta=2, alpha=0.5),
    ],
    aten.baddbmm.default,
)
_enter(
    [given(floats(3), floats(3, 4), floats(4)), given(floats(3), floats(3, 4), floats(4), beta=2, alpha=0.5)],
    aten.addmv.default,
)

# What moves elements about.

_enter(
    [given(floats(3, 4), [2, 6]), given(floats(2, 3), [1, 6, 1]), given(floats(), [1])],
    aten.view.default,
    aten._unsafe_view.default,
)
_enter([given(floats(3, 1), [2, 3, 4]), given(floats(), [3]), given(floats(2, 3), [-1, 3])], aten.expand.default)
_enter([given(floats(2, 3, 4), [2, 0, 1]), given(floats(2, 3), [-1, 0])], aten.permute.default)
_enter([given(floats(2, 3)), given(floats(3))], aten.t.default)
_enter([given(floats(2, 3, 4), 0, -1)], aten.transpose.int)
_enter([given(floats(2, 3, 4), 1, 2), given(floats(4), 0, -1), given(transposed(3, 4), 1, 2)], aten.select.int)
_enter([given(floats(5, 3), 0, 1, 5, 2), given(floats(5), 0, -3), given(floats(2, 4), 1, 0, -1)], aten.slice.Tensor)
_enter([given(floats(1, 3, 1)), given(floats(1))], aten.squeeze.default)
_enter([given(floats(1, 3, 1), 0), given(floats(1, 3), 1)], aten.squeeze.dim)
_enter([given(floats(1, 3, 1), [0, 2])], aten.squeeze.dims)
_enter([given(floats(2, 3), 1), given(floats(), 0), given(floats(3), -1)], aten.unsqueeze.default)
_enter([given(floats(3, 4)), given(floats(2, 3, 3), 1, 1, 2), given(floats(3, 3), -1)], aten.diagonal.default)
_enter([given(floats(7), 0, 3, 2), given(floats(2, 5), 1, 2, 1)], aten.unfold.default)
_enter([given(floats(2, 3), [1]), given(floats(2, 3, 2), [0, 2])], aten.flip.default)
_enter([given(floats(2, 3), [1], [1]), given(floats(2, 3), [4])], aten.roll.default)
_enter([given(floats(2, 3), [2, 1, 2]), given(floats(), [3])], aten.repeat.default)
_enter([given(floats(3, 4)), given(floats(2, 3, 3), 1), given(floats(3, 3), -1)], aten.tril.default, aten.triu.default)
_enter([given(floats(2, 3)), given(floats(3), 1)], aten.diag_embed.default)
_enter([given(floats(3, 1), [2, 3, 4], [1, 2])], prims.broadcast_in_dim.default)
_enter([given(floats(3, 4), 1, torch.tensor([2, 0, 2]))], aten.index_select.default)
_enter(
    [
        given(floats(3, 4), [torch.tensor([2, 0, 2])]),
        given(floats(3, 4), [None, torch.tensor([[1, 3], [0, 0]])]),
        given(floats(3, 4), [torch.tensor([0, 2]), torch.tensor([1, 3])]),
        given(floats(3, 4), [torch.tensor([True, False, True])]),
    ],
    aten.index.Tensor,
)
_known = torch.tensor([[1, 0], [3, 3], [2, 1]])
_enter(
    [
        given(floats(3, 4), 1, _known),
        given(floats(3, 4), 0, whole(2, 3, low=0, high=2)),
        given(floats(5), -1, whole(7, low=0, high=4)),
    ],
    aten.gather.default,
)
_enter(
    [
        given(floats(3, 4), 1, _known, floats(3, 2)),
        given(floats(3, 4), 0, whole(2, 3, low=0, high=2), floats(3, 3)),
        given(floats(5), -1, whole(7, low=0, high=4), floats(7)),
        given(floats(), 0, torch.tensor(0), floats()),
    ],
    aten.scatter_add.default,
)
_enter(
    [
        given(floats(3, 4), 1, torch.tensor([[1, 0], [3, 2], [2, 1]]), floats(3, 2)),
        given(floats(4), 0, Operand((1,), 0, 3, lambda numbers: numbers.round().to(torch.int64)), floats(1)),
    ],
    aten.scatter.src,
)
_enter(
    [
        given(floats(3, 4), 0, _known[:2] % 3, 0.5),
        given(floats(4), 0, whole(2, low=0, high=3), 2.0),
        given(bits(4), 0, whole(2, low=0, high=3), 1),
        given(whole(4), 0, whole(2, low=0, high=3), 7),
    ],
    aten.scatter.value,
)
_enter(
    _alone(floats(2, 3)),
    *(aten.alias.default, aten.detach.default, aten.clone.default),
    *(aten.lift_fresh_copy.default, prims.view_of.default),
)
_enter([given(floats(12), [2, 3], [6, 1], 2), given(floats(3, 4), [2, 2], [1, 1])], aten.as_strided.default)
_enter([given(floats(12), floats(2, 3), [2, 3], [6, 1], 2)], aten.as_strided_scatter.default)
_enter([given(floats(3, 4), floats(4), 0, 1), given(floats(3, 4), floats(3), 1, -1)], aten.select_scatter.default)
_enter([given(floats(5, 3), floats(2, 3), 0, 1, 5, 2), given(floats(4), floats(2), 0, 2)], aten.slice_scatter.default)
_enter([given(floats(3, 4), floats(3)), given(floats(3, 3), floats(2), 1)], aten.diagonal_scatter.default)
_enter(
    [
        given([floats(2, 3), floats(1, 3)]),
        given([floats(2, 1), floats(2, 0), transposed(2, 3)], 1),
        given([floats(2), whole(2)]),
    ],
    aten.cat.default,
)
_enter([given([floats(2, 3), floats(2, 3)]), given([floats(), floats(), floats()], -1)], aten.stack.default)
_enter(
    [
        given(floats(2, 3), [1, 2]),
        given(floats(2, 3), [1, 0, 0, 2]),
        given(floats(3, 3), [-1, 1]),
        given(floats(2, 3), [1, 2, 1, 0], -1.5),
        given(whole(3), [1, 1], 4),
    ],
    aten.constant_pad_nd.default,
)
_enter([given(floats(5, 2), 2), given(floats(2, 3), 1, 1)], aten.split.Tensor)
_enter([given(floats(5, 2), [2, 3]), given(floats(2, 3), [1, 2], -1)], aten.split_with_sizes.default)
_enter([given(floats(3, 2)), given(floats(2, 3), 1)], aten.unbind.int)
_enter([given(floats(3, 4), floats(4)), given(floats(3), whole(3)), given(whole(3), floats(3))], aten.copy.default)
_enter(
    [
        given(floats(3, 4), dtype=torch.float32),
        given(floats(5), dtype=torch.int64),
        given(bits(3), dtype=torch.int64),
        given(whole(5, low=-1, high=1), dtype=torch.bool),
        given(whole(3), dtype=torch.float64),
        given(whole(3), dtype=torch.int32),
    ],
    aten._to_copy.default,
)
_enter([given(floats(5), torch.int64), given(whole(3), torch.float32)], prims.convert_element_type.default)
_enter(
    [
        given(floats(3, 4), [torch.tensor([2, 0])], floats(2, 4)),
        given(floats(3, 4), [None, torch.tensor([1])], floats()),
        given(floats(3, 4), [torch.tensor([2, 0, 2])], floats(3, 4), True),
        given(floats(3, 4), [torch.tensor([0, 0]), torch.tensor([1, 1])], floats(2), True),
        given(floats(3, 4), [torch.tensor([True, False, True])], floats(4)),
    ],
    aten.index_put.default,
)

# Reductions.

_dims = [(floats(3, 4), [0]), (floats(3, 4), [-1], True), (transposed(2, 3, 4), [0, 2]), (floats(2, 3, 4), [1])]
_enter([given(floats(3, 4)), given(floats()), given(whole(3)), given(bits(5)), given(floats(0))], aten.sum.default)
_enter(
    [*(given(*args) for args in _dims), given(floats(3, 4), []), given(floats(2, 0), [1]), given(whole(2, 3), [0])],
    aten.sum.dim_IntList,
)
_enter([given(floats(3, 4), [0]), given(floats(2, 3, 4), [0, 2])], prims.sum.default)
_enter([given(floats(3, 4)), given(floats())], aten.mean.default)
_enter([given(*args) for args in _dims], aten.mean.dim)
_enter([given(floats(2, 3)), given(floats()), given(whole(3))], aten.prod.default)
_enter([given(floats(3, 4), 0), given(floats(2, 3), -1, True)], aten.prod.dim_int)
_enter([given(floats(3, 4), [0])], prims.prod.default)
_enter(
    [*(given(*args) for args in _dims), given(whole(2, 3), [0]), given(floats(3, 4), [])],
    aten.amax.default,
    aten.amin.default,
)
_enter([given(floats(3, 4), [0])], prims.amax.default, prims.amin.default)
_enter([given(floats(3, 4)), given(floats()), given(whole(3))], aten.max.default, aten.min.default)
_enter(
    [given(bits(3, 4)), given(bits(2)), given(bits()), given(whole(3, low=0, high=1)), given(floats(3))],
    aten.any.default,
    aten.all.default,
)
_enter([given(bits(3, 4), 0), given(bits(3, 4), -1, True)], aten.any.dim, aten.all.dim)
_enter([given(bits(3, 4), [0]), given(bits(2, 3, 2), [0, 2], True)], aten.any.dims, aten.all.dims)
_enter(
    [
        given(floats(3, 4), [0]),
        given(floats(3, 4), [-1], correction=0, keepdim=True),
        given(floats(2, 3, 4), [0, 2]),
        given(floats(3, 4)),
        given(transposed(3, 4), [1], correction=2),
    ],
    aten.var.correction,
)
_enter([given(floats(3, 4), [0], correction=1), given(floats(3, 4), [0, 1], correction=0)], prims.var.default)


# Factorisations, of matrices that are not taken apart.


def _definite(size: int) -> Operand:
    return Operand((size, size), -1.0, 1.0, lambda a: a @ a.mT + torch.eye(size, dtype=a.dtype))


def _dominant(size: int) -> Operand:
    return Operand((size, size), -0.1, 0.1, lambda a: a + 2 * torch.eye(size, dtype=a.dtype))


def _pivots(size: int) -> Tensor:
    return torch.arange(1, size + 1, dtype=torch.int32).flip(0).clamp(min=size // 2)


_enter([given(_definite(4)), given(_definite(3), "U", False)], aten._linalg_eigh.default)
_enter(  # the values: vectors have signs that nothing determines
    [given(floats(4, 3), False, False), given(floats(2, 3, 4), False, False)],
    aten._linalg_svd.default,
)
_enter([given(floats(4, 3)), given(floats(2, 3, 4), "complete"), given(floats(4, 3), "r")], aten.linalg_qr.default)
_enter([given(floats(4, 3), floats(2)), given(floats(2, 4, 3), floats(2, 3))], aten.linalg_householder_product.default)
_enter([given(floats(3, 3)), given(floats(2, 4, 4))], aten.linalg_matrix_exp.default)
_enter([given(floats(18, 18)), given(floats(2, 18, 3))], aten.linalg_lu_factor_ex.default)
_enter(
    [
        given(_dominant(18), _pivots(18), floats(18, 2)),
        given(_dominant(18), _pivots(18), floats(18, 2), adjoint=True),
    ],
    aten.linalg_lu_solve.default,
)
_enter(
    [
        given(_dominant(18), floats(18, 2), upper=True),
        given(_dominant(18), floats(18, 2), upper=False, unitriangular=True),
    ],
    aten.linalg_solve_triangular.default,
)
_enter([given(_definite(18))], aten.linalg_cholesky_ex.default)
_enter([given(floats(18, 18), _pivots(18), False), given(floats(18, 3), _pivots(3), False)], aten.lu_unpack.default)
