"""pydiffsol: the same problems in its language DiffSL, which it compiles by LLVM."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from torch import Tensor

from .cases import Case
from .entry import Entry, SkipError
from .needs import need

MOST_WEIGHTS = 150_000  # that are written out in the code: more take it minutes to compile


def unknowns(names: str, y0: Tensor) -> str:
    """The state by the names of its components."""
    return f"u_i {{ {', '.join(f'{name} = {value!r}' for name, value in zip(names, y0.tolist(), strict=True))} }}"


def lotka_volterra(case: Case) -> str:
    return unknowns("xy", case.y0) + "F_i { 1.5 * x - x * y, x * y - 3 * y }"


def lorenz(case: Case) -> str:
    return unknowns("xyz", case.y0) + "F_i { 10 * (y - x), x * (28 - z) - y, x * y - 8 / 3 * z }"


def rober(case: Case) -> str:
    return (
        unknowns("xyz", case.y0)
        + """
        slow { 0.04 * x - 1e4 * y * z }
        fast { 3e7 * y * y }
        F_i { -slow, slow - fast, fast }
    """
    )


def hires(case: Case) -> str:
    return (
        unknowns("abcdefgh", case.y0)
        + """
        seventh { 280 * f * h - 1.81 * g }
        F_i {
            -1.71 * a + 0.43 * b + 8.32 * c + 0.0007,
            1.71 * a - 8.75 * b,
            -10.03 * c + 0.43 * d + 0.035 * e,
            8.32 * b + 1.71 * c - 1.12 * d,
            -1.745 * e + 0.43 * (f + g),
            -280 * f * h + 0.69 * d + 1.71 * e - 0.43 * f + 0.69 * g,
            seventh,
            -seventh,
        }
    """
    )


def brusselator(case: Case) -> str:
    """All of the first substance before all of the second, since a slice has no stride."""
    n = len(case.y0) // 2
    coupling = (n + 1) ** 2 / 50
    return f"""
        p_i {{ {listed(case.y0[0::2])} }}
        q_i {{ {listed(case.y0[1::2])} }}
        A_ij {{ (0..{n}, 0..{n}): -2.0, (0..{n - 1}, 1..{n}): 1.0, (1..{n}, 0..{n - 1}): 1.0 }}
        ends_i {{ (0): 1.0, (1:{n - 1}): 0.0, ({n - 1}): 1.0 }}
        u_i {{ (0:{n}): x = p_i, ({n}:{2 * n}): y = q_i }}
        g_i {{ A_ij * x_j }}
        h_i {{ A_ij * y_j }}
        F_i {{
            1 + x_i * x_i * y_i - 4 * x_i + {coupling} * (g_i + ends_i),
            3 * x_i - x_i * x_i * y_i + {coupling} * (h_i + 3 * ends_i),
        }}
    """


def mlp(case: Case) -> str:
    return network(case, "z_i { u_i }")


def spiral(case: Case) -> str:
    return network(case, "z_i { u_i * u_i * u_i }")


def network(case: Case, layer_input: str) -> str:
    """The weights are written out: a matrix whose rows are parameters takes many times as long to compile."""
    if case.y0.numel() != case.y0.shape[-1]:
        raise SkipError("its state is a vector, and a batch would be written out sample by sample")
    w1, b1, w2, b2 = case.weights
    if w1.numel() + w2.numel() > MOST_WEIGHTS:
        raise SkipError("its language takes matrices as written numbers, and minutes to compile so many")
    return f"""
        v_ij {{ {matrix(w1)} }}
        b_i {{ {listed(b1)} }}
        w_ij {{ {matrix(w2)} }}
        c_i {{ {listed(b2)} }}
        u_i {{ {listed(case.y0.flatten())} }}
        {layer_input}
        inner_i {{ v_ij * z_j }}
        h_i {{ tanh(inner_i + b_i) }}
        outer_i {{ w_ij * h_j }}
        F_i {{ outer_i + c_i }}
    """


def listed(values: Iterable[Any]) -> str:
    return ", ".join(repr(float(value)) for value in values)


def matrix(values: Tensor) -> str:
    return ", ".join(f"({i}, {j}): {value!r}" for i, row in enumerate(values.tolist()) for j, value in enumerate(row))


CODES: dict[str, Callable[[Case], str]] = {
    code.__name__: code for code in (lotka_volterra, lorenz, rober, hires, brusselator, mlp, spiral)
}


def entry(case: Case) -> Entry:
    need("pydiffsol")
    if case.kind == "ensemble":
        raise SkipError("it solves one trajectory at a time")
    if case.kind == "training":
        raise SkipError("its adjoint is further off than others at the tolerances of training")
    code, name = CODES[case.side.__name__](case), "bdf" if case.stiff else "tsit45"
    sparse = case.side.__name__ == "brusselator"
    no_parameters, times = np.array([]), case.t.numpy()

    @functools.cache
    def compiled() -> Any:
        import pydiffsol

        ode = pydiffsol.Ode(
            code,
            scalar_type=pydiffsol.f64 if case.y0.dtype.itemsize == 8 else pydiffsol.f32,
            matrix_type=pydiffsol.faer_sparse if sparse else pydiffsol.nalgebra_dense,
            ode_solver=getattr(pydiffsol, name),
        )
        ode.rtol, ode.atol = case.rtol, case.atol
        return ode

    def last() -> Any:
        end = compiled().solve_dense(no_parameters, times).ys[:, -1]
        return end.reshape(2, -1).T if sparse else end

    return Entry(name, last)
