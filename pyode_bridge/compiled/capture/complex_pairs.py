"""Complex numbers as pairs of real ones: a graph with complex operators as one without.

The graph is run once more, node by node, and traced while it runs: what was a complex tensor is a `Pair` then, and what
was a complex operator is written with real ones. So whatever comes after knows real numbers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import disable_proxy_modes_tracing

from pyode_bridge.compiled.capture.decompositions.linear_operators import identity
from pyode_bridge.compiled.errors import UnsupportedDynamicsError, UnsupportedOperatorError

aten, prims = torch.ops.aten, torch.ops.prims


@dataclass(frozen=True)
class Pair:
    """A complex tensor or number by its real and its imaginary part."""

    re: Any
    im: Any


def has_complex(module: fx.GraphModule) -> bool:
    """Whether there are complex tensors in a graph."""
    return any(_is_complex(node.meta.get("val")) for node in module.graph.nodes)


class PairInterpreter(fx.Interpreter):
    """Runs a graph, with pairs for complex tensors.

    Raises UnsupportedOperatorError for an operator that is not known of complex numbers.
    """

    def run_node(self, n: fx.Node) -> Any:
        args, kwargs = self.fetch_args_kwargs_from_env(n)
        if n.op == "get_attr":
            tensor = self.fetch_attr(str(n.target))
            return _parts(torch.view_as_real(tensor)) if _is_complex(tensor) else tensor
        if n.op != "call_function" or not (_is_complex(n.meta.get("val")) or _any_pair((args, kwargs))):
            return super().run_node(n)
        operator: Any = n.target
        if getattr(operator, "__name__", "") == "getitem":
            return args[0][args[1]]
        packet = operator.overloadpacket
        if packet in _STRIDED:
            return _strided(operator, n.args[0].meta["val"], *args)  # type: ignore[union-attr]
        if packet in _LINEAR:
            return _linear(operator, args, kwargs)
        if packet not in _RULES:
            name = str(operator).removesuffix(".default")
            raise UnsupportedOperatorError(f"the operation {name} has no translation for complex numbers")
        return _of_tensors(_RULES[packet](*args, **_without_layout(kwargs)), n.meta["val"])


# Operators that are linear and real: they do to each part what they do to a number.
_LINEAR = {
    *(aten.alias, aten.cat, aten.clone, aten.constant_pad_nd, aten.cumsum, aten.detach, aten.diag_embed, aten.diagonal),
    *(aten.diagonal_scatter, aten.expand, aten.flip, aten.gather, aten.index, aten.index_select, aten.lift_fresh_copy),
    *(aten.mean, aten.neg, aten.permute, aten.repeat, aten.reshape, aten.roll, aten.select, aten.select_scatter),
    *(aten.slice, aten.slice_scatter, aten.split, aten.split_with_sizes, aten.squeeze, aten.stack, aten.sum, aten.t),
    *(aten.transpose, aten.tril, aten.triu, aten.unbind, aten.unfold, aten.unsqueeze, aten.view, aten._unsafe_view),
    *(prims.broadcast_in_dim, prims.neg, prims.sum, prims.view_of),
}
_STRIDED = {aten.as_strided, aten.as_strided_scatter}
_VIEWS = {aten.view, aten._unsafe_view}  # parts may lie in memory where numbers cannot be seen in another shape


def _linear(operator: Any, args: Any, kwargs: Any) -> Any:
    kwargs = _without_layout(kwargs)
    if kwargs.get("dtype") is not None:
        kwargs["dtype"] = _real_dtype(kwargs["dtype"])
    args = tuple(_promoted_list(arg) for arg in args)
    operator = torch.reshape if operator.overloadpacket in _VIEWS else operator
    first, second = (operator(*_taken(args, part), **_taken(kwargs, part)) for part in ("re", "im"))
    if isinstance(first, (list, tuple)):
        return [Pair(a, b) for a, b in zip(first, second, strict=True)]
    return Pair(first, second)


def _strided(operator: Any, like: Tensor, *args: Any) -> Pair:
    """Of a tensor that lay in memory as ``like`` does; torch counts from where its storage begins."""
    tensors = [_pair(arg) for arg in args if isinstance(arg, (Pair, Tensor))]
    size, stride, *offset = args[len(tensors) :]
    further = offset[0] - like.storage_offset() if offset and offset[0] is not None else 0
    if further < 0 or not like.is_contiguous():
        raise UnsupportedDynamicsError("it uses as_strided on a tensor that does not lie row by row from there on")
    return Pair(
        *(operator(*(getattr(z, part).contiguous() for z in tensors), size, stride, further) for part in ("re", "im"))
    )


def _promoted_list(arg: Any) -> Any:
    """A list of tensors of which some are pairs, as one of pairs."""
    return [_pair(one) for one in arg] if isinstance(arg, (list, tuple)) and _any_pair(arg) else arg


def _taken(value: Any, part: str) -> Any:
    if isinstance(value, Pair):
        return getattr(value, part)
    if isinstance(value, (list, tuple)):
        return type(value)(_taken(one, part) for one in value)
    return {name: _taken(one, part) for name, one in value.items()} if isinstance(value, dict) else value


def _without_layout(kwargs: dict[str, Any]) -> dict[str, Any]:
    """Without what says where a tensor lies in memory."""
    return {
        name: value for name, value in kwargs.items() if name not in ("memory_format", "layout", "device", "pin_memory")
    }


def _of_tensors(result: Any, like: Any) -> Any:
    """A pair of tensors, also where it was made of a number alone."""
    if not isinstance(result, Pair) or isinstance(result.re, Tensor):
        return result
    return Pair(*(torch.full(like.shape, part, dtype=_real_dtype(like.dtype)) for part in (result.re, result.im)))


def _of_parts(re: Tensor, im: Tensor) -> Pair:
    shape = np.broadcast_shapes(re.shape, im.shape)
    return Pair(re.expand(shape), im.expand(shape))


def _parts(pairs: Tensor) -> Pair:
    return Pair(pairs[..., 0], pairs[..., 1])


def _pair(value: Any) -> Pair:
    """A number or a tensor as a pair."""
    if isinstance(value, Pair):
        return value
    if isinstance(value, Tensor):
        return Pair(value, torch.zeros_like(value))
    return Pair(value.real, value.imag) if isinstance(value, complex) else Pair(value, 0.0)


def _is_complex(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_is_complex, value))
    return isinstance(value, complex) or (isinstance(value, Tensor) and value.is_complex())


def _any_pair(value: Any) -> bool:
    if isinstance(value, (list, tuple)):
        return any(map(_any_pair, value))
    return any(map(_any_pair, value.values())) if isinstance(value, dict) else isinstance(value, Pair)


def _real_dtype(dtype: torch.dtype) -> torch.dtype:
    return dtype.to_real() if dtype.is_complex else dtype


def _real(z: Any) -> Any:
    return z.re if isinstance(z, Pair) else z.real if isinstance(z, complex) else z


def _add(a: Any, b: Any, *, alpha: Any = 1) -> Pair:
    b = b if alpha == 1 else _mul(b, alpha)
    a, b = _pair(a), _pair(b)
    return Pair(a.re + b.re, a.im + b.im)


def _sub(a: Any, b: Any, *, alpha: Any = 1) -> Pair:
    return _add(a, _mul(b, -alpha))


def _mul(a: Any, b: Any) -> Any:
    a, b = (_pair(one) if isinstance(one, complex) else one for one in (a, b))
    if not isinstance(a, Pair):
        return Pair(a * b.re, a * b.im) if isinstance(b, Pair) else a * b
    if not isinstance(b, Pair):
        return Pair(a.re * b, a.im * b)
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def _reciprocal(z: Any) -> Pair:
    z = _pair(z)
    size = z.re * z.re + z.im * z.im
    return Pair(z.re / size, -z.im / size)


def _div(a: Any, b: Any) -> Pair:
    if not isinstance(b, (Pair, complex)):
        a = _pair(a)
        return Pair(a.re / b, a.im / b)
    a, b = _pair(a), _reciprocal(b)
    return Pair(a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re)


def _conj(z: Any) -> Pair:
    z = _pair(z)
    return Pair(z.re, -z.im)


def _exp(z: Pair) -> Pair:
    size = torch.exp(z.re)
    return Pair(size * torch.cos(z.im), size * torch.sin(z.im))


def _log(z: Pair) -> Pair:
    return Pair(torch.log(_abs(z)), _angle(z))


def _abs(z: Pair) -> Tensor:
    return torch.hypot(z.re, z.im)


def _angle(z: Pair) -> Tensor:
    return torch.atan2(z.im, z.re)


def _sin(z: Pair) -> Pair:
    return Pair(torch.sin(z.re) * torch.cosh(z.im), torch.cos(z.re) * torch.sinh(z.im))


def _cos(z: Pair) -> Pair:
    return Pair(torch.cos(z.re) * torch.cosh(z.im), -torch.sin(z.re) * torch.sinh(z.im))


def _sinh(z: Pair) -> Pair:
    return Pair(torch.sinh(z.re) * torch.cos(z.im), torch.cosh(z.re) * torch.sin(z.im))


def _cosh(z: Pair) -> Pair:
    return Pair(torch.cosh(z.re) * torch.cos(z.im), torch.sinh(z.re) * torch.sin(z.im))


def _tanh(z: Pair) -> Pair:
    return _div(_sinh(z), _cosh(z))


def _sqrt(z: Pair) -> Pair:
    """The root whose real part is not negative."""
    size = _abs(z)
    im = torch.sqrt((size - z.re) / 2)
    return Pair(torch.sqrt((size + z.re) / 2), torch.where(z.im < 0, -im, im))


def _pow(base: Any, exponent: Any) -> Pair:
    if (
        isinstance(exponent, (int, float))
        and float(exponent).is_integer()
        and 0 <= exponent <= 8
        and isinstance(base, Pair)
    ):
        result = Pair(torch.ones_like(base.re), torch.zeros_like(base.im))
        for number in range(int(exponent)):
            result = base if number == 0 else _mul(result, base)
        return result
    if isinstance(base, (int, float)):
        base = torch.as_tensor(base, dtype=_pair(exponent).re.dtype)
    return _exp(_mul(_log(_pair(base)), exponent))


def _sgn(z: Pair) -> Pair:
    size = _abs(z)
    inverse = torch.where(size > 0, 1 / size, torch.zeros_like(size))
    return Pair(z.re * inverse, z.im * inverse)


def _product(multiply: Callable[..., Tensor]) -> Callable[[Any, Any], Pair]:
    def product(a: Any, b: Any) -> Pair:
        if not isinstance(a, Pair):
            return Pair(multiply(a, b.re), multiply(a, b.im))
        if not isinstance(b, Pair):
            return Pair(multiply(a.re, b), multiply(a.im, b))
        return Pair(multiply(a.re, b.re) - multiply(a.im, b.im), multiply(a.re, b.im) + multiply(a.im, b.re))

    return product


_mm, _bmm, _mv, _dot = map(_product, (torch.mm, torch.bmm, torch.mv, torch.dot))


def _vdot(a: Any, b: Any) -> Pair:
    return _dot(_conj(_pair(a)), b)


def _flat_last(z: Tensor, dims: Sequence[int]) -> tuple[Tensor, Callable[..., Tensor]]:
    """With some dimensions flattened to a last one, and what brings them back in the shape of another image."""
    places = [dim % z.ndim for dim in dims]
    moved = z.movedim(places, list(range(-len(dims), 0)))
    lead = moved.shape[: z.ndim - len(dims)]

    def back(flat: Tensor, image: Sequence[int]) -> Tensor:
        return flat.reshape(*lead, *image).movedim(list(range(-len(dims), 0)), places)

    return moved.reshape(-1, prod(moved.shape[z.ndim - len(dims) :])), back


def _fourier(operator: Any) -> Callable[..., Any]:
    """A Fourier transform as products with its matrices, by what it makes of each real and each imaginary unit."""

    def transform(z: Any, dims: Sequence[int], *args: Any) -> Any:
        is_pair = isinstance(z, Pair)
        parts = [z.re, z.im] if is_pair else [z]
        image = [parts[0].shape[dim] for dim in dims]
        own = list(range(1, 1 + len(image)))
        results: list[Any] = []
        for part, unit in zip(parts, (1, 1j), strict=False):
            flat, back = _flat_last(part, dims)
            with disable_proxy_modes_tracing(), torch.no_grad():
                ones = identity(prod(image), part.dtype).view(-1, *image)
                matrix = operator(ones.to(ones.dtype.to_complex()) * unit if is_pair else ones, own, *args)
            shape, matrix = matrix.shape[1:], matrix.reshape(len(matrix), -1)
            halves = [matrix.real.clone(), matrix.imag.clone()] if matrix.is_complex() else [matrix]
            results.append([back(flat @ half, shape) for half in halves])
        total = results[0] if len(results) == 1 else [a + b for a, b in zip(*results, strict=True)]
        return total[0] if len(total) == 1 else Pair(*total)

    return transform


def _added(product: Callable[[Any, Any], Pair]) -> Callable[..., Pair]:
    def added(c: Any, a: Any, b: Any, *, beta: Any = 1, alpha: Any = 1) -> Pair:
        return _add(_mul(c, beta), _mul(product(a, b), alpha))

    return added


def _where(condition: Any, yes: Any, no: Any) -> Pair:
    yes, no = _pair(yes), _pair(no)
    return Pair(torch.where(condition, yes.re, no.re), torch.where(condition, yes.im, no.im))


def _masked_fill(z: Any, mask: Tensor, value: Any) -> Pair:
    z, value = _pair(z), _pair(value)
    return Pair(torch.where(mask, value.re, z.re), torch.where(mask, value.im, z.im))


def _index_put(z: Any, indices: Any, values: Any, accumulate: bool = False) -> Pair:
    z, values = _pair(z), _pair(values)
    re, im = (torch.index_put(a, indices, b, accumulate) for a, b in ((z.re, values.re), (z.im, values.im)))
    return Pair(re, im)


def _converted(z: Any, *, dtype: torch.dtype | None = None, **kwargs: Any) -> Any:
    if dtype is None:
        return Pair(z.re.clone(), z.im.clone())
    z = _pair(z)
    if not dtype.is_complex:
        return z.re.to(dtype)
    return Pair(z.re.to(_real_dtype(dtype)), z.im.to(_real_dtype(dtype)))


def _copy(z: Any, source: Any, non_blocking: bool = False) -> Pair:
    shape, source = _real(z).shape, _pair(source)
    return Pair(source.re.expand(shape), source.im.expand(shape))


def _filled(like: Any, value: Any, dtype: torch.dtype | None) -> Any:
    number, like = _pair(value), _real(like)
    if dtype is not None and not dtype.is_complex:
        return torch.full_like(like, number.re, dtype=dtype)
    kind = None if dtype is None else _real_dtype(dtype)
    return Pair(torch.full_like(like, number.re, dtype=kind), torch.full_like(like, number.im, dtype=kind))


def _full(size: Any, value: Any, *, dtype: torch.dtype | None = None) -> Pair:
    number = _pair(value)
    kind = _real_dtype(dtype) if dtype is not None else torch.get_default_dtype()
    return Pair(torch.full(size, number.re, dtype=kind), torch.full(size, number.im, dtype=kind))


_RULES: dict[Any, Callable[..., Any]] = {
    aten.view_as_complex: _parts,
    aten.view_as_real: lambda z: torch.stack([z.re, z.im], dim=-1),
    aten.complex: _of_parts,
    aten.polar: lambda size, angle: Pair(size * torch.cos(angle), size * torch.sin(angle)),
    aten.real: _real,
    aten.imag: lambda z: z.im,
    prims.real: _real,
    prims.imag: lambda z: z.im,
    aten.add: _add,
    prims.add: _add,
    aten.sub: _sub,
    prims.sub: _sub,
    aten.rsub: lambda a, b, alpha=1: _sub(b, a, alpha=alpha),
    aten.mul: _mul,
    prims.mul: _mul,
    aten.div: _div,
    prims.div: _div,
    aten.reciprocal: _reciprocal,
    prims.reciprocal: _reciprocal,
    aten.square: lambda z: _mul(z, z),
    aten._conj: _conj,
    aten.conj_physical: _conj,
    aten._conj_physical: _conj,
    prims.conj: _conj,
    prims.conj_physical: _conj,
    aten.resolve_conj: lambda z: z,
    aten.resolve_neg: lambda z: z,
    aten.exp: _exp,
    prims.exp: _exp,
    aten.log: _log,
    prims.log: _log,
    aten.abs: _abs,
    prims.abs: _abs,
    aten.angle: _angle,
    aten.sin: _sin,
    prims.sin: _sin,
    aten.cos: _cos,
    prims.cos: _cos,
    aten.sinh: _sinh,
    aten.cosh: _cosh,
    aten.tanh: _tanh,
    prims.tanh: _tanh,
    aten.sqrt: _sqrt,
    prims.sqrt: _sqrt,
    aten.pow: _pow,
    prims.pow: _pow,
    aten.sgn: _sgn,
    aten._fft_c2c: _fourier(aten._fft_c2c.default),
    aten._fft_r2c: _fourier(aten._fft_r2c.default),
    aten._fft_c2r: _fourier(aten._fft_c2r.default),
    aten.mm: _mm,
    aten.bmm: _bmm,
    aten.mv: _mv,
    aten.dot: _dot,
    aten.vdot: _vdot,
    aten.addmm: _added(_mm),
    aten.baddbmm: _added(_bmm),
    aten.addmv: _added(_mv),
    aten.where: _where,
    prims.where: _where,
    aten.masked_fill: _masked_fill,
    aten.index_put: _index_put,
    aten._unsafe_index_put: _index_put,
    aten._to_copy: _converted,
    prims.convert_element_type: lambda z, dtype: _converted(z, dtype=dtype),
    aten.zeros_like: lambda z, *, dtype=None: _filled(z, 0, dtype),
    aten.empty_like: lambda z, *, dtype=None: _filled(z, 0, dtype),
    aten.ones_like: lambda z, *, dtype=None: _filled(z, 1, dtype),
    aten.full_like: lambda z, value, *, dtype=None: _filled(z, value, dtype),
    aten.copy: _copy,
    aten.full: _full,
    aten.zeros: lambda size, *, dtype=None: _full(size, 0, dtype=dtype),
    aten.empty: lambda size, *, dtype=None: _full(size, 0, dtype=dtype),
    aten.empty_strided: lambda size, stride, *, dtype=None: _full(size, 0, dtype=dtype),
    aten.ones: lambda size, *, dtype=None: _full(size, 1, dtype=dtype),
    aten.new_zeros: lambda z, size, *, dtype=None: _full(size, 0, dtype=dtype or _real(z).dtype),
    aten.new_empty: lambda z, size, *, dtype=None: _full(size, 0, dtype=dtype or _real(z).dtype),
    aten.new_empty_strided: lambda z, size, stride, *, dtype=None: _full(size, 0, dtype=dtype or _real(z).dtype),
    aten.scalar_tensor: lambda value, *, dtype=None: _full((), value, dtype=dtype),
    aten.eq: lambda a, b: (_pair(a).re == _pair(b).re) & (_pair(a).im == _pair(b).im),
    aten.ne: lambda a, b: (_pair(a).re != _pair(b).re) | (_pair(a).im != _pair(b).im),
    prims.ne: lambda a, b: (_pair(a).re != _pair(b).re) | (_pair(a).im != _pair(b).im),
}
