"""The figure of the study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt

STYLES = {"normal distribution": ("0.4", ":"), "planar flow": ("tab:orange", "--")}


def draw(path: Path, name: str, lines: list[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    """Likelihood and evaluations against the weight of the kinetic energy, and one against the other."""
    figure, (likelihood, work, both) = plt.subplots(1, 3, figsize=(13, 3.8), layout="constrained")
    continuous = [row for row in rows if row["weight"] is not None]
    weights = sorted({row["weight"] for row in continuous})
    places = {weight: place for place, weight in enumerate(weights)}
    for axes, number in ((likelihood, "nll"), (work, "nfe")):
        axes.plot([places[row["weight"]] for row in continuous], [row[number] for row in continuous], "o", alpha=0.4)
        means = [mean([row[number] for row in continuous if row["weight"] == weight]) for weight in weights]
        axes.plot(range(len(weights)), means, color="tab:blue", label="continuous flow")
        axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        axes.set(xlabel="weight of the kinetic energy")
    for line in lines:
        if line["model"] in STYLES or "published" in line["model"]:
            color, style = STYLES.get(line["model"], ("tab:green", "-."))
            likelihood.axhline(line["nll"], color=color, ls=style, label=line["model"])
    likelihood.set(ylabel="negative log likelihood, nats", title=name)
    likelihood.legend(fontsize="small")
    work.set(ylabel="evaluations in a solve", ylim=(0, None))
    for weight in weights:
        same = [row for row in continuous if row["weight"] == weight]
        both.plot([row["nfe"] for row in same], [row["nll"] for row in same], "o", label=f"{weight:g}")
    both.set(xlabel="evaluations in a solve", ylabel="negative log likelihood, nats")
    both.legend(title="weight", fontsize="small")
    figure.savefig(path, dpi=110)
    plt.close(figure)


def mean(values: list[float]) -> float:
    return sum(values) / len(values)
