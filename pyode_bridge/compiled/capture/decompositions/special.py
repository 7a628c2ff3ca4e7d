"""Special functions, written with elementary ones: series and asymptotic expansions, joined where both are exact.

Sources: Abramowitz and Stegun, "Handbook of Mathematical Functions", 6.3, 6.4, 7.1, 9.6 and 9.7; C. Lanczos, "A
precision approximation of the gamma function", 1964; M. Giles, "Approximating the erfinv function", 2010, for a first
guess.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from pyode_bridge.compiled.errors import UnsupportedDynamicsError

aten = torch.ops.aten

# Lanczos' coefficients for g = 7.
LANCZOS = (
    0.99999999999980993,
    676.5203681218851,
    -1259.1392167224028,
    771.32342877765313,
    -176.61502916214059,
    12.507343278686905,
    -0.13857109526572012,
    9.9843695780195716e-6,
    1.5056327351493116e-7,
)
BERNOULLI = (1 / 6, -1 / 30, 1 / 42, -1 / 30, 5 / 66, -691 / 2730, 7 / 6, -3617 / 510)  # of the even numbers from 2 on
STEPS = 12  # by which an argument is shifted to where the asymptotic series are exact
LARGEST_ORDER = 20  # of a polygamma function
TERMS = 60  # of the power series of Bessel functions
JOINED = 20.0  # where their power series and their asymptotic ones are


def lgamma(x: Tensor) -> Tensor:
    """``aten.lgamma``: ``log|Γ(x)|``."""
    reflected = x < 0.5
    z = torch.where(reflected, 1 - x, x) - 1
    total = torch.full_like(z, LANCZOS[0])
    for number, coefficient in enumerate(LANCZOS[1:], 1):
        total = total + coefficient / (z + number)
    shifted = z + 7.5
    above = 0.5 * math.log(2 * math.pi) + (z + 0.5) * shifted.log() - shifted + total.log()
    fraction = x - x.floor()  # of the sine's argument, which may be large
    below = math.log(math.pi) - torch.sin(math.pi * torch.where(reflected, fraction, 0.5)).abs().log() - above
    found = torch.where(reflected, below, above)
    return torch.where(x.isinf(), x.abs(), found)


def digamma(x: Tensor) -> Tensor:
    """``aten.digamma``, the derivative of `lgamma`."""
    reflected = x < 0
    z = torch.where(reflected, 1 - x, x)
    steps: Tensor = sum((1 / (z + number) for number in range(1, STEPS)), 1 / z)
    far = z + STEPS
    square = 1 / (far * far)
    tail = torch.zeros_like(far)
    for number in reversed(range(len(BERNOULLI))):
        tail = (tail + BERNOULLI[number] / (2 * number + 2)) * square
    above = far.log() - 0.5 / far - tail - steps
    fraction = torch.where(reflected, x - x.floor(), 0.5)
    below = above - math.pi / torch.tan(math.pi * fraction)
    found = torch.where(reflected, below, above)
    pole = torch.copysign(torch.full_like(x, math.inf), -x)
    whole = (x < 0) & (x == x.floor())
    return torch.where(x == 0, pole, torch.where(whole, math.nan, found))


def polygamma(order: int, x: Tensor) -> Tensor:
    """``aten.polygamma``: the derivatives of `digamma`, by Hurwitz's zeta function."""
    if order == 0:
        return digamma(x)
    if order > LARGEST_ORDER:
        raise UnsupportedDynamicsError(f"it uses a polygamma function of order {order}, of at most {LARGEST_ORDER}")
    return (-1.0 if order % 2 == 0 else 1.0) * math.factorial(order) * hurwitz_zeta(order + 1, x)


def hurwitz_zeta(power: int, x: Tensor, steps: int = 2 * STEPS) -> Tensor:
    """``Σ (x + k)^-power``, by Euler and Maclaurin's formula behind the first terms; of ``x`` above ``10 - steps``."""
    total: Tensor = sum(((x + number) ** -power for number in range(1, steps)), x**-power)
    far = x + steps
    total = total + far ** (1 - power) / (power - 1) + 0.5 * far**-power
    factor, term = float(power), far ** (-power - 1)
    for number, bernoulli in enumerate(BERNOULLI, 1):
        total = total + bernoulli / math.factorial(2 * number) * factor * term
        factor, term = factor * (power + 2 * number - 1) * (power + 2 * number), term / (far * far)
    return torch.where(x > 10 - steps, total, math.nan)


