"""Solvers of Julia's packages that do not solve every initial value problem as they stand, and why.

`test_every_solver` holds each entry to be true: the solver must fail as it stands, and work in the way given. What is
said of the packages was read in OrdinaryDiffEqCore 4.6 with the solver packages of its time (low-storage RK 3.2, SDIRK
2.7, low-order RK 2.2, Nordsieck 2.2, extrapolation 2.2, exponential RK 2.0), and seen in Julia without the bridge.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass

import torch

from pyode_bridge.errors import GradientWarning, UnsupportedError
from pyode_bridge.problem.forms import Delays, Noise
from pyode_bridge.problem.methods import Method
from pyode_bridge.problem.options import StepOptions
from pyode_bridge.problem.problem import Problem, Sensitivity


@dataclass(frozen=True)
class Limit:
    """Why a solver does not work as it stands.

    Attributes:
        reason: a sentence.
        works_with: what it works with, if there is anything.
        silent: whether its values are wrong without a word.
        mended: the version of the solver's package that it was seen to work in as it stands, if there is one.
    """

    reason: str
    works_with: str | None = None
    silent: bool = False
    mended: str | None = None

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
UNDEFINED = Limit(
    "The package uses names that OrdinaryDiffEqDifferentiation 3.2.3 has no longer: UndefVarError.", mended="2.5.1"
)
RATES = Limit("Needs dynamics that are split into a fast and a slow part.", "Split")
MICRO_STEPS = Limit(
    "Needs dynamics that are split into a fast and a slow part, and how many steps the fast one takes, as in m=4.",
    "Split and m=4",
)
WITHOUT_ESTIMATE = Limit(
    MICRO_STEPS.reason
    + " The package has no embedded method for it and takes the difference of its last stages for the "
    "error, which is as large as the step is long: steps become too many.",
    "Split, m=4 and fixed steps",
)
ADDITIVE = Limit(
    "For additive noise, which does not depend on the state: of other noise, its error estimate misses most.",
    "additive noise",
)
OVERWRITTEN = Limit(
    "To estimate the error of its steps, the package overwrites their noise: wrong values.", "fixed steps", silent=True
)
LINEAR_DRIFT = Limit("Needs a drift that is split into a linear part and the rest, which sdeint does not take.")
JUMPS = Limit("For jump processes, which pyode_bridge does not serve.")
RANDOM = Limit("For random ordinary equations, whose drift takes the noise, which pyode_bridge does not serve.")

# What is known of packages that have to be added, by the package.
OPTIONAL: dict[str, dict[str, Limit]] = {
    "GlobalDiffEq": {
        "GlobalRichardson": Limit(
            "Needs a solver as an argument, as in GlobalRichardson(Tsit5()), and a dt to begin with."
        ),
    },
    "OrdinaryDiffEqMultirate": {
        **_each("MREEF MRAB", RATES),
        **_each("MIS MRIGARKERK22a", WITHOUT_ESTIMATE),
        **_each("MRIGARKERK22b MRIGARKERK33a MRIGARKERK45a", MICRO_STEPS),
    },
    "OrdinaryDiffEqMultirateImplicit": {
        "MREIL": RATES,
        **_each("MRIGARKIRK21a MRIGARKESDIRK34a MRIGARKESDIRK46a", MICRO_STEPS),
    },
    "OrdinaryDiffEqNewmark": {
        "GeneralizedAlpha": Limit("Needs its parameters as arguments, as in GeneralizedAlpha(rho_inf=1.0)."),
    },
    "StochasticDiffEq": {
        **_each("SRA SRA1 SRA2 SRA3 SOSRA SOSRA2 SKenCarp PL1WMA", ADDITIVE),
        **_each("TauLeaping CaoTauLeaping ImplicitTauLeaping ThetaTrapezoidalTauLeaping", JUMPS),
        **_each("RandomEM RandomHeun RandomTamedEM", RANDOM),
        **_each("IIF1M IIF2M IIF1Mil", LINEAR_DRIFT),
        **_each("ISSEM ISSEulerHeun", OVERWRITTEN),
        "PL1WM": Limit("The package adds the noise of each component to all components: wrong values.", silent=True),
        "RI5": ESTIMATE,
        "BAOAB": Limit("For Langevin's equation, of positions and velocities, which sdeint does not take."),
        "PCEuler": Limit("Needs a function as an argument: the diffusion times its derivative."),
        "SplitEM": Limit("Needs a drift that is split into two parts, which sdeint does not take."),
        "StochasticCompositeAlgorithm": Limit("Needs solvers and a function that chooses between them as arguments."),
    },
}

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
    **{name: limit for limits in OPTIONAL.values() for name, limit in limits.items()},
}


def limit_of(name: str, version: str) -> Limit | None:
    """What is known to be wrong with a solver of that version of its package."""
    limit = LIMITED.get(name)
    if limit is None or (limit.mended and _numbers(version) >= _numbers(limit.mended)):
        return None
    return limit


def name_of(method: Method | str) -> str:
    """The name of the solver in an expression."""
    return str(method).split("(")[0]


def _numbers(version: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", version)[:3]]


# Solvers whose values are wrong, without a word, where the first step is given and too long.
LONG_STEPS = {
    "VCABM": "The package takes the derivative twice in steps of first order: the first one, and every fixed one.",
    "JVODE": "The package goes on wrongly after a first step that the error test rejects.",
}


def wrong_values(method: Method, options: StepOptions) -> list[str]:
    """What is to be said of a solver that is known to return wrong values without a word: nothing else would tell."""
    name, found = name_of(method), []
    limit = LIMITED.get(name)
    if limit is not None and limit.silent and options.adaptive is not False:
        found.append(f"{method}: {limit} Pass options={{'adaptive': False, 'dt': ...}}.")
    if name in LONG_STEPS and options.dt is not None:
        found.append(f"{method}: {LONG_STEPS[name]} Values are wrong; give no dt.")
    return found


def warn_of_wrong_values(method: Method, options: StepOptions) -> None:
    """Say it."""
    for what in wrong_values(method, options):
        warnings.warn(what, RuntimeWarning, stacklevel=5)


# Solvers whose values between their steps, which delayed terms take, are wrong: of y' = -y(t - 1), at tolerances of
# 1e-6, by 0.3 and by 0.07.
WRONG_WITH_DELAYS = ("AdaptiveRadau", "NordsieckBDF")


def refuse_unfit_delays(problem: Problem) -> None:
    """Refuse a solver whose values would be wrong with delays, without a word."""
    if not isinstance(problem.form, Delays):
        return
    methods = [problem.method] if problem.sensitivity is None else [problem.method, problem.sensitivity.method]
    used = {word for method in methods for word in re.findall(r"\w+", str(method))}
    named = [name for name in WRONG_WITH_DELAYS if name in used]
    if named:
        raise UnsupportedError(
            f"{named[0]} gives wrong values between its steps, which delayed terms take. Name another solver, such as "
            "'RadauIIA5' or 'FBDF'."
        )


# Kind of noise -> solvers that take it and give wrong values; those of Wang and Li also write past their memory.
WRONG_WITH = {
    "general": ["KomBurSROCK2", "TangXiaoSROCK2", *(f"WangLi3SMil_{letter}" for letter in "ABCDEF")],
    "scalar": ["DRI1", "IRI1", "RDI2WM", "RDI3WM", "RDI4WM", "RI1", "RI3", "RI5", "RI6", "RS1", "RS2"],
}


def refuse_unfit_noise(problem: Problem) -> None:
    """Refuse a stochastic solver where its values would be wrong: nobody could see it, since they are random."""
    form, method = problem.form, problem.method
    if not isinstance(form, Noise):
        return
    if name_of(method) in WRONG_WITH.get(form.kind, ()):
        raise UnsupportedError(
            f"{method} is wrong for {form.kind} noise. Name another solver, such as 'LambaEM' or 'EulerHeun'."
        )
    limit = LIMITED.get(name_of(method))
    if limit is None:
        return
    if limit is ADDITIVE and _depends_on_state(form, problem):
        raise UnsupportedError(
            f"{method} is for additive noise, and this diffusion depends on the state: values would be inaccurate. "
            "Name another solver, such as 'SOSRI', or 'LambaEM' for general noise."
        )
    if limit.silent and limit.works_with is None:
        raise UnsupportedError(f"{method}: {limit} Name another solver, such as 'SOSRI' or 'LambaEM'.")
    if limit.silent and problem.options.adaptive is not False:
        raise UnsupportedError(f"{method}: {limit} Pass options={{'adaptive': False, 'dt': ...}}.")


def _depends_on_state(noise: Noise, problem: Problem) -> bool:
    start, y0, dynamics = problem.t[0].item(), problem.y0, problem.dynamics
    here, elsewhere = (dynamics.part(noise.diffusion, start, y).clone() for y in (y0.clone(), y0 + 1))
    return not torch.equal(here, elsewhere)


def warn_of_misleading(sensitivity: Sensitivity, reason: str) -> None:
    """Warn where an adjoint is known to give a wrong gradient of the parameters without a word, and why."""
    others = "sensealg='InterpolatingAdjoint', or 'GaussAdjoint' with adjoint_method='Rodas5P'"
    if str(sensitivity.sensealg) == "DelayAdjoint":
        others = "adjoint_method='Vern7', or 'Rodas5P' where the equation is stiff"
    warnings.warn(
        f"{sensitivity.sensealg} with a backward solve by {sensitivity.method} may give a wrong gradient of the "
        f"parameters: {reason}. Choose {others}.",
        GradientWarning,
        stacklevel=6,
    )
