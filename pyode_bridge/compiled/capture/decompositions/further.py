"""Further operators, written with simpler ones: extremes that pass over NaN, distances, windows, scattered values."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import product
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from pyode_bridge.compiled.capture.decompositions.orderings import LONGEST, sort
from pyode_bridge.compiled.errors import UnsupportedDynamicsError

aten = torch.ops.aten


def fmax(a: Tensor, b: Tensor) -> Tensor:
    """``aten.fmax``: of two numbers the larger, or the one that is a number."""
    return torch.where(a.isnan(), b, torch.where(b.isnan(), a, torch.maximum(a, b)))


def fmin(a: Tensor, b: Tensor) -> Tensor:
    """``aten.fmin`` likewise."""
    return torch.where(a.isnan(), b, torch.where(b.isnan(), a, torch.minimum(a, b)))


def round_decimals(x: Tensor, *, decimals: int) -> Tensor:
    """``aten.round.decimals``."""
    scale = 10.0 ** abs(decimals)
    return torch.round(x * scale) / scale if decimals >= 0 else torch.round(x / scale) * scale


def angle(x: Tensor) -> Tensor:
    """``aten.angle`` of a real number."""
    return torch.where(x.isnan(), x, torch.where(x < 0, math.pi, torch.zeros_like(x)))


def addbmm(total: Tensor, a: Tensor, b: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    """``aten.addbmm``."""
    return beta * total + alpha * torch.bmm(a, b).sum(0)


def take(x: Tensor, index: Tensor) -> Tensor:
    """``aten.take``."""
    return torch.gather(x.reshape(-1), 0, index.reshape(-1) % x.numel()).reshape(index.shape)


def put(x: Tensor, index: Tensor, source: Tensor, accumulate: bool = False) -> Tensor:
    """``aten.put``."""
    flat = torch.index_put(x.reshape(-1), [index.reshape(-1)], source.reshape(-1), accumulate)
    return flat.reshape(x.shape)


_COMBINED: dict[str, tuple[Callable[..., Tensor], float]] = {
    "sum": (torch.sum, 0.0),
    "prod": (torch.prod, 1.0),
    "amax": (torch.amax, -math.inf),
    "amin": (torch.amin, math.inf),
}


def scatter_reduce(
    x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``aten.scatter_reduce``: for each element along the dimension, what goes there, combined."""
    if not x.ndim:
        found = scatter_reduce(x[None], 0, index[None], source[None], reduce, include_self=include_self)
        return found[0]
    size = x.shape[dim]
    if size > LONGEST:
        raise UnsupportedDynamicsError(f"it combines values at {size} places, of at most {LONGEST}")
    dim %= x.ndim
    combine, start = _COMBINED["sum" if reduce == "mean" else reduce]
    source = source[tuple(map(slice, index.shape))]
    parts, counts = [], []
    for place in range(size):
        here = index == place
        parts.append(combine(torch.where(here, source, start), dim))
        counts.append(here.to(x.dtype).sum(dim))
    margins = [m for d in reversed(range(x.ndim)) for m in (0, 0 if d == dim else x.shape[d] - index.shape[d])]
    found = torch.constant_pad_nd(torch.stack(parts, dim), margins, start)
    count = torch.constant_pad_nd(torch.stack(counts, dim), margins, 0.0)
    if include_self:
        found = combine(torch.stack([found, x]), 0)
        return found / (count + 1) if reduce == "mean" else found
    found = found / torch.where(count > 0, count, 1.0) if reduce == "mean" else found
    return torch.where(count > 0, found, x)


def index_reduce(
    x: Tensor, dim: int, index: Tensor, source: Tensor, reduce: str, *, include_self: bool = True
) -> Tensor:
    """``aten.index_reduce``."""
    if not x.ndim:
        return scatter_reduce(x, 0, index.reshape(()), source.reshape(()), reduce, include_self=include_self)
    shape = [-1 if d == dim % x.ndim else 1 for d in range(x.ndim)]
    return scatter_reduce(x, dim, index.view(shape).expand_as(source), source, reduce, include_self=include_self)


