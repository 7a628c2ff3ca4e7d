"""The solvers of an engine as a table."""

from __future__ import annotations

from pyode_bridge.problem.problem import SolverInfo
from pyode_bridge.views import markup

HEADER = ("solver", "family", "order", "steps", "for", "source", "about")
SCROLLED = "max-height: 30em; overflow: auto"


class SolverTable(list[SolverInfo]):
    """A list of solvers that shows as a table: by family where it is printed, and as HTML in notebooks."""

    def __repr__(self) -> str:
        name = max((len(row.name) for row in self), default=0)
        lines = []
        for family in dict.fromkeys(row.family for row in self):
            lines += [family, *(line for row in self if row.family == family for line in _lines(row, name)), ""]
        return "\n".join([*lines, self._count()])

    def _repr_html_(self) -> str:
        rows = [_cells(row) for row in self]
        return markup.titled(self._count(), f'<div style="{SCROLLED}">{markup.table(rows, HEADER)}</div>')

    def _count(self) -> str:
        return f"{len(self)} solver{'' if len(self) == 1 else 's'}"


def _lines(row: SolverInfo, name: int) -> list[str]:
    limit = [f"  {'':<{name}}  ! {row.limit}"] if row.limit else []
    return [f"  {row.name:<{name}}  {_traits(row):<24}  {row.summary}", *limit]


def _traits(row: SolverInfo) -> str:
    further = ["implicit"] if row.implicit else []
    return ", ".join([f"order {_order(row)}", _steps(row), *further, *([row.calculus] if row.calculus else [])])


def _cells(row: SolverInfo) -> tuple[str, ...]:
    about = f"{row.summary} Limit: {row.limit}" if row.limit else row.summary
    steps = f"{_steps(row)}, {'implicit' if row.implicit else 'explicit'}"
    return row.name, row.family, _order(row), steps, row.problem, row.source, about


def _order(row: SolverInfo) -> str:
    return "-" if row.order is None else str(row.order)


def _steps(row: SolverInfo) -> str:
    return "adaptive" if row.adaptive else "fixed"
