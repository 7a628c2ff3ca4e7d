"""Operators that are linear in their argument, as products with a matrix, which torch computes once, while it traces.

Poolings, interpolations and paddings, most of them as the derivative of one another, treat all images of a batch alike:
the operator is applied to an image with a single 1 for each of its elements.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod
from typing import Any

import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from pyode_bridge.compiled.errors import UnsupportedDynamicsError

aten = torch.ops.aten

LARGEST = 4096  # elements of an image; beyond, the matrix would be too large

Decomposition = Callable[..., Tensor]


def identity(size: int, dtype: torch.dtype) -> Tensor:
    """A matrix that is no part of the graph."""
    if size > LARGEST:
        raise UnsupportedDynamicsError(f"it has a linear operator over {size} elements at once, of at most {LARGEST}")
    return torch.eye(size, dtype=dtype)


def _of_images(operator: Any, dims: int) -> Decomposition:
    """Of an operator whose first argument has ``dims`` dimensions at the end that it is about."""

    def product(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        lead, image = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
        size = prod(image)
        with disable_proxy_modes_tracing(), torch.no_grad():
            ones = identity(size, x.dtype).view(size, 1, *image)
            names = [argument.name for argument in operator._schema.arguments[1:]]
            alike = [_alike(name, arg, size, dims) for name, arg in zip(names, args, strict=False)]
            matrix = operator(ones, *alike, **kwargs)
        flat: Tensor = x.reshape(-1, size) @ matrix.view(size, -1)
        return flat.view(*lead, *matrix.shape[2:])

    return product


def _alike(name: str, arg: Any, size: int, dims: int) -> Any:
    """An argument of a name for a batch of ``size`` images: of a tensor the shape alone matters."""
    if isinstance(arg, Tensor):
        return torch.zeros(size, 1, *arg.shape[arg.ndim - dims :], dtype=arg.dtype)
    return [size, 1, *arg[2:]] if name == "input_size" else arg


DECOMPOSITIONS: dict[Any, Decomposition] = {
    operator: _of_images(operator, dims)
    for dims, operators in {
        1: (
            aten.replication_pad1d_backward.default,
            aten.reflection_pad1d_backward.default,
            aten.upsample_linear1d.default,
            aten.upsample_linear1d_backward.default,
            aten.upsample_nearest1d.default,
            aten.upsample_nearest1d_backward.default,
            aten._upsample_nearest_exact1d_backward.default,
        ),
        2: (
            aten.avg_pool2d.default,
            aten.avg_pool2d_backward.default,
            aten._adaptive_avg_pool2d.default,
            aten._adaptive_avg_pool2d_backward.default,
            aten.replication_pad2d_backward.default,
            aten.reflection_pad2d_backward.default,
            aten.upsample_bilinear2d.default,
            aten.upsample_bilinear2d_backward.default,
            aten._upsample_bilinear2d_aa.default,
            aten._upsample_bilinear2d_aa_backward.default,
            aten.upsample_bicubic2d.default,
            aten.upsample_bicubic2d_backward.default,
            aten.upsample_nearest2d.default,
            aten.upsample_nearest2d_backward.default,
            aten._upsample_nearest_exact2d_backward.default,
        ),
        3: (
            aten.avg_pool3d.default,
            aten.avg_pool3d_backward.default,
            aten._adaptive_avg_pool3d.default,
            aten._adaptive_avg_pool3d_backward.default,
            aten.replication_pad3d_backward.default,
            aten.reflection_pad3d_backward.default,
            aten.upsample_trilinear3d.default,
            aten.upsample_trilinear3d_backward.default,
            aten.upsample_nearest3d.default,
            aten.upsample_nearest3d_backward.default,
            aten._upsample_nearest_exact3d_backward.default,
        ),
    }.items()
    for operator in operators
}
