"""Tensors from outside."""

from __future__ import annotations

from tests.hunt.draft import Draft
from tests.hunt.features.registry import feature


@feature
def leaf(draft: Draft) -> None:
    w = draft.parameter_like_y()
    draft.add(draft.rng.choice([f"${w} * torch.tanh(y)", f"torch.sin(${w} + y)", f"0.3 * ${w} * t"]))


@feature
def linear(draft: Draft) -> None:
    net = draft.module(f"nn.Linear({draft.size}, {draft.size})")
    draft.add(f"torch.tanh(${net}(y.reshape(-1))).reshape(y.shape)")


@feature
def network_of_time(draft: Draft) -> None:
    n = draft.size
    net = draft.module(f"nn.Sequential(nn.Linear({n + 1}, 3), nn.Tanh(), nn.Linear(3, {n}))")
    draft.add(f"${net}(torch.cat([y.reshape(-1), t.reshape(1)])).reshape(y.shape)")


@feature
def shared(draft: Draft) -> None:
    w = draft.parameter_like_y()
    draft.add(f"${w} * torch.cos(y)")
    draft.add(f"0.2 * torch.exp(-(${w} ** 2)) * t")


@feature
def tied_modules(draft: Draft) -> None:
    n = draft.size
    first = draft.module(f"nn.Linear({n}, {n})")
    second = draft.thing(f"nn.Linear({n}, {n}).to(dtype)", "net")
    draft.makings.append(f"{second}.weight = {first}.weight")
    draft.inputs.append(f"{second}.bias")
    draft.add(f"torch.tanh(${second}(torch.tanh(${first}(y.reshape(-1))))).reshape(y.shape)")


@feature
def two_names_of_one_tensor(draft: Draft) -> None:
    w = draft.parameter_like_y()
    other = draft.thing(w, "alias")
    draft.add(f"${w} * torch.sin(${other} * y)")


@feature
def buffer(draft: Draft) -> None:
    draft.add(f"${draft.constant('torch.randn(()).to(dtype)')} * torch.sin(y)")


@feature
def batch_norm(draft: Draft) -> None:
    net = draft.module(f"nn.BatchNorm1d({draft.size})")
    draft.makings.append(f"{net}.eval().running_mean.normal_()")
    draft.add(f"torch.tanh(${net}(y.reshape(1, -1))).reshape(y.shape)")


@feature
def context(draft: Draft) -> None:
    encoder, made = draft.name("encoder"), draft.name("context")
    draft.makings += [
        f"{encoder} = nn.Linear(2, {draft.size}).to(dtype)",
        f"{made} = torch.tanh({encoder}(torch.randn(2).to(dtype))).reshape({draft.shape})",
    ]
    draft.things.append(made)
    draft.inputs += [made, f"*{encoder}.parameters()"]
    draft.add(draft.rng.choice([f"${made} * torch.cos(y)", f"${made} * t", f"torch.tanh(${made} - y)"]))


@feature
def computed(draft: Draft) -> None:
    w = draft.name("w")
    draft.makings.append(f"{w} = torch.randn(2).to(dtype).requires_grad_()")
    draft.inputs.append(w)
    rate = draft.thing(
        draft.rng.choice([f"{w}.exp()[0]", f"{w}[1:].view({(1,) * len(draft.shape)})", f"({w} * {w}).sum()"]), "rate"
    )
    draft.add(f"-0.2 * ${rate} * y")
    if draft.rng.random() < 0.3:  # the same leaf along another way
        draft.things.append(w)
        draft.add(f"${w}.sum() * torch.sin(y)")


@feature
def remembered(draft: Draft) -> None:
    """Computed by the first evaluation, and kept."""
    w, memo = draft.parameter(), draft.thing("{}", "memo")
    draft.line(f'if "rate" not in ${memo}:\n    ${memo}["rate"] = torch.exp(-(${w} ** 2))')
    draft.add(f'-0.4 * ${memo}["rate"] * y')


@feature
def unused(draft: Draft) -> None:
    draft.parameter(2)
    draft.add("torch.cos(y)")


