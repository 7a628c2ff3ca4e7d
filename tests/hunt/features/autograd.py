"""Autograd within the dynamics."""

from __future__ import annotations

from tests.hunt.draft import Draft
from tests.hunt.features.registry import feature


def _energy(draft: Draft, x: str, create_graph: str = "True") -> None:
    w, e, g = draft.parameter_like_y(), draft.name("x"), draft.name("force")
    draft.line(
        f"with torch.enable_grad():\n"
        f"    {e} = {x}\n"
        f"    {g}, = torch.autograd.grad((${w} * torch.cos({e})).sum(), {e}, create_graph={create_graph})"
    )
    draft.add(g)


@feature
def gradient_of_the_state_itself(draft: Draft) -> None:
    _energy(draft, draft.rng.choice(["y.requires_grad_()", "y.requires_grad_(True)"]))


@feature
def gradient_of_a_copy(draft: Draft) -> None:
    _energy(draft, draft.rng.choice(["y.clone().requires_grad_()", "(1.0 * y).requires_grad_()"]))


@feature
def gradient_of_a_detached_state(draft: Draft) -> None:
    draft.stops = True
    _energy(draft, "y.detach().requires_grad_()")


@feature
def gradient_without_graph(draft: Draft) -> None:
    draft.stops = True
    _energy(draft, "y.clone().requires_grad_()", create_graph="False")


@feature
def gradient_through_a_module(draft: Draft) -> None:
    net = draft.module(f"nn.Sequential(nn.Linear({draft.size}, 3), nn.Tanh(), nn.Linear(3, 1))")
    draft.line(
        "with torch.set_grad_enabled(True):\n"
        "    y.requires_grad_(True)\n"
        f"    slope, = torch.autograd.grad(${net}(y.reshape(-1)).sum(), y, create_graph=True)"
    )
    draft.add("slope")


@feature
def divergence(draft: Draft) -> None:
    w = draft.parameter_like_y()
    draft.line(
        "with torch.enable_grad():\n"
        "    x = y.requires_grad_()\n"
        f"    field = torch.sin(${w} * x).reshape(-1)\n"
        "    rows = [torch.autograd.grad(value, x, create_graph=True)[0].reshape(-1) for value in field]"
    )
    draft.add("0.5 * torch.stack(rows).trace()")


@feature
def function_transforms(draft: Draft) -> None:
    w = draft.parameter()
    form = draft.rng.choice(
        [
            "torch.func.grad(lambda x: torch.cos(${w} * x).sum())(y)",
            "torch.vmap(lambda x: torch.sin(${w} * x))(y.reshape(-1)).reshape(y.shape)",
            "torch.func.jvp(torch.sin, (y,), (${w} * y,))[1]",
            "torch.func.jacrev(lambda x: torch.sin(${w} * x).sum())(y)",
        ]
    )
    draft.add(form.replace("${w}", f"${w}"))


@feature
def detached_state(draft: Draft) -> None:
    draft.stops = True
    draft.add(f"${draft.parameter_like_y()} * torch.cos(y.detach())")


@feature
def detached_parameter(draft: Draft) -> None:
    w = draft.parameter()
    draft.add(f"${w}.detach() * torch.cos(y)")
    draft.add(f"${w} * torch.sin(y)")


@feature
def without_autograd(draft: Draft) -> None:
    draft.stops = True
    w, x = draft.parameter(), draft.name("x")
    draft.line(f"with torch.no_grad():\n    {x} = torch.sigmoid(${w} * y)")
    draft.add(f"{x} * torch.sin(y)")


@feature
def own_backward(draft: Draft) -> None:
    """An autograd.Function, whose gradient is not its derivative."""
    draft.stops = True
    w, kind = draft.parameter(), draft.name("Surrogate")
    draft.makings += [
        f"class {kind}(torch.autograd.Function):",
        "    @staticmethod",
        "    def forward(ctx, x):",
        "        return torch.tanh(x)",
        "    @staticmethod",
        "    def backward(ctx, grad):",
        "        return 0.5 * grad",
    ]
    draft.things.append(kind)
    draft.add(f"${kind}.apply(${w} * y)")


@feature
def checkpointed(draft: Draft) -> None:
    draft.imports.add("torch.utils.checkpoint")
    w = draft.parameter()
    draft.add(f"torch.utils.checkpoint.checkpoint(lambda x: torch.tanh(${w} * x), 1.0 * y, use_reentrant=False)")


@feature
def numpy_within(draft: Draft) -> None:
    draft.imports.add("numpy")
    draft.stops = True
    draft.add("torch.from_numpy(numpy.array(numpy.sin(y.detach().numpy())))")


@feature
def named_operations(draft: Draft) -> None:
    """Some of torch's functions, for their translations."""
    w = draft.parameter()
    forms = [
        "torch.sgn(y) * y.square()", "torch.erf(y)", "torch.erfc(y)", "torch.expm1(y / 2)", "torch.log1p(y.square())",
        "torch.atan2(y, 1 + y.square())", "torch.nn.functional.softplus(y)", "torch.hypot(y, 1 + t)",
        "torch.lerp(y, torch.sin(y), 0.3)", "torch.addcmul(y, y, y)", "torch.nn.functional.gelu(y)",
        "torch.softmax(y.flatten(), 0).reshape(y.shape)", "torch.cumsum(y.flatten(), 0).reshape(y.shape)",
        "torch.linalg.vector_norm(y + 3)", "torch.sinc(y)",
        "torch.special.xlog1py(y, y.square())", "torch.roll(y, 1, -1) if y.ndim else y", "torch.pow(2.0, y)",
        "torch.nan_to_num(y / (1 + y.square()))", "torch.logaddexp(y, t)",
    ]  # fmt: skip
    draft.add(f"0.5 * ${w} * {draft.rng.choice(forms)}")
