"""Programs at random: dynamics in some form, a state, times, and how they are solved."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from tests.hunt.draft import Draft
from tests.hunt.features import FEATURES
from tests.hunt.forms import FORMS

HEAD = "seed, dtype = {seed}, torch.{dtype}"
SHAPES = [(2,), (3,), (1, 2), (2, 2), (4,), (1,), ()]
SMALLER = [(2,), (1,), ()]  # of the other tensors of a state

# Solvers by family, those of the embedded engine and Julia's.
METHODS: dict[str, dict[str, list[str | None]]] = {
    "explicit": {
        "embedded": [None, "dopri5", "bosh3"],
        "julia": [None, "dopri5", "tsit5", "Vern7"],
    },
    "implicit": {
        "embedded": ["RadauIIA5"],
        "julia": ["Rodas5P", "KenCarp4", "FBDF"],
    },
    "fixed": {"embedded": ["euler", "midpoint", "rk4"], "julia": ["euler", "midpoint", "rk4"]},
}
SENSEALGS: dict[str, list[str | None]] = {
    "embedded": [None, None, "TorchAdjoint"],
    "julia": [None, None, "GaussAdjoint", "InterpolatingAdjoint", "QuadratureAdjoint", "BacksolveAdjoint"],
}


class _Pool(ThreadPoolExecutor):
    def __repr__(self) -> str:
        return "concurrent.futures.ThreadPoolExecutor(1)"


POOL = _Pool(1)


@dataclass(frozen=True)
class Program:
    """A program as text, and how it is solved.

    The text, after `head`, defines ``func``, ``y0``, ``t``, ``params`` (of an ensemble's members, or None), ``inputs``
    (tensors whose gradients are wanted) and ``loss`` of the values.

    Attributes:
        features: names of what it does.
        calls: ``"odeint"``, ``"solve_ensemble"`` or another of the package's functions.
        family: of the solver, a key of METHODS.
        turns: whether something begins or ends within the span, which long steps would miss.
        choices: random numbers that choose solvers and options.
    """

    seed: int
    body: str
    dtype: str
    features: tuple[str, ...]
    calls: str
    family: str
    turns: bool
    choices: tuple[int, ...]

    def head(self, seed: int | None = None, dtype: str | None = None) -> str:
        """What comes before the text: other numbers, or another precision, make no other code."""
        return HEAD.format(seed=self.seed if seed is None else seed, dtype=dtype or self.dtype)

    def arguments(self, engine: str, lane: str) -> dict[str, Any]:
        """Keyword arguments of the call."""
        first, second, third = self.choices
        methods, sensealgs = METHODS[self.family][engine], SENSEALGS[engine]
        found: dict[str, Any] = {"method": methods[first % len(methods)], "engine": engine, "lane": lane}
        if self.family == "fixed":
            if third % 2:
                found["options"] = {"step_size" if third % 4 == 1 else "dt": 0.1}
        else:
            found["rtol"], found["atol"] = (1e-5, 1e-6) if self.dtype == "float32" else (1e-6, 1e-8)
            found["options"] = {"dtmax": 0.05} if self.turns else None
            found["sensealg"] = sensealgs[second % len(sensealgs)]
            if found["sensealg"] == "TorchAdjoint" and self.family == "implicit":
                found["sensealg"] = "BacksolveAdjoint"
        if self.calls == "solve_ensemble" and engine == "embedded" and third % 4 == 0:
            found |= {"executor": POOL, "chunk_size": 1}
        return {name: value for name, value in found.items() if value is not None}

    def script(self, engine: str, lane: str) -> str:
        """A program to paste, which shows the gradients."""
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.arguments(engine, lane).items())
        params = ", params" if self.calls == "solve_ensemble" else ""
        of = ".y" if self.calls in ("solve_ensemble", "solve") else ""
        return "\n".join(
            [
                f"# Program {self.seed}: {', '.join(self.features)}.",
                "import concurrent.futures, torch",
                "import pyode_bridge as pb",
                self.head(),
                self.body,
                f"y = pb.{self.calls}(func, y0, t{params}, {arguments}){of}",
                "print(y, *torch.autograd.grad(loss(y), inputs, allow_unused=True), sep='\\n')",
            ]
        )


def program(seed: int, twice: bool = False) -> Program:
    """The program of a seed; ``twice`` has its loss depend on gradients."""
    rng = random.Random(seed)
    family = rng.choices(["explicit", "implicit", "fixed"], [6, 2, 2])[0]
    calls = rng.choices(["odeint", "solve", "odeint_adjoint", "solve_ensemble"], [5, 1, 1, 2])[0]
    if family == "fixed" and calls == "odeint_adjoint":
        calls = "odeint"  # the gradient of the steps is what is known
    end = 0.4 if rng.random() < 0.8 else -0.4
    draft = Draft(rng, rng.choice(SHAPES), start=0.1, end=round(0.1 + end, 1))
    names = [rng.choice(list(FEATURES)) for _ in range(rng.randint(1, 4))]
    ensemble = calls == "solve_ensemble"
    own = _of_member(draft) if ensemble else None
    for name in names:
        FEATURES[name](draft)
    draft.lines.insert(
        0, rng.choice(["d = -0.5 * y", "d = torch.sin(2 * y) - y", "d = t * torch.cos(y)", "d = y.neg()"])
    )
    state, makings = _state(draft, ensemble)
    form = rng.choice(list(FORMS))
    text = [
        *(f"import {name}" for name in sorted({*draft.imports, "functools"})),
        "import torch",
        "from torch import nn",
        "",
        "torch.manual_seed(seed)",
        *makings,
        *draft.makings,
        "",
        FORMS[form](draft, _lines(draft, state, own), ", p" if own else ""),
        "",
        _times(draft, family, ensemble),
        f"params = {own or None}",
        f"inputs = [{', '.join(draft.inputs)}]",
        "",
        _loss(rng, state, twice),
    ]
    dtype = rng.choices(["float64", "float32"], [4, 1])[0]
    features = (
        *names,
        form,
        state,
        calls,
        family,
        dtype,
        "backwards" if end < 0 else "forwards",
    )
    return Program(
        seed,
        "\n".join(text) + "\n",
        dtype,
        features,
        calls,
        family,
        draft.turns,
        tuple(rng.randrange(60) for _ in range(3)),
    )


STATES = ["tensor", "tuple", "tuple_of_one", "dict", "dict_in_other_order", "list"]


def _lines(draft: Draft, state: str, own: str | None) -> str:
    """The dynamics from the first line to the last."""
    after = {
        "tensor": "return d",
        "tuple": "return d, 0.3 * torch.cos(z) * y.sum()",
        "list": "return [d, 0.3 * torch.cos(z) * y.sum()]",
        "tuple_of_one": "return (d,)",
        "dict": 'return {"y": d, "z": 0.3 * torch.cos(z) * y.sum()}',
        "dict_in_other_order": 'return {"z": 0.3 * torch.cos(z) * y.sum(), "y": d}',
    }[state]
    lines = [UNPACKING[state], *draft.before, *draft.lines, after]
    if own:
        lines.insert(1, {"p": "own = p", "(p,)": "own = p[0]", '{"p": p}': 'own = p["p"]'}[own])
        lines.insert(-1, "d = d - 0.3 * own * y")
    return "\n".join(lines)


UNPACKING = {
    "tensor": "y = state", "tuple": "y, z = state", "list": "y, z = state", "tuple_of_one": "(y,) = state",
    "dict": 'y, z = state["y"], state["z"]', "dict_in_other_order": 'y, z = state["y"], state["z"]',
}  # fmt: skip


def _of_member(draft: Draft) -> str | None:
    """What each member of an ensemble has of its own, as an expression of the program's, or None."""
    form = draft.rng.choice([None, "p", "(p,)", '{"p": p}'])
    if form:
        draft.makings.append("p = torch.randn(2).to(dtype).requires_grad_()")
        draft.inputs.append("p")
    return form


def _state(draft: Draft, ensemble: bool) -> tuple[str, list[str]]:
    """Which form the state has, and the lines that make the initial one."""
    rng, state = draft.rng, draft.rng.choice(["tensor", "tensor", "tensor", *STATES])
    shape = (2, *draft.shape) if ensemble else draft.shape
    values = f"torch.randn({shape}).to(dtype)"
    makings = {
        "leaf": [f"start = {values}.requires_grad_()"],
        "plain": [f"start = {values}"],
        "computed": [f"origin = {values}.requires_grad_()", "start = torch.tanh(origin)"],
        "from_encoder": [
            "reader = nn.Linear(1, 1).to(dtype)",
            f"start = torch.tanh(reader({values}[..., None]))[..., 0]",
        ],
        "of_odd_strides": [
            f"origin = torch.randn({(2, *shape)}).to(dtype).movedim(0, -1).requires_grad_()",
            "start = origin[..., 0]",
        ],
        "expanded": ["origin = torch.randn(()).to(dtype).requires_grad_()", f"start = origin.expand({shape})"],
    }[kind := rng.choice(["leaf", "leaf", "leaf", "plain", "computed", "from_encoder", "of_odd_strides", "expanded"])]
    draft.inputs[:0] = {
        "leaf": ["start"], "plain": [], "from_encoder": ["start", "*reader.parameters()"],
    }.get(kind, ["start", "origin"])  # fmt: skip
    if state in ("tensor", "tuple_of_one"):
        return state, [*makings, "y0 = start" if state == "tensor" else "y0 = (start,)"]
    lead = (2,) if ensemble else ()
    makings.append(f"other = torch.randn({(*lead, *rng.choice(SMALLER))}).to(dtype).requires_grad_()")
    draft.inputs.append("other")
    made = {"tuple": "(start, other)", "list": "[start, other]"}.get(state, '{"y": start, "z": other}')
    return state, [*makings, f"y0 = {made}"]


def _times(draft: Draft, family: str, ensemble: bool) -> str:
    step = (draft.end - draft.start) / 4
    places = draft.rng.choice([(0, 4), (0, 1, 4), (0, 2, 3, 4)])
    values = [round(draft.start + step * place, 2) for place in places]
    kinds = ["torch.tensor({0}, dtype=dtype)"] * 3 + ["torch.tensor({0}, dtype=torch.float64)", "{0}"]
    if not draft.stops and family != "fixed":
        kinds += ["torch.tensor({0}, dtype=dtype, requires_grad=True)"] * 3
        kinds += ["span * torch.tensor({0}, dtype=dtype)"]
    text = draft.rng.choice(kinds)
    if "requires_grad" in text:
        draft.inputs.append("t")
    if "span" in text:
        draft.inputs += ["span", "t"]
        return f"span = torch.ones(()).to(dtype).requires_grad_()\nt = {text.format(values)}"
    return f"t = {text.format(values)}"


def _loss(rng: random.Random, state: str, twice: bool) -> str:
    """A function of the values; with ``twice``, of their gradients."""
    parts = {"tensor": "[y]", "dict": '[y["y"], y["z"]]', "dict_in_other_order": '[y["z"], y["y"]]'}.get(state, "y")
    pick = rng.choice(["part", "part", "part[-1]", "part[1:]"])
    weighted = f"(torch.linspace(0.5, 1.5, {pick}.numel()).to(dtype).reshape({pick}.shape) * {pick}).sum()"
    form = rng.choice([weighted, weighted, f"{pick}.square().sum()"])
    lines = [f"found = sum({form} for part in {parts})"]
    if twice:
        lines += [
            "grads = torch.autograd.grad(found, inputs, create_graph=True, allow_unused=True)",
            "found = sum(grad.abs().square().sum() for grad in grads if grad is not None)",
        ]
    return "\n    ".join(["def loss(y):", *lines, "return found"])
