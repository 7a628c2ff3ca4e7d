"""The figure of the study."""

from __future__ import annotations

import statistics
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

ODE = "ODE-Net"
COLORS = {"MLP": "0.5", "ResNet": "tab:orange", "RK-Net": "tab:green", ODE: "tab:blue"}
MARKS = {"MLP": "D", "ResNet": "s", "RK-Net": "^", ODE: "o"}


def draw(
    path: Path,
    table: dict[str, dict[str, Any]],
    behaviour: list[dict[str, float]],
    memory: dict[str, list[tuple[int, float]]],
    backward: dict[str, list[dict[str, float]]],
    histories: list[list[dict[str, float]]],
) -> None:
    figure, grid = plt.subplots(2, 4, figsize=(20, 9), layout="constrained")
    draw_errors(grid[0, 0], table)
    for name, points in memory.items():
        grid[0, 1].plot(*zip(*points, strict=True), marker=MARKS[name], color=COLORS[name], label=name)
    grid[0, 1].set(title="Memory of one training step", ylabel="peak (MiB)", ylim=(0, None))
    grid[0, 1].set_xlabel("residual blocks, or forward evaluations")
    grid[0, 1].legend()
    draw_behaviour(grid[0, 2], grid[0, 3], behaviour)
    draw_backward(grid[1, 0], backward)
    draw_gradients(grid[1, 1], backward)
    grid[1, 2].legend(*grid[1, 0].get_legend_handles_labels(), loc="center", title="Backward passes by")
    grid[1, 2].axis("off")
    draw_training(grid[1, 3], histories)
    figure.savefig(path, dpi=110)
    plt.close(figure)


def draw_errors(axes: Any, table: dict[str, dict[str, Any]]) -> None:
    for name, row in table.items():
        percent = [100 * error for error in row["errors"]]
        axes.plot([row["parameters"]] * len(percent), percent, ".", color=COLORS[name], alpha=0.6)
        mean = 100 * row["error"]
        axes.plot(row["parameters"], mean, MARKS[name], ms=10, mfc="none", mew=2, color=COLORS[name], label=name)
    axes.set(title="Test error: mean (open) and each seed (dots)", xlabel="parameters", ylabel="test error (%)")
    axes.set(xlim=(0, None), ylim=(0, None))
    axes.margins(x=0.1)
    axes.legend()


def draw_behaviour(error: Any, seconds: Any, behaviour: list[dict[str, float]]) -> None:
    nfe = [row["nfe"] for row in behaviour]
    error.semilogy(nfe, [row["error"] for row in behaviour], "o-", color=COLORS[ODE])
    error.set(title="ODE-Net: error of the final state", xlabel="forward evaluations", ylabel="relative error")
    for row in behaviour:
        label = f"tol {row['tolerance']:.0e}"
        error.annotate(label, (row["nfe"], row["error"]), (6, 4), textcoords="offset points", fontsize=8)
    error.margins(x=0.2)
    for key, mark, label in (("forward_s", "o-", "forward pass"), ("backward_s", "s--", "backward pass")):
        color = "tab:blue" if key == "forward_s" else "tab:orange"
        seconds.plot(nfe, [row[key] for row in behaviour], mark, color=color, label=label)
    seconds.set(title="ODE-Net: time", xlabel="forward evaluations", ylabel="seconds", ylim=(0, None))
    seconds.legend()


def draw_backward(axes: Any, backward: dict[str, list[dict[str, float]]]) -> None:
    for name, rows in backward.items():
        axes.plot([row["nfe"] for row in rows], [row["nfe_backward"] for row in rows], **style(name, backward))
    nfe = sorted({row["nfe"] for rows in backward.values() for row in rows})
    axes.plot(nfe, nfe, ":", color="k", label="as many as forward")
    axes.plot(nfe, [count / 2 for count in nfe], ":", color="0.6", label="half as many (the paper's)")
    axes.set(title="ODE-Net: backward evaluations", xlabel="forward evaluations", ylabel="backward evaluations")
    axes.set_yscale("log")


def draw_gradients(axes: Any, backward: dict[str, list[dict[str, float]]]) -> None:
    for name, rows in backward.items():
        errors = [row["gradient_error"] for row in rows]
        axes.loglog([row["nfe_backward"] for row in rows], errors, **style(name, backward))
    axes.set(title="ODE-Net: gradients", xlabel="backward evaluations", ylabel="relative error of the gradient")


def style(name: str, backward: dict[str, Any]) -> dict[str, Any]:
    """A colour for each sensitivity algorithm; dashed where it finds its first step by itself."""
    sensealg, _, told = name.partition(",")
    sensealgs = list(dict.fromkeys(each.partition(",")[0] for each in backward))
    return {"color": f"C{sensealgs.index(sensealg)}", "ls": "-" if told else "--", "marker": "o", "label": name}


def draw_training(axes: Any, histories: list[list[dict[str, float]]]) -> None:
    for key, color, label in (("nfe", "tab:blue", "forward"), ("nfe_backward", "tab:orange", "backward")):
        columns = [[row[key] for row in history] for history in histories]
        for column in columns:
            axes.plot(range(1, len(column) + 1), column, color=color, lw=0.6, alpha=0.3)
        mean = [statistics.fmean(values) for values in zip(*columns, strict=False)]  # as far as all seeds went
        axes.plot(range(1, len(mean) + 1), mean, color=color, lw=2, label=f"{label}, mean over seeds")
    axes.set(title="ODE-Net: evaluations during training", xlabel="iteration", ylabel="evaluations a step")
    axes.legend()
