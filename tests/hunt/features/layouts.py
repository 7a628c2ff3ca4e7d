"""Views and layouts."""

from __future__ import annotations

from tests.hunt.draft import Draft
from tests.hunt.features.registry import feature


@feature
def slices(draft: Draft) -> None:
    w = draft.parameter()
    x = draft.name("x")
    draft.line(f"{x} = y.reshape(-1)")
    draft.add(f"${w} * torch.cat([{x}[1:], {x}[:1]]).reshape(y.shape)")


@feature
def steps_through(draft: Draft) -> None:
    w, x = draft.parameter(), draft.name("x")
    draft.line(f"{x} = torch.sin(y).flatten()\n{x} = torch.stack([{x}[::2].sum(), {x}[1::2].sum()])")
    draft.add(f"${w} * {x}.flip(0)[0]")


@feature
def transposes(draft: Draft) -> None:
    w = draft.parameter(draft.size, 2)
    draft.add(f"torch.tanh((y.reshape(1, -1) @ ${w} @ ${w}.T).mT).squeeze(-1).reshape(y.shape)")


@feature
def outer(draft: Draft) -> None:
    w = draft.parameter(draft.size)
    draft.add(f'torch.einsum("i,j->ij", torch.sin(y.flatten()), ${w}).sum(0).view(y.shape)')


@feature
def expands(draft: Draft) -> None:
    w = draft.parameter(1)
    draft.add(f"${w}.expand({draft.size}).reshape(y.shape) * torch.cos(y)")


@feature
def transposed_parameter(draft: Draft) -> None:
    n, w = draft.size, draft.name("w")
    draft.makings.append(f"{w} = torch.randn(2, {n}).to(dtype).requires_grad_()")
    draft.inputs.append(w)
    view = draft.thing(f"{w}.T", "view")
    draft.add(f"torch.tanh(${view} @ ${view}.T @ y.reshape(-1)).reshape(y.shape)")


@feature
def leaf_of_odd_strides(draft: Draft) -> None:
    w = draft.thing(f"torch.randn(2, {draft.size}).to(dtype).T[:, 1].detach().requires_grad_()", "w")
    draft.inputs.append(w)
    draft.add(f"${w}.reshape(y.shape) * torch.cos(y)")


@feature
def reductions(draft: Draft) -> None:
    w = draft.parameter()
    forms = ["torch.sin(y).sum()", "y.square().mean()", "torch.logsumexp(y.flatten(), 0)", "(y + 2).norm()", "y.amax()"]
    draft.add(f"0.5 * ${w} * {draft.rng.choice(forms)}")
