"""What is far out on a tail, and tiny, is right to most of its digits: nothing cancels."""

import math

import pytest
import torch

from tests.compiled.running import Translated, compiled, traced, translated

POINTS = {
    torch.float64: [-37.0, -20.0, -8.3, -6.0, -1.0, -0.1, 0.0, 0.4, 0.9, 1.0, 3.0, 6.0, 8.3, 15.0, 26.0],
    torch.float32: [-12.5, -8.3, -6.0, -1.0, -0.1, 0.0, 0.4, 0.9, 1.0, 3.0, 6.0, 8.3, 9.1],
}
TOLERANCES = {torch.float64: 1e-12, torch.float32: 1e-6}


def below(x):
    """The normal distribution's probability below ``x``."""
    return math.erfc(-x / math.sqrt(2)) / 2


FUNCTIONS = {
    "erfc": (lambda t, y: torch.erfc(y), math.erfc),
    "gelu": (lambda t, y: torch.nn.functional.gelu(y), lambda x: x * below(x)),
    "log_ndtr": (
        lambda t, y: torch.special.log_ndtr(y),
        lambda x: math.log(below(x)) if x < 0 else math.log1p(-below(-x)),
    ),
    "erfcx": (lambda t, y: torch.special.erfcx(y), lambda x: math.exp(x * x) * math.erfc(x)),
}
CASES = [(name, dtype) for name in FUNCTIONS for dtype in POINTS]


def piece(name: str, dtype: torch.dtype) -> Translated:
    y = torch.tensor([x for x in POINTS[dtype] if x > -9 or name != "erfcx"], dtype=dtype)
    return translated("f", traced(FUNCTIONS[name][0], y), y, "loops")


@pytest.mark.parametrize(("name", "dtype"), CASES, ids=str)
def test_tails_are_translated_without_a_sum_that_cancels(name, dtype):
    text = piece(name, dtype).text
    assert "erf(" not in text
    assert {"gelu": "ndtr("}.get(name, f"{name}(") in text


@pytest.mark.julia
@pytest.mark.parametrize(("name", "dtype"), CASES, ids=str)
def test_tails_have_all_their_digits(name, dtype):
    made = piece(name, dtype)
    found = made.run(compiled([made])["f"])
    exact = torch.tensor([FUNCTIONS[name][1](x) for x in made.y.tolist()], dtype=torch.float64)
    torch.testing.assert_close(found.double(), exact, rtol=TOLERANCES[dtype], atol=0)
