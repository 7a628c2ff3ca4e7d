"""Ways through a program."""

from __future__ import annotations

from tests.hunt.draft import Draft
from tests.hunt.features.registry import feature


@feature
def later_parameter(draft: Draft) -> None:
    condition, weight = draft.later
    w = draft.parameter_like_y()
    draft.line(f"if {condition}:\n    d = d + {weight} * ${w} * torch.cos(y)")


@feature
def later_context(draft: Draft) -> None:
    condition, weight = draft.later
    w, made = draft.name("w"), draft.name("context")
    draft.makings += [f"{w} = torch.randn(()).to(dtype).requires_grad_()", f"{made} = 2 * {w} + 1"]
    draft.things.append(made)
    draft.inputs += [w, made]
    draft.line(f"if {condition}:\n    d = d + {weight} * ${made} * torch.cos(y)")


@feature
def later_module(draft: Draft) -> None:
    condition, weight = draft.later
    net = draft.module(f"nn.Linear({draft.size}, {draft.size})")
    draft.line(f"if {condition}:\n    d = d + {weight} * torch.tanh(${net}(y.reshape(-1))).reshape(y.shape)")


@feature
def earlier_parameter(draft: Draft) -> None:
    condition, weight = draft.later
    w = draft.parameter_like_y()
    draft.line(f"if not ({condition}):\n    d = d - {weight} * ${w} * torch.cos(y)")


@feature
def one_parameter_after_another(draft: Draft) -> None:
    condition, weight = draft.later
    first, second = draft.parameter(), draft.parameter()
    draft.line(f"rate = ${first} if {condition} else ${second}")
    draft.add(f"{weight} * rate * torch.cos(y)")


@feature
def branch_on_state(draft: Draft) -> None:
    w = draft.parameter()
    draft.line(f"x = torch.tanh(y.sum()) ** 2\nif y.sum() > 0:\n    d = d + ${w} * x\nelse:\n    d = d - 0.5 * x")


@feature
def branch_on_structure(draft: Draft) -> None:
    w = draft.parameter()
    draft.line(f"if y.ndim and len(y) > 1:\n    d = d + ${w} * torch.sin(y)\nelse:\n    d = d - ${w}")


@feature
def branch_on_grad_mode(draft: Draft) -> None:
    w = draft.parameter()
    draft.line(f"if torch.is_grad_enabled():\n    d = d + ${w} * torch.sin(y)\nelse:\n    d = d + torch.sin(y) * ${w}")


@feature
def where(draft: Draft) -> None:
    first, second = draft.parameter_like_y(), draft.parameter_like_y()
    draft.add(f"torch.where(y > 0, ${first} * y**2, ${second} * y * torch.sin(y))")


@feature
def where_of_time(draft: Draft) -> None:
    condition, weight = draft.later
    w = draft.parameter_like_y()
    draft.add(f"torch.where({condition}, {weight} * ${w}, torch.zeros_like(y))")


@feature
def kinks(draft: Draft) -> None:
    w = draft.parameter()
    form = draft.rng.choice(
        ["(y - 0.1).abs() * (y - 0.1)", "torch.relu(y) ** 2", "y.clamp(min=0) * y", "torch.nn.functional.elu(y)"]
    )
    draft.add(f"${w} * {form}")


@feature
def float_of_time(draft: Draft) -> None:
    draft.imports.add("math")
    draft.stops = True  # as far as the time is concerned
    w = draft.parameter()
    draft.add(f"${w} * math.cos(float(t)) * torch.sin(y)")


@feature
def counts(draft: Draft) -> None:
    counter = draft.thing('{"calls": 0}', "counter")
    draft.line(f'${counter}["calls"] += 1')
    draft.add("0.5 * torch.sin(y)")
