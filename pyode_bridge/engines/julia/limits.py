"""Solvers of Julia's packages that do not solve every initial value problem as they stand, and why.

`test_every_solver` holds each entry to be true: the solver must fail as it stands, and work in the way given. What is
said of the packages was read in OrdinaryDiffEqCore 4.6 with the solver packages of its time (low-storage RK 3.2, SDIRK
2.7, low-order RK 2.2, Nordsieck 2.2, extrapolation 2.2, exponential RK 2.0), and seen in Julia without the bridge.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

from pyode_bridge.errors import GradientWarning
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import Sensitivity


@dataclass(frozen=True)
class Limit:
    """Why a solver does not work as it stands.

    Attributes:
        reason: a sentence.
        works_with: what it works with, if there is anything.
        silent: whether its values are wrong without a word.
    """

    reason: str
    works_with: str | None = None
    silent: bool = False

    def __str__(self) -> str:
        return self.reason + (f" Works with {self.works_with}." if self.works_with else "")


def _each(names: str, limit: Limit) -> dict[str, Limit]:
    return dict.fromkeys(names.split(), limit)


LINEAR = Limit("Solves dy/dt = A(t, y) y alone, by its matrix.", "Quasilinear")
SPLIT = Limit("Needs dynamics that are split into two parts.", "Split")
SEMILINEAR = Limit(
    "Needs dynamics that are split into a matrix and the rest, or krylov=true, which takes the Jacobian for the matrix "
    "and is for autonomous dynamics.",
    "krylov=true",
)
AUTONOMOUS = Limit(
    "Linearises by the Jacobian alone: of first order, and inaccurate, where the dynamics depend on time explicitly.",
    "autonomous dynamics",
)
ABSCISSA = Limit(
    "The package evaluates the second stage at the wrong time (c2 is gamma, where the row of its tableau sums to "
    "2 gamma): of first order where the dynamics depend on time explicitly.",
    "autonomous dynamics",
)
ESTIMATE = Limit(
    "The package takes the weights of the embedded method for their differences from the method's own, or has none: "
    "its error estimate does not vanish with the step, and steps become too many.",
    "fixed steps",
)
NOT_REWOUND = Limit(
    "After a step that the error test rejects, the package goes on from the rejected history: wrong values.",
    "fixed steps",
    silent=True,
)
NOT_RESET = Limit(
    "After a rejected step the package goes on from the rejected state: wrong values, with the retcode Success.",
    "fixed steps",
    silent=True,
)
COEFFICIENTS = Limit("A coefficient of the package's tableau is wrong (sum b c is 0.55, not 1/2): of first order.")
UNDEFINED = Limit("The package uses names that OrdinaryDiffEqDifferentiation 3.2.3 has no longer: UndefVarError.")

LIMITED: dict[str, Limit] = {
    **_each("CG2 CG3 CG4a LieEuler LieRK4 LinearExponential RKMK2 RKMK4", LINEAR),
    **_each("MagnusAdapt4 MagnusGL4 MagnusGL6 MagnusGL8 MagnusGauss4 MagnusLeapfrog MagnusMidpoint", LINEAR),
    **_each("MagnusNC6 MagnusNC8", LINEAR),
    "CayleyEuler": Limit("Solves flows of a matrix, Y' = A(Y) Y - Y A(Y), alone."),
    **_each("CNAB2 CNLF2 IRKC SplitEuler", SPLIT),
    "ETD2": Limit("Needs dynamics that are split into a matrix and the rest.", "Split(matrix, f)"),
    "SBDF": Limit("Needs dynamics that are split into two parts, and its order as an argument, as in SBDF(2)."),
    **_each("ETD1 NorsettEuler LawsonEuler ETDRK2 ETDRK3 ETDRK4 HochOst4", SEMILINEAR),
    **_each("EPIRK4s3A EPIRK4s3B EPIRK5s3 Exp4", AUTONOMOUS),
    **_each("Kvaerno3 Kvaerno4", ABSCISSA),
    "SSPSDIRK2": Limit("Of first order where the dynamics depend on time explicitly.", "autonomous dynamics"),
    **_each("Alshina2 Alshina3 FRK65 PFRK87 IMEXSSP222 IMEXSSP2322 IMEXSSP3332", ESTIMATE),
    **_each("ARS222 ARS232", ESTIMATE),
    **_each("SIR54 SSPRK932 SSPRKMSVS32 SSPRKMSVS43", ESTIMATE),
    "AN5": NOT_REWOUND,
    **_each("CKLLSRK43_2 CKLLSRK54_3C_3R CKLLSRK54_3M_3R CKLLSRK54_3M_4R CKLLSRK54_3N_3R CKLLSRK54_3N_4R", NOT_RESET),
    **_each("CKLLSRK65_4M_4R CKLLSRK75_4M_5R CKLLSRK85_4C_3R CKLLSRK85_4FM_4R CKLLSRK85_4M_3R", NOT_RESET),
    **_each("CKLLSRK85_4P_3R CKLLSRK95_4C CKLLSRK95_4M CKLLSRK95_4S", NOT_RESET),
    "CKLLSRK54_3C": COEFFICIENTS,
    "ImplicitDeuflhardExtrapolation": UNDEFINED,
    "ImplicitEulerBarycentricExtrapolation": UNDEFINED,
    "ImplicitEulerExtrapolation": UNDEFINED,
    "ImplicitHairerWannerExtrapolation": UNDEFINED,
    "KenCarp58": Limit("Behind a steep front its error is ten thousand times the tolerance.", "fixed steps"),
    "RKV76IIa": Limit("Takes very many steps, and is unstable with fixed ones: the package's coefficients seem wrong."),
    "HybridExplicitImplicitRK": Limit("Needs a tableau and its order as arguments; Tsit5DA is it with one."),
}


# Solvers whose values are wrong, without a word, where the first step is given and too long.
LONG_STEPS = {
    "VCABM": "The package takes the derivative twice in steps of first order: the first one, and every fixed one.",
    "JVODE": "The package goes on wrongly after a first step that the error test rejects.",
}


def warn_of_wrong_values(method: Method, options: StepOptions) -> None:
    """Warn where a solver is known to return wrong values without a word: nothing else would tell."""
    name = str(method).split("(")[0]
    limit = LIMITED.get(name)
    if limit is not None and limit.silent and options.adaptive is not False:
        warnings.warn(f"{method}: {limit} Pass options={{'adaptive': False, 'dt': ...}}.", RuntimeWarning, stacklevel=5)
    if name in LONG_STEPS and options.dt is not None:
        warnings.warn(f"{method}: {LONG_STEPS[name]} Values are wrong; give no dt.", RuntimeWarning, stacklevel=5)


def warn_of_misleading(sensitivity: Sensitivity, reason: str) -> None:
    """Warn where an adjoint is known to give a wrong gradient of the parameters without a word, and why."""
    warnings.warn(
        f"{sensitivity.sensealg} with a backward solve by {sensitivity.method} may give a wrong gradient of the "
        f"parameters: {reason}. Choose sensealg='InterpolatingAdjoint', or 'GaussAdjoint' with "
        "adjoint_method='Rodas5P'.",
        GradientWarning,
        stacklevel=6,
    )
