"""What the comparing examples share: median times, measuring that Ctrl-C may end early, tables, looks of lines."""

from __future__ import annotations

import csv
import math
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Protocol, TypeVar

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import NullLocator
from tqdm import tqdm

plt.rcParams["svg.fonttype"] = "none"  # text stays text, and the files small

Task = TypeVar("Task")
Row = TypeVar("Row")
Result = TypeVar("Result")

REPEATS = 9  # solves that a median is taken over, as long as they stay within
BUDGET = 1.0  # seconds

# Okabe & Ito's colours for the colour-blind, without the yellow that white paper swallows; each with its own marker.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*", "h")
LINES = ("-", "--", ":")


def look(position: int) -> dict[str, Any]:
    """Colour, marker and line of the line at ``position``; they differ for more lines than a figure can hold."""
    return {
        "color": COLORS[position % len(COLORS)],
        "marker": MARKERS[position % len(MARKERS)],
        "linestyle": LINES[position // len(COLORS) % len(LINES)],
        "markersize": 5,
        "linewidth": 1.4,
    }


def repeated(work: Callable[[], Result], *, once: bool) -> tuple[Result, float, int]:
    """What ``work`` returns, the median of its seconds, and how often it ran."""
    times: list[float] = []
    while not times or (not once and len(times) < REPEATS and sum(times) < BUDGET):
        began = time.perf_counter()
        result = work()
        times.append(time.perf_counter() - began)
    return result, statistics.median(times), len(times)


class Measured(Protocol):
    """A measurement: both are None where it failed."""

    @property
    def error(self) -> float | None: ...

    @property
    def seconds(self) -> float | None: ...


Measurement = TypeVar("Measurement", bound=Measured)


def sweep(
    controls: Sequence[float],
    run: Callable[[float, bool], Measurement],
    skipped: Callable[[float, str], Measurement],
    *,
    quick: bool,
    longest: float,
) -> Iterator[Measurement]:
    """A measurement for each control, the loosest first.

    Args:
        controls: tolerances, or numbers of steps.
        run: measures with a control, only once if its second argument is true.
        skipped: stands for a measurement that is left out, with the reason.
        quick: whether all are measured only once.
        longest: seconds; after a longer measurement the others are left out.
    """
    first = run(controls[0], True)  # not counted: it lets Julia compile
    if first.error is None:
        yield first
        controls = controls[1:]
    last = 0.0
    for control in controls:
        if last > longest:
            yield skipped(control, f"a looser setting took more than {longest:g} s")
            continue
        began = time.perf_counter()
        found = run(control, quick)
        last = found.seconds or time.perf_counter() - began
        yield found


def measured(
    tasks: Sequence[Task], measure: Callable[[Task], Iterable[Row]], names: Callable[[Task], str]
) -> tuple[list[Row], bool]:
    """The rows of every task, with a progress bar, and whether that is all: Ctrl-C ends it and keeps what is done."""
    rows: list[Row] = []
    try:
        with tqdm(tasks, unit="task", dynamic_ncols=True) as bar:
            for task in bar:
                bar.set_postfix_str(names(task))
                for row in measure(task):
                    rows.append(row)
    except KeyboardInterrupt:
        print(f"\nStopped; the {len(rows)} measurements made so far are kept.")
        return rows, False
    return rows, True


def write_table(path: Path, rows: Sequence[Any]) -> None:
    """Write dataclass rows as CSV."""
    if not rows:
        return
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(rows[0])])
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as their widest entry, the first aligned to the left."""
    widths = [max(len(row[column]) for row in [header, *rows]) for column in range(len(header))]
    for row in [header, *rows]:
        first, *others = (
            entry.ljust(width) if column == 0 else entry.rjust(width)
            for column, (entry, width) in enumerate(zip(row, widths, strict=True))
        )
        print("  ".join([first, *others]))


def cells(run: Any, counts: Sequence[str]) -> tuple[str, ...]:
    """Error, milliseconds, the counts of these names and return code, as printed; empty where there is no number."""
    return (
        "" if run.error is None else f"{run.error:.2e}",
        "" if run.seconds is None else f"{1e3 * run.seconds:.1f}",
        *("" if (count := getattr(run, name)) is None else str(count) for name in counts),
        run.retcode,
    )


def whole_decades(panel: Axes) -> None:
    """Let logarithmic axes reach from one power of ten to another, and label those alone."""
    for axis, limit in ((panel.xaxis, panel.set_xlim), (panel.yaxis, panel.set_ylim)):
        low, high = axis.get_data_interval()
        if axis.get_scale() == "log" and 0 < low <= high < math.inf:
            margin = 1.4  # so that no marker is cut off
            limit(10.0 ** math.floor(math.log10(low)) / margin, 10.0 ** math.ceil(math.log10(high)) * margin)
            axis.set_minor_locator(NullLocator())


def first_line(error: Exception) -> str:
    """The beginning of a message; what follows may be a list of candidates with their places on this machine."""
    return str(error).split("\n", 1)[0]


def memory(field: str) -> int:
    """Bytes of a field of this process's status, such as VmRSS or VmHWM (Linux)."""
    lines = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith(field + ":"))


def save(figure: Figure, path: Path) -> None:
    """Save as PNG and SVG under ``path`` without a suffix, and close."""
    figure.savefig(path.with_suffix(".png"), dpi=120)
    figure.savefig(path.with_suffix(".svg"))
    plt.close(figure)
