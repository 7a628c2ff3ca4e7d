"""What a solver's return code means and what to do about it."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from pyode_bridge.errors import SolverError
from pyode_bridge.problem.problem import Gradients, Problem, Sensitivity

# The codes are those of SciMLBase.ReturnCode; both engines speak them.
ADVICE = {
    "MaxIters": "The maximum number of steps was reached. Raise it with options={'maxiters': ...}, loosen the "
    "tolerances, or use a stiff solver such as 'Rodas5P' or 'FBDF'.",
    "DtLessThanMin": "The step size fell below the smallest that time can resolve: the solution blows up there, or "
    "the problem is stiff and needs an implicit solver such as 'Rodas5P' or 'FBDF'.",
    "DtNaN": "The step size became NaN, because the dynamics returned NaN or Inf.",
    "Unstable": "The solution became NaN, Inf or unboundedly large: it diverges, or the step is too large for the "
    "method. Check the dynamics at that time, tighten the tolerances or use an implicit solver.",
    "InitialFailure": "The initial state is inconsistent.",
    "ConvergenceFailure": "The nonlinear solve of an implicit step did not converge. Check that the dynamics are "
    "smooth, or use a Rosenbrock method such as 'Rodas5P'.",
    "Failure": "The solver gave up.",
}

UNSTABLE_BACKWARDS = (
    "Stiff or chaotic dynamics are unstable backwards in time: choose 'InterpolatingAdjoint' or 'GaussAdjoint' (on the "
    "Julia engine), 'TorchAdjoint' (on the embedded one), or closer times t, at each of which the state is restored."
)

SUCCESS = frozenset({"Success", "Terminated"})
FRUITLESS = ("MaxIters", "DtLessThanMin", "ConvergenceFailure")  # how a solve ends that cannot be as accurate as asked
ROUNDINGS = 8  # of the relative size of rounding errors: no solver does much better


def raise_for_retcode(
    retcode: str, s: float, problem: Problem, algorithm: str, backward: Sensitivity | None = None
) -> None:
    """Raise `SolverError`, in the user's time, unless ``retcode`` stands for a complete solve.

    Args:
        retcode: how the solve ended.
        s: the time that it reached.
        problem: what was solved.
        algorithm: by what.
        backward: of a backward solve, how it computed gradients; its sensitivity algorithm is named.
    """
    if retcode in SUCCESS:
        return
    direction = problem.dynamics.direction
    t, t_end = map(direction.user_time, (s, problem.t[-1 if backward is None else 0].item()))
    advice = ADVICE.get(retcode, "See SciMLBase.ReturnCode for its meaning.")
    what = algorithm
    if backward is not None:
        what = f"The backward solve of {backward.sensealg} by {algorithm}"
        advice = advice.replace("options=", "adjoint_options=")
        if str(backward.sensealg).startswith("BacksolveAdjoint"):
            advice += f" {UNSTABLE_BACKWARDS}"
    if retcode in FRUITLESS:
        bounds, name = (problem.tolerances, "rtol") if backward is None else (backward.tolerances, "adjoint_rtol")
        advice += _too_tight(float(torch.as_tensor(bounds.rtol).min()), problem.y0.dtype, name)
    message = f"{what} stopped at t = {t:.6g}, before t = {t_end:.6g}, with retcode {retcode}. {advice}"
    raise SolverError(message, retcode=retcode, t=t, algorithm=algorithm)


def too_many_events(t: float, t_end: float, most: int, where: str = "") -> SolverError:
    """What is raised where more events happen than may; ``where`` begins the message."""
    return SolverError(
        f"{where}{most} events happened before t = {t:.6g}, and more follow before t = {t_end:.6g}: they pile up, or "
        "max_events is too small.",
        retcode="MaxEvents",
        t=t,
        algorithm="events",
    )


def checked(gradients: Gradients, grad_ys: Tensor, problem: Problem, sensealg: str) -> Gradients:
    """The gradients; raises SolverError where they are NaN or Inf, and those of the loss, ``grad_ys``, are not."""
    if gradients.are_finite or all(map(_is_finite, gradients[:2])) or not _is_finite(grad_ys):
        return gradients
    message = (
        f"The backward solve of {sensealg} gave NaN or Inf, though the gradient of the loss by the values is finite: "
        "the derivative of func is not, somewhere on the way. torch.autograd.set_detect_anomaly(True) with "
        "lane='callback' says where."
    )
    t = problem.dynamics.direction.user_time(problem.t[0].item())
    raise SolverError(message, retcode="Unstable", t=t, algorithm=str(problem.method))


def _is_finite(tensor: Tensor) -> bool:
    return math.isfinite(tensor.sum().item()) or bool(tensor.isfinite().all())  # a sum of large numbers overflows


def _too_tight(rtol: float, dtype: torch.dtype, name: str) -> str:
    """A sentence about a tolerance that the dtype is too coarse for, or an empty string."""
    precision = torch.finfo(dtype).eps
    if rtol >= ROUNDINGS * precision:
        return ""
    return (
        f" {name}={rtol:.2g} is less than {dtype} can hold, whose numbers are {precision:.2g} apart: raise it to "
        f"{100 * precision:.0e} or more, or solve in torch.float64."
    )
