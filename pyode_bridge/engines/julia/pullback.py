"""The backward solve of one problem: SciMLSensitivity's adjoint."""

from __future__ import annotations

from typing import Any, NamedTuple

from torch import Tensor

from pyode_bridge.engines.julia.ends import check_end
from pyode_bridge.engines.julia.plan import Backward, Plan
from pyode_bridge.engines.julia.translation import julia_errors
from pyode_bridge.problem.mismatch import Mismatch, warn_of_mismatch
from pyode_bridge.problem.problem import AdjointStats, Gradients


class PullbackRequest(NamedTuple):
    """What `pull_back` takes, in its order; arrays by their addresses."""

    solved: Any
    grads: Any
    dy0: Any
    size: int
    dp: Any
    algorithm: Any
    sensealg: Any
    atol: Any
    rtol: Any
    control: Any


class JuliaPullback:
    """The pullback of one solve.

    Args:
        bridge: the Julia package.
        plan: of the solve.
        backward: how it plans to compute gradients.
        solved: Julia's solution.
    """

    def __init__(self, bridge: Any, plan: Plan, backward: Backward, solved: Any) -> None:
        self.sensealg, self.reason = str(backward.sensitivity.sensealg), backward.reason
        self.stats: AdjointStats | None = None
        self._bridge, self._plan, self._backward, self._solved = bridge, plan, backward, solved
        plan.callbacks.compute_jointly(backward.joint_products)

    def __call__(self, grad_ys: Tensor) -> Gradients:
        """Gradients for loss gradients ``grad_ys`` of shape ``(T, n)``."""
        dynamics = self._plan.problem.dynamics
        nfe, nvjp = dynamics.nfe, dynamics.nvjp
        dy0 = grad_ys.new_empty(dynamics.size)
        dp = grad_ys.new_empty(dynamics.parameter_size)
        self._pull_back(grad_ys.contiguous(), dy0, dp)
        self.stats = AdjointStats(dynamics.nfe - nfe, dynamics.nvjp - nvjp)
        return Gradients(dy0, dp)

    def _pull_back(self, grads: Tensor, dy0: Tensor, dp: Tensor) -> None:
        """Write the gradients."""
        bridge, backward, problem = self._bridge, self._backward, self._plan.problem
        sensitivity = backward.sensitivity
        request = PullbackRequest(
            solved=self._solved,
            grads=bridge.reads(grads),
            dy0=bridge.writes(dy0),
            size=len(dy0),
            dp=bridge.writes(dp),
            algorithm=backward.algorithm,
            sensealg=backward.sensealg,
            atol=sensitivity.tolerances.atol,
            rtol=sensitivity.tolerances.rtol,
            control=backward.control,
        )
        with self._plan.callbacks.raised(), julia_errors(self.sensealg):
            retcode, s, error, size = bridge.pull_back(*request)
        check_end(retcode, s, problem, str(sensitivity.method), sensitivity)
        t = problem.dynamics.direction.user_time(s)
        warn_of_mismatch(Mismatch(t, error, size), sensitivity, self.sensealg)
