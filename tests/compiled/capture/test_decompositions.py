"""What operations are taken apart into computes the same; torch is the judge, no Julia takes part."""

import random

import pytest
import torch

from pyode_bridge.compiled.capture.decompositions.convolutions import convolution, convolution_backward
from pyode_bridge.compiled.capture.decompositions.table import (
    Decomposing,
    cumsum,
    gelu_backward,
    shrink_backward,
)
from tests.problems import DOUBLE

aten = torch.ops.aten


def some_convolution(draws, rank):
    """Input, weight, bias and settings as ``aten.convolution`` takes them."""
    groups, channels, features = draws.choice([1, 1, 2, 3]), draws.randint(1, 2), draws.randint(1, 2)
    kernel, stride = ([draws.randint(1, 3) for _ in range(rank)] for _ in range(2))
    padding, dilation = [draws.randint(0, 2) for _ in range(rank)], [draws.randint(1, 2) for _ in range(rank)]
    transposed = draws.random() < 0.4
    output_padding = [min(draws.randint(0, 2), step - 1) if transposed else 0 for step in stride]
    input = torch.randn(2, groups * channels, *(draws.randint(5, 7) for _ in range(rank)), dtype=DOUBLE)
    across = (groups * channels, features) if transposed else (groups * features, channels)
    weight = torch.randn(*across, *kernel, dtype=DOUBLE)
    bias = torch.randn(groups * features, dtype=DOUBLE) if draws.random() < 0.5 else None
    return (input, weight, bias), (stride, padding, dilation, transposed, output_padding, groups)


@pytest.mark.parametrize("rank", [1, 2, 3])
@pytest.mark.parametrize("seed", range(12))
def test_convolutions_and_their_gradients(rank, seed):
    tensors, settings = some_convolution(random.Random(seed), rank)
    expected = aten.convolution(*tensors, *settings)
    torch.testing.assert_close(convolution(*tensors, *settings), expected)
    rest = (torch.randn_like(expected), *tensors[:2], [expected.shape[1]], *settings, [True, True, True])
    for found, true in zip(convolution_backward(*rest), aten.convolution_backward(*rest), strict=True):
        torch.testing.assert_close(found, true)


def test_gradients_that_are_not_wanted_are_left_out():
    (input, weight, _), settings = some_convolution(random.Random(0), 2)
    grad = torch.randn_like(aten.convolution(input, weight, None, *settings))
    assert convolution_backward(grad, input, weight, None, *settings, [False, False, False]) == (None, None, None)


@pytest.mark.parametrize("approximate", ["none", "tanh"])
def test_the_derivative_of_gelu(approximate):
    grad, input = torch.randn(50, dtype=DOUBLE), torch.linspace(-5, 5, 50, dtype=DOUBLE)
    expected = aten.gelu_backward(grad, input, approximate=approximate)
    torch.testing.assert_close(gelu_backward(grad, input, approximate=approximate), expected, rtol=1e-9, atol=1e-12)


def test_the_derivative_of_gelu_far_to_the_left():
    """By the asymptotic series of the complementary error function."""
    x = torch.tensor([-12.0, -20.0, -30.0], dtype=DOUBLE)
    series = x - 1 / x + 1 / x**3 - 3 / x**5 + 15 / x**7 - 105 / x**9
    exact = torch.exp(-(x**2) / 2) / (2 * torch.pi) ** 0.5 * series
    torch.testing.assert_close(gelu_backward(torch.ones(3, dtype=DOUBLE), x), exact, rtol=1e-7, atol=0)


@pytest.mark.parametrize(("shape", "dim"), [((7,), 0), ((3, 5, 2), 1), ((3, 1), -1), ((), 0), ((2, 0), 1)])
@pytest.mark.parametrize("dtype", [DOUBLE, torch.int64, torch.bool])
def test_cumulative_sums(shape, dim, dtype):
    tensor = torch.randn(shape).mul(3).to(dtype)
    torch.testing.assert_close(cumsum(tensor, dim), aten.cumsum(tensor, dim))


@pytest.mark.parametrize("operation", [aten.hardshrink_backward, aten.softshrink_backward])
def test_derivatives_of_functions_that_shrink(operation):
    input = torch.tensor([-2, -1, -0.5, 0, 0.5, 1, 2, torch.inf, torch.nan], dtype=DOUBLE)
    grad = torch.randn(9, dtype=DOUBLE)
    torch.testing.assert_close(shrink_backward(grad, input, 0.5), operation(grad, input, 0.5))


def test_a_jacobian_of_many_rows_is_compared() -> None:
    """torch takes ``eye`` apart into numbers of 16 bits, which it cannot count in, from 256 rows on."""
    with Decomposing():
        assert torch.equal(torch.eye(300), torch.ones(300).diag())
