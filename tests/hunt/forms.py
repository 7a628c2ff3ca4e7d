"""In which form the dynamics are written, and how they come by the things that they use."""

from __future__ import annotations

from collections.abc import Callable
from string import Template

from tests.hunt.draft import Draft

Form = Callable[[Draft, str, str], str]
FORMS: dict[str, Form] = {}


def form(made: Form) -> Form:
    FORMS[made.__name__] = made
    return made


def _put(text: str, things: list[str], place: str = "{}") -> str:
    return Template(text).substitute({name: place.format(name) for name in things})


def _indented(text: str) -> str:
    return "\n".join("    " + line for line in text.splitlines())


def _function(name: str, arguments: str, text: str) -> str:
    return f"def {name}({arguments}):\n{_indented(text)}"


def _class(kind: str, base: str, things: list[str], method: str, more: str, text: str) -> str:
    """One whose objects hold the things."""
    start = ["super().__init__()"] if base else []
    start += [f"self.{name} = {name}" for name in things] or ["self.is_empty = True"]
    makes = _function("__init__", ", ".join(["self", *things]), "\n".join(start))
    does = _function(method, f"self, t, state{more}", _put(text, things, "self.{}"))
    return f"class {kind}{base}:\n{_indented(makes)}\n\n{_indented(does)}\n"


@form
def global_names(draft: Draft, text: str, more: str) -> str:
    return _function("func", f"t, state{more}", _put(text, draft.things))


@form
def closure(draft: Draft, text: str, more: str) -> str:
    inner = _function("field", f"t, state{more}", _put(text, draft.things))
    things = ", ".join(draft.things)
    return f"{_function('made', things, inner)}\n    return field\n\nfunc = made({things})"


@form
def closure_over_a_list(draft: Draft, text: str, more: str) -> str:
    things = ", ".join(draft.things)
    places = {name: f"held[{place}]" for place, name in enumerate(draft.things)}
    inner = _function("field", f"t, state{more}", Template(text).substitute(places))
    return f"{_function('made', 'held', inner)}\n    return field\n\nfunc = made([{things}])"


@form
def default_arguments(draft: Draft, text: str, more: str) -> str:
    defaults = "".join(f", {name}={name}" for name in draft.things)
    return _function("func", f"t, state{more}{defaults}", _put(text, draft.things))


@form
def lambda_over_a_function(draft: Draft, text: str, more: str) -> str:
    things = "".join(f", {name}" for name in draft.things)
    field = _function("field", f"t, state{more}{things}", _put(text, draft.things))
    return f"{field}\n\nfunc = lambda t, state{more}: field(t, state{more}{things})"


@form
def partial_of_positions(draft: Draft, text: str, more: str) -> str:
    field = _function("field", ", ".join([*draft.things, f"t, state{more}"]), _put(text, draft.things))
    return f"{field}\n\nfunc = functools.partial({', '.join(['field', *draft.things])})"


@form
def partial_of_names(draft: Draft, text: str, more: str) -> str:
    named = "".join(f", {name}={name}" for name in draft.things)
    star = ", *" if draft.things else ""
    field = _function(
        "field", f"t, state{more}{star}{''.join(f', {name}' for name in draft.things)}", _put(text, draft.things)
    )
    return f"{field}\n\nfunc = functools.partial(field{named})"


@form
def module(draft: Draft, text: str, more: str) -> str:
    made = _class("Field", "(nn.Module)", draft.things, "forward", more, text)
    return f"{made}\nfunc = Field({', '.join(draft.things)})"


@form
def lambda_over_a_module(draft: Draft, text: str, more: str) -> str:
    made = module(draft, text, more).replace("func = ", "model = ")
    return f"{made}\nfunc = lambda t, state{more}: model(t, state{more})"


@form
def nested_module(draft: Draft, text: str, more: str) -> str:
    inner = _class("Inner", "(nn.Module)", draft.things, "forward", more, text)
    outer = _class("Outer", "(nn.Module)", ["inner"], "forward", more, f"return $inner(t, state{more})")
    return f"{inner}\n{outer}\nfunc = Outer(Inner({', '.join(draft.things)}))"


@form
def method_of_a_module(draft: Draft, text: str, more: str) -> str:
    made = _class("Field", "(nn.Module)", draft.things, "slope", more, text)
    return f"{made}\nfunc = Field({', '.join(draft.things)}).slope"


@form
def method_of_an_object(draft: Draft, text: str, more: str) -> str:
    return f"{_class('Field', '', draft.things, 'slope', more, text)}\nfunc = Field({', '.join(draft.things)}).slope"


@form
def object_to_call(draft: Draft, text: str, more: str) -> str:
    return f"{_class('Field', '', draft.things, '__call__', more, text)}\nfunc = Field({', '.join(draft.things)})"


@form
def partial_of_a_method(draft: Draft, text: str, more: str) -> str:
    made = _class("Field", "(nn.Module)", draft.things, "slope", f"{more}, *, scale", f"t = t * scale\n{text}")
    return f"{made}\nfunc = functools.partial(Field({', '.join(draft.things)}).slope, scale=1)"