def scatter_by(x: Tensor, dim: int, index: Tensor, source: Any, *, reduce: str) -> Tensor:
    """``aten.scatter.reduce``."""
    values = source if isinstance(source, Tensor) else torch.full(index.shape, source, dtype=x.dtype)
    return scatter_reduce(x, dim, index, values, {"add": "sum", "multiply": "prod"}[reduce])


def logcumsumexp(x: Tensor, dim: int) -> Tensor:
    """``aten.logcumsumexp``."""
    if not x.ndim:
        return x.clone()
    size = x.shape[dim]
    if size > LONGEST:
        raise UnsupportedDynamicsError(f"it runs over {size} elements, of at most {LONGEST}")
    numbers, moved = torch.arange(size), x.movedim(dim, -1)
    upto = torch.where(numbers[None, :] <= numbers[:, None], moved.unsqueeze(-2), -math.inf)
    return torch.logsumexp(upto, -1).movedim(-1, dim)


def nanmedian_of_dim(x: Tensor, dim: int = -1, keepdim: bool = False) -> tuple[Tensor, Tensor]:
    """``aten.nanmedian.dim``."""
    if not x.ndim:
        return x.clone(), torch.zeros_like(x, dtype=torch.int64)
    values, indices = sort(x, dim)
    count = (~x.isnan()).to(torch.int64).sum(dim, True)
    place = torch.clamp(torch.div(count - 1, 2, rounding_mode="floor"), min=0)
    found = [torch.gather(part, dim, place) for part in (values, indices)]
    return (found[0], found[1]) if keepdim else (found[0].squeeze(dim), found[1].squeeze(dim))


def nanmedian(x: Tensor) -> Tensor:
    """``aten.nanmedian``."""
    return nanmedian_of_dim(x.reshape(-1), 0)[0]


def trilinear(
    a: Tensor,
    b: Tensor,
    c: Tensor,
    expand1: Sequence[int],
    expand2: Sequence[int],
    expand3: Sequence[int],
    sumdim: Sequence[int],
    unroll_dim: int = 1,
) -> Tensor:
    """``aten._trilinear``: a product of three tensors, summed over dimensions."""
    for dim in expand1:
        a = a.unsqueeze(dim)
    for dim in expand2:
        b = b.unsqueeze(dim)
    for dim in expand3:
        c = c.unsqueeze(dim)
    return (a * b * c).sum(list(sumdim))


def _windows(image: Sequence[int], rows: Sequence[Sequence[Sequence[int]]]) -> Tensor:
    """Flat places of each window, shape ``(windows, places)``, from those along each dimension; -1 for none."""
    numbers = np.arange(math.prod(image)).reshape(tuple(image))
    found = [numbers[np.ix_(*along)].ravel().tolist() for along in product(*rows)]
    longest = max(map(len, found))
    with disable_proxy_modes_tracing():
        return torch.tensor([places + [-1] * (longest - len(places)) for places in found])


def _pooling_rows(size: int, kernel: int, stride: int, padding: int, dilation: int, ceil: bool) -> list[list[int]]:
    reach = dilation * (kernel - 1) + 1
    steps = (size + 2 * padding - reach) / stride
    count = (math.ceil(steps) if ceil else math.floor(steps)) + 1
    if ceil and (count - 1) * stride >= size + padding:
        count -= 1
    begins = [number * stride - padding for number in range(count)]
    return [[at for k in range(kernel) if 0 <= (at := begin + k * dilation) < size] for begin in begins]


