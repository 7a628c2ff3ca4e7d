"""What a solver's return code means and what to do about it."""

from __future__ import annotations

from pyode_bridge.errors import SolverError

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


def raise_for_retcode(retcode: str, *, t: float, t_end: float, algorithm: str, sensealg: str | None = None) -> None:
    """Raise `SolverError` unless ``retcode`` stands for a complete solve, or backward solve of a ``sensealg``."""
    if retcode in SUCCESS:
        return
    advice = ADVICE.get(retcode, "See SciMLBase.ReturnCode for its meaning.")
    what = algorithm
    if sensealg is not None:
        what = f"The backward solve of {sensealg} by {algorithm}"
        advice = advice.replace("options=", "adjoint_options=")
        if sensealg.startswith("BacksolveAdjoint"):
            advice += f" {UNSTABLE_BACKWARDS}"
    message = f"{what} stopped at t = {t:.6g}, before t = {t_end:.6g}, with retcode {retcode}. {advice}"
    raise SolverError(message, retcode=retcode, t=t, algorithm=algorithm)
