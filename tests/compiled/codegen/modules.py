"""Random modules on states of shape ``(B, D)``, composed of layers that keep the batch and may change the width."""

from __future__ import annotations

from collections.abc import Callable

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

Layer = Callable[[Tensor, Tensor], Tensor]  # of the time and (B, width)


class OfState(nn.Module):
    """A layer that the time plays no part in."""

    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.layer(x)


class OfTime(nn.Module):
    def __init__(self, layer: Layer) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.layer(t, x)


class Residual(nn.Module):
    """``x + W f(t, x)``."""

    def __init__(self, inner: nn.Module, back: nn.Linear) -> None:
        super().__init__()
        self.inner = inner
        self.back = back

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return x + self.back(self.inner(t, x))


class Bilinear(nn.Module):
    """An outer product contracted with a weight."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(width, width, width) / width)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return torch.einsum("bi,ijk,bj->bk", x, self.weight, torch.tanh(x))


class Convolution(nn.Module):
    """The features as a line of one channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.there = nn.Conv1d(1, channels, 3, padding=1)
        self.back = nn.ConvTranspose1d(channels, 1, 3, padding=1)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        return self.back(torch.tanh(self.there(x[:, None])))[:, 0]


class Chain(nn.Module):
    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, t: Tensor, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(t, x)
        return x


ACTIVATIONS = [
    nn.Tanh, nn.Sigmoid, nn.ReLU, nn.ELU, nn.GELU, nn.SiLU, nn.Softplus, nn.LeakyReLU, nn.Mish, nn.Softsign,
    nn.Hardtanh, nn.LogSigmoid, nn.Tanhshrink, nn.SELU, nn.Hardswish, nn.CELU,
]  # fmt: skip
OF_STATE = [
    torch.sin,
    lambda x: x**3 / (1 + x**2),
    lambda x: torch.exp(-x.square()),
    lambda x: x - x.mean(-1, keepdim=True),
    lambda x: x / (1 + torch.linalg.vector_norm(x, dim=-1, keepdim=True)),
    lambda x: x - torch.logsumexp(x, -1, keepdim=True),
    lambda x: torch.softmax(x, -1),
    lambda x: torch.log_softmax(x, 0),
    lambda x: torch.softmax(x @ x.mT, -1) @ x,
    lambda x: torch.where(x > 0, x, 0.1 * x**2),
    lambda x: x.clamp(-1.5, 1.5) * x.sum(),
    lambda x: torch.atan2(x, 1 + x.flip(-1).abs()),
    lambda x: torch.roll(x, 1, -1) - x,
    lambda x: torch.maximum(x, x.amax(0)) + torch.minimum(x, x.mean()),
    lambda x: x.cumsum(-1) / x.shape[-1],
    lambda x: torch.stack([x, -x]).prod(0),
    lambda x: x.var(-1, keepdim=True) * torch.ones_like(x) + x if x.shape[-1] > 1 else x,
]
OF_TIME = [
    lambda t, x: x * torch.cos(t),
    lambda t, x: x + t * x.mT.reshape(x.shape),
    lambda t, x: torch.cat([x[:, :1] * t, x[:, 1:] ** 2], -1),
]
WIDENING = [  # by how much
    (1, lambda t, x: torch.cat([x, t.expand(len(x), 1)], -1)),
    (1, lambda t, x: torch.nn.functional.pad(x, (1, 0), value=0.5)),
    (0, lambda t, x: torch.cat([x[:, 1:], x[:, :1]], -1)),
]


@st.composite
def layers(draw: st.DrawFn, width: int, depth: int) -> tuple[nn.Module, int]:
    """One layer for inputs of a width, and the width of its output."""
    kind = draw(st.sampled_from(["linear", "activation", "state", "time", "wider", "norm", "product", "residual"]))
    if kind == "linear":
        wider = draw(st.sampled_from([1, 2, 3, 5, 20]))
        return OfState(nn.Linear(width, wider)), wider
    if kind == "activation":
        return OfState(draw(st.sampled_from(ACTIVATIONS))()), width
    if kind == "state":
        return OfState(draw(st.sampled_from(OF_STATE))), width
    if kind == "time":
        return OfTime(draw(st.sampled_from(OF_TIME))), width
    if kind == "wider":
        more, layer = draw(st.sampled_from(WIDENING))
        return OfTime(layer), width + more
    if kind == "norm":
        norms: list[nn.Module] = [nn.LayerNorm(width, eps=0.1), nn.RMSNorm(width, eps=0.1)]
        if width > 1:  # torch refuses to norm a group of one value
            norms.append(nn.GroupNorm(1, width, eps=0.1))
        return OfState(draw(st.sampled_from(norms))), width
    if kind == "product":
        return (Bilinear(width) if width <= 5 else Convolution(draw(st.integers(1, 3)))), width
    if depth:
        inner, wider = draw(chains(width, depth - 1))
        return Residual(inner, nn.Linear(wider, width)), width
    return OfState(nn.Identity()), width


@st.composite
def chains(draw: st.DrawFn, width: int, depth: int = 1) -> tuple[nn.Module, int]:
    found: list[nn.Module] = []
    for _ in range(draw(st.integers(1, 4))):
        layer, width = draw(layers(width, depth))
        found.append(layer)
    return Chain(found), width


@st.composite
def modules(draw: st.DrawFn) -> tuple[nn.Module, tuple[int, int]]:
    """A module ``(t, y)`` and the shape of its state."""
    torch.manual_seed(draw(st.integers(0, 2**20)))
    shape = draw(st.integers(1, 3)), draw(st.integers(1, 6))
    chain, width = draw(chains(shape[1]))
    return Chain([chain, OfState(nn.Linear(width, shape[1]))]), shape
