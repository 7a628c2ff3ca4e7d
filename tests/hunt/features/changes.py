"""Changes in place."""

from __future__ import annotations

from tests.hunt.draft import Draft
from tests.hunt.features.registry import feature


@feature
def changes_temporary(draft: Draft) -> None:
    w, x = draft.parameter_like_y(), draft.name("x")
    change = draft.rng.choice(
        [f"{x}.sin_()", f"{x} *= ${w}", f"{x}.view(-1)[0] += ${w}.sum()", f"{x}.flatten()[:1].add_(1)"]
    )
    draft.line(f"{x} = y * 1.5\n{change}")
    draft.add(f"0.5 * torch.tanh({x})")


@feature
def changes_result(draft: Draft) -> None:
    w = draft.parameter_like_y()
    change = draft.rng.choice(
        [f"d += ${w} * y", "d.mul_(0.5)", f"d.view(-1)[0] -= ${w}.sum()", f"d[...] = d - 0.3 * ${w}"]
    )
    draft.line(change)


@feature
def fills_result(draft: Draft) -> None:
    w, x = draft.parameter(), draft.name("x")
    draft.line(
        f"{x} = torch.zeros_like(y).reshape(-1)\n{x}[0] = ${w} * y.sum()\n{x}[1:] = torch.sin(y.reshape(-1)[:-1])"
    )
    draft.add(f"{x}.reshape(y.shape)")


def _change(draft: Draft, changes: list[str]) -> None:
    """Change the argument before anything else is done with it, and once: autograd may need what it was."""
    if not any("y" in line for line in draft.before):
        draft.before.append(draft.rng.choice(changes))


@feature
def changes_argument(draft: Draft) -> None:
    w = draft.parameter()
    _change(draft, ["y.mul_(0.9)", f"y += 0.3 * ${w}", "y[...] = 0.5 * y", f"y.mul_(${w})", "y.tanh_()"])


@feature
def changes_part_of_argument(draft: Draft) -> None:
    w = draft.parameter()
    _change(draft, [f"y.view(-1)[:1].add_(0.3 * ${w})", "y.view(-1)[0] = 0.5", "y.flatten()[0].sin_()"])


@feature
def activation_in_place(draft: Draft) -> None:
    n = draft.size
    net = draft.module(f"nn.Sequential(nn.ELU(inplace=True), nn.Linear({n}, {n}), nn.Tanh())")
    _change(draft, [f"first = ${net}(y.reshape(-1)).reshape(y.shape)"])
    draft.add(f"${net}(y.clone().reshape(-1)).reshape(y.shape)")
    if "first" in draft.before[-1]:
        draft.add("first")


@feature
def changes_time(draft: Draft) -> None:
    w = draft.parameter()
    draft.before.append("t.mul_(2)")
    draft.add(f"${w} * torch.sin(t) * y")


@feature
def scratch(draft: Draft) -> None:
    """A tensor from outside that each evaluation writes first and reads then."""
    c = draft.constant(f"torch.zeros({draft.size}).to(dtype)")
    draft.stops = True
    draft.line(f"${c}.copy_(torch.sin(y.detach()).reshape(-1))")
    draft.add(f"0.5 * ${c}.clone().reshape(y.shape)")
