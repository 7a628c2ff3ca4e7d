"""The adjoint of the paper: one augmented system, solved backwards (Chen et al. 2018, section 2 and appendix C).

Its state is ``[y, a, g]``, flat, with ``a = dL/dy`` and ``g = dL/dθ``. Whoever uses it says how the products in it are
computed and how it is solved:

- the embedded engine by `Dynamics`, without a graph;
- second derivatives (`derivatives.adjoint_system`) by `Dynamics` with a graph, and by a solve that is a node of it;
- torch's transforms (`derivatives.flow`) by `torch.func`, and by a solve that they go through. A transform does not
  see through a graph of autograd, and takes pure functions alone, which not all dynamics can be made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pyode_bridge.problem.mismatch import Mismatch, warn_of_worst
from pyode_bridge.problem.problem import Gradients, Sensitivity

# ``f(y), vᵀ ∂f/∂y, vᵀ ∂f/∂θ`` of a state and a vector ``v``, each flat; the last in any number of parts.
Products = Callable[[Tensor, Tensor], tuple[Tensor, ...]]


def augmented(z: Tensor, n: int, products: Products) -> Tensor:
    """``d[y, a, g]/dt = [f, -aᵀ ∂f/∂y, -aᵀ ∂f/∂θ]`` (eqs. 4 and 5) at ``z``, where ``y`` has ``n`` components."""
    return torch.cat(products(z[:n], -z[n : 2 * n]))


def swept_back(
    ys: Tensor,
    grad_ys: Tensor,
    times: Sequence[float],
    parameter_size: int,
    solved_to: Callable[[int, Tensor], Tensor],
    sensitivity: Sensitivity,
    sensealg: str,
) -> Gradients:
    """Solve from each saved time back to the one before; memory does not grow with the number of steps.

    At each saved time ``y`` is set to the value there, and that time's loss gradient is added to ``a``. Where ``y``
    does not arrive at the value before, a `GradientWarning` says so, in the name of ``sensealg``.

    Args:
        ys: values at the times, shape ``(T, n)``.
        grad_ys: loss gradients with respect to them, ``(T, n)``.
        times: the user's, for the warning.
        parameter_size: length of ``g``.
        solved_to: the augmented state at the time of an index, from that at the next one.
        sensitivity: how it is solved.
        sensealg: what solves it.
    """
    n = ys.shape[1]
    a, g = grad_ys[-1], ys.new_zeros(parameter_size)
    mismatches = []
    for i in range(len(times) - 2, -1, -1):
        y, a, g = solved_to(i, torch.cat([ys[i + 1], a, g])).tensor_split([n, 2 * n])
        mismatches.append(Mismatch.between(times[i], y, ys[i]))
        a = a + grad_ys[i]
    warn_of_worst(mismatches, sensitivity, sensealg)
    return Gradients(a, g)