@feature
def in_containers(draft: Draft) -> None:
    first, second = draft.name("w"), draft.name("w")
    draft.makings += [f"{name} = torch.randn(()).to(dtype).requires_grad_()" for name in (first, second)]
    draft.inputs += [first, second]
    kind = draft.rng.choice(["[{0}, {1}]", "({0}, {1})", "nn.ParameterList([{0}, {1}])"])
    held = draft.thing(kind.format(first, second), "held")
    draft.line(f"for place in range(2):\n    d = d + ${held}[place] * torch.sin((place + 1) * y)")


@feature
def in_dict(draft: Draft) -> None:
    w = draft.name("w")
    draft.makings.append(f"{w} = nn.Parameter(torch.randn(()).to(dtype))")
    draft.inputs.append(w)
    kind = draft.rng.choice(['{{"rate": {0}}}', 'nn.ParameterDict({{"rate": {0}}})', "types.SimpleNamespace(rate={0})"])
    if "types" in kind:
        draft.imports.add("types")
    held = draft.thing(kind.format(w), "held")
    draft.add(f"${held}.rate * torch.sin(y)" if "types" in kind else f'${held}["rate"] * torch.sin(y)')


@feature
def weight_norm(draft: Draft) -> None:
    n = draft.size
    net = draft.module(f"nn.utils.parametrizations.weight_norm(nn.Linear({n}, {n}))")
    draft.add(f"torch.tanh(${net}(y.reshape(-1))).reshape(y.shape)")


@feature
def hook(draft: Draft) -> None:
    w = draft.parameter()
    net = draft.module(f"nn.Linear({draft.size}, {draft.size})")
    draft.makings.append(f"{net}.register_forward_hook(lambda module, inputs, output: output * {w})")
    draft.add(f"torch.tanh(${net}(y.reshape(-1))).reshape(y.shape)")


@feature
def other_precision(draft: Draft) -> None:
    dtype = draft.rng.choice(["torch.float32", "torch.float64", "torch.bfloat16"])
    w = draft.parameter(dtype=dtype)
    draft.add(draft.rng.choice([f"(${w} * torch.sin(y)).to(y.dtype)", f"${w}.to(y.dtype) * torch.cos(y)"]))


@feature
def other_precision_of_a_buffer(draft: Draft) -> None:
    dtype = draft.rng.choice(["torch.float32", "torch.float64"])
    w = draft.parameter()
    c = draft.constant(f"torch.tensor(0.7, dtype={dtype})")
    draft.add(f"(${c} * ${w} * torch.cos(y)).to(y.dtype)")


@feature
def complex_numbers(draft: Draft) -> None:
    w = draft.name("w")
    draft.makings.append(f"{w} = torch.randn(2).to(dtype).view(1, 2).requires_grad_()")
    draft.inputs.append(w)
    draft.things.append(w)
    draft.add(f"(torch.view_as_complex(${w}) * torch.complex(torch.sin(y), torch.cos(y)).reshape(-1)).real.view_as(y)")


@feature
def complex_parameter(draft: Draft) -> None:
    w = draft.name("w")
    draft.makings.append(f"{w} = torch.complex(*torch.randn(2).to(dtype)).detach().requires_grad_()")
    draft.inputs.append(w)
    draft.things.append(w)
    draft.add(f"(${w} * torch.complex(torch.sin(y), torch.cos(y))).imag")


@feature
def indices(draft: Draft) -> None:
    w = draft.parameter(5)
    places = draft.constant(f"torch.randint(5, ({draft.size},))")
    draft.add(f"${w}[${places}].reshape(y.shape) * torch.cos(y)")


@feature
def mask(draft: Draft) -> None:
    w = draft.parameter_like_y()
    chosen = draft.constant(f"torch.randn({draft.shape}) > 0")
    draft.add(draft.rng.choice([f"${w} * y * ${chosen}", f"(${w} * torch.sin(y)).masked_fill(${chosen}, 0.1)"]))


@feature
def plain_number(draft: Draft) -> None:
    rate = draft.thing(draft.rng.choice(["0.25", "-1", "True", "float(torch.randn(()))"]), "rate")
    draft.add(f"${rate} * torch.sin(y)")


@feature
def item_of_a_tensor(draft: Draft) -> None:
    c = draft.constant("torch.randn(()).to(dtype)")
    draft.add(f"{draft.rng.choice(['float(${0})', '${0}.item()']).format(c)} * torch.sin(y)")
