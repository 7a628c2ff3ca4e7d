"""Shows, in the reference, each keyword argument that a function takes by ``**settings: Unpack[...]``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import griffe


class ShowSettings(griffe.Extension):
    """As `with_settings` shows them where Python runs; here the source is read alone."""

    def on_package(self, *, pkg: griffe.Module, **_: Any) -> None:
        settings = pkg["problem.settings"]
        for taken in [member for member in settings.members.values() if isinstance(member, griffe.Class)]:
            taken.members = {attribute.name: attribute for attribute in _attributes(taken, settings)}
        for function in _functions(pkg):
            for parameter in list(function.parameters):
                annotation = parameter.annotation
                if isinstance(annotation, griffe.ExprSubscript) and str(annotation.left) == "Unpack":
                    del function.parameters[parameter.name]
                    for attribute in settings[str(annotation.slice)].members.values():
                        function.parameters.add(_parameter(attribute))


def _functions(found: griffe.Object) -> Iterator[griffe.Function]:
    for member in found.members.values():
        if isinstance(member, griffe.Function):
            yield member
        elif isinstance(member, (griffe.Module, griffe.Class)):
            yield from _functions(member)


def _attributes(taken: griffe.Class, settings: griffe.Object) -> Iterator[Any]:
    """Those of the classes that it extends, too."""
    for base in map(str, taken.bases):
        if base in settings.members and isinstance(settings[base], griffe.Class):
            yield from _attributes(settings[base], settings)
    yield from taken.members.values()


def _parameter(attribute: griffe.Attribute) -> griffe.Parameter:
    default = "False" if str(attribute.annotation) == "bool" else "None"
    kind = griffe.ParameterKind.keyword_only
    return griffe.Parameter(attribute.name, annotation=attribute.annotation, kind=kind, default=default)