def erfinv(y: Tensor) -> Tensor:
    """``aten.erfinv``: Newton's steps from a first guess, in the tails with what is left to 1."""
    size = y.abs()
    w = -torch.log((1 - size) * (1 + size))
    near, tail = w - 2.5, w.sqrt() - 3
    guess = size * torch.where(w < 5, _polynomial(GILES_NEAR, near), _polynomial(GILES_TAIL, tail))
    for _ in range(3):
        excess = torch.where(size < 0.5, torch.erf(guess) - size, (1 - size) - torch.erfc(guess))
        step = excess * (math.sqrt(math.pi) / 2) * torch.exp(guess * guess)
        guess = guess - step / (1 + guess * step)
    ends = torch.where(size == 1, math.inf, math.nan)
    return torch.copysign(torch.where(size < 1, guess, ends), y)


GILES_NEAR = (
    *(2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087),
    *(-0.00125372503, -0.00417768164, 0.246640727, 1.50140941),
)
GILES_TAIL = (
    *(-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773),
    *(-0.0076224613, 0.00943887047, 1.00167406, 2.83297682),
)


def _polynomial(coefficients: tuple[float, ...], x: Tensor) -> Tensor:
    total = torch.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = total * x + coefficient
    return total


def ndtri(p: Tensor) -> Tensor:
    """``aten.special_ndtri``: the normal distribution's quantile."""
    small = torch.minimum(p, 1 - p)
    guess = torch.sqrt(-2 * torch.log(small))
    tail = guess - torch.log(2 * math.pi * guess * guess) / (2 * guess)
    first = torch.where(small > 0.02, math.sqrt(2) * erfinv(1 - 2 * small), tail)
    for _ in range(4):
        excess = small - 0.5 * torch.erfc(first / math.sqrt(2))
        step = -excess * math.sqrt(2 * math.pi) * torch.exp(0.5 * first * first)
        first = first + step / (1 - 0.5 * first * step)
    found = torch.where(small == 0, math.inf, first)
    return torch.where((p < 0) | (p > 1), math.nan, torch.where(p < 0.5, -found, found))


def _bessel(order: int, *, scaled: bool) -> Callable[[Tensor], Tensor]:
    """The modified one of the first kind, of order 0 or 1, ``scaled`` by ``exp(-|x|)``."""

    def found(x: Tensor) -> Tensor:
        size = x.abs()
        near, far = torch.clamp(size, max=JOINED), torch.clamp(size, min=JOINED)
        square, total = near * near / 4, torch.zeros_like(near)
        for number in reversed(range(TERMS)):
            total = 1 + total * square / ((number + 1) * (number + 1 + order))
        small = total * (near / 2 if order else 1.0)
        tail, term = torch.ones_like(far), torch.ones_like(far)
        for number in range(1, 25):
            term = -term * (4 * order * order - (2 * number - 1) ** 2) / (8 * number * far)
            tail = tail + term
        large = tail / torch.sqrt(2 * math.pi * far)
        ends = (small * torch.exp(-near), large) if scaled else (small, large * torch.exp(far))
        value = torch.where(size <= JOINED, *ends)
        return torch.copysign(value, x) if order else value

    return found


DECOMPOSITIONS: dict[Any, Callable[..., Tensor]] = {
    aten.lgamma.default: lgamma,
    aten.digamma.default: digamma,
    aten.polygamma.default: polygamma,
    aten.erfinv.default: erfinv,
    aten.special_ndtri.default: ndtri,
    aten.i0.default: _bessel(0, scaled=False),
    aten.special_i0e.default: _bessel(0, scaled=True),
    aten.special_i1.default: _bessel(1, scaled=False),
    aten.special_i1e.default: _bessel(1, scaled=True),
}