def _adaptive_rows(size: int, count: int) -> list[list[int]]:
    return [list(range(n * size // count, -((n + 1) * size // -count))) for n in range(count)]


Rows = Callable[..., list[list[list[int]]]]


def _of_pooling(
    image: Sequence[int], kernel: Any, stride: Any = (), padding: Any = 0, dilation: Any = 1, ceil: bool = False
) -> list[list[list[int]]]:
    """The places of windows along each dimension of an image."""
    dims = len(image)
    kernel = _each(kernel, dims)
    steps = kernel if isinstance(stride, Sequence) and not stride else _each(stride, dims)
    along = zip(image, kernel, steps, _each(padding, dims), _each(dilation, dims), strict=True)
    return [_pooling_rows(*one, ceil) for one in along]


def _of_adaptive_pooling(image: Sequence[int], output_size: Any) -> list[list[list[int]]]:
    return [_adaptive_rows(size, count) for size, count in zip(image, _each(output_size, len(image)), strict=True)]


def _each(value: Any, dims: int) -> list[int]:
    values = [value] if isinstance(value, int) else list(value)
    return values * dims if len(values) == 1 else values


def _max_pool(dims: int, rows_of: Rows) -> Callable[..., tuple[Tensor, Tensor]]:
    """The largest element of each window, and its flat place."""

    def pool(x: Tensor, *settings: Any) -> tuple[Tensor, Tensor]:
        lead, image = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
        rows = rows_of(image, *settings)
        windows = _windows(image, rows)
        each = torch.where(windows >= 0, x.reshape(*lead, -1)[..., windows.clamp(min=0)], -math.inf)
        values = each.amax(-1)
        here = (windows >= 0) & ((each == values.unsqueeze(-1)) | each.isnan())
        places = torch.where(here, windows, math.prod(image)).amin(-1)
        shape = *lead, *map(len, rows)
        return values.reshape(shape), places.reshape(shape)

    return pool


def _max_pool_backward(dims: int, rows_of: Rows) -> Callable[..., Tensor]:
    def backward(grad: Tensor, x: Tensor, *settings: Any) -> Tensor:
        *own, indices = settings
        lead, image = x.shape[: x.ndim - dims], x.shape[x.ndim - dims :]
        windows = _windows(image, rows_of(image, *(own or [grad.shape[grad.ndim - dims :]])))
        here = windows == indices.reshape(*lead, -1, 1)
        parts = torch.where(here, grad.reshape(*lead, -1, 1), 0.0).reshape(*lead, -1)
        flat = torch.zeros(*lead, math.prod(image), dtype=x.dtype)
        return flat.index_add(-1, windows.clamp(min=0).reshape(-1), parts).reshape(x.shape)

    return backward


DECOMPOSITIONS: dict[Any, Callable[..., Any]] = {
    aten.fmax.default: fmax,
    aten.fmin.default: fmin,
    aten.round.decimals: round_decimals,
    aten.angle.default: angle,
    aten.addbmm.default: addbmm,
    aten.take.default: take,
    aten.put.default: put,
    aten.scatter_reduce.two: scatter_reduce,
    aten.scatter.reduce: scatter_by,
    aten.scatter.value_reduce: scatter_by,
    aten.index_reduce.default: index_reduce,
    aten.logcumsumexp.default: logcumsumexp,
    aten.nanmedian.default: nanmedian,
    aten.nanmedian.dim: nanmedian_of_dim,
    aten._trilinear.default: trilinear,
    aten.max_pool2d_with_indices.default: _max_pool(2, _of_pooling),
    aten.max_pool3d_with_indices.default: _max_pool(3, _of_pooling),
    aten.max_pool2d_with_indices_backward.default: _max_pool_backward(2, _of_pooling),
    aten.max_pool3d_with_indices_backward.default: _max_pool_backward(3, _of_pooling),
    aten.adaptive_max_pool2d.default: _max_pool(2, _of_adaptive_pooling),
    aten.adaptive_max_pool3d.default: _max_pool(3, _of_adaptive_pooling),
    aten.adaptive_max_pool2d_backward.default: _max_pool_backward(2, _of_adaptive_pooling),
    aten.adaptive_max_pool3d_backward.default: _max_pool_backward(3, _of_adaptive_pooling),
}
