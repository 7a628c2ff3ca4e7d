"""What the paper and those after it claim, beside what the studies found: every figure of ours from a record."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from comparison import FIGURES, numbers

TOLD = "first step told"  # of the backward solve
MIB = 2**20
FLAT = 1.1  # memory for the most steps, over that for the fewest: what counts as not growing


class Claim(NamedTuple):
    """``published`` is None where no paper has a number."""

    words: str
    published: str | None
    ours: str
    met: bool


def table() -> dict[str, dict[str, Any]]:
    """A row for each claim."""
    claims = [*depth(), *densities(), *spirals(), *co2()]
    return {claim.words: {"published": claim.published, "ours": claim.ours, "met": claim.met} for claim in claims}


def depth() -> Iterator[Claim]:
    """Table 1 and figure 3 of Chen et al. 2018."""
    for record, epochs in (("classify_digits", 3), ("classify_digits_long", 10)):
        found = numbers(record)
        ode, resnet = (found["models"][name] for name in ("ODE-Net", "ResNet"))
        yield Claim(
            f"an ODE-Net classifies MNIST as well as a ResNet, with a third of its parameters: {epochs} epochs",
            "0.42 % wrong against 0.41 %, 0.22 million parameters against 0.60",
            f"{percent(ode)} against {percent(resnet)}, {ode['parameters']:,} parameters against "
            f"{resnet['parameters']:,}",
            overlap(ode, resnet),
        )
    found = numbers("classify_digits")
    ode, rk = (found["models"][name] for name in ("ODE-Net", "RK-Net"))
    yield Claim(
        "and as well as an RK-Net: 3 epochs",
        "0.42 % against 0.47 %",
        f"{percent(ode)} against {percent(rk)}",
        overlap(ode, rk),
    )
    memory = {
        run["steps"]: run["added"]
        for run in numbers("adjoint_memory")["runs"]
        if (run["engine"], run["sensealg"]) == ("julia", "BacksolveAdjoint")
    }
    few, many = min(memory), max(memory)
    yield Claim(
        "the adjoint's memory does not grow with the steps",
        "constant",
        f"{memory[few] / MIB:.1f} MiB for {few:,} steps, {memory[many] / MIB:.1f} for {many:,}, BacksolveAdjoint",
        memory[many] < FLAT * memory[few],
    )
    at = f"at tolerance {found['tolerance']:g}"
    pairs = {
        name: row
        for name, rows in found["backward_by_sensealg"].items()
        for row in rows
        if name.endswith(TOLD) and row["tolerance"] == found["tolerance"]
    }
    fewest_back = min(pairs, key=lambda name: pairs[name]["nfe_backward"])
    best = pairs[fewest_back]
    yield Claim(
        "a backward pass evaluates half as often as a forward one",
        "about half",
        f"{best['nfe_backward']:g} against {best['nfe']:g} {at}, {fewest_back}",
        best["nfe_backward"] <= best["nfe"] / 2,
    )


def densities() -> Iterator[Claim]:
    """Figure 4 of the paper; Grathwohl et al. 2019 and Finlay et al. 2020 on tables."""
    toys = numbers("density")["table"]
    better = sum(row["continuous_is_better"] for row in toys)
    yield Claim(
        "continuous flows fit densities in the plane better than planar flows",
        "in all three",
        f"in {better} of {len(toys)} comparisons",
        better == len(toys),
    )
    for path in sorted(FIGURES.glob("tabular_flow_*.json")):
        found = numbers(path.stem)
        lines = {line["model"]: line for line in found["summary"]}
        flows = [line for line in lines.values() if line["model"].startswith("continuous flow")]
        best, plain = min(flows, key=lambda line: line["nll"]), lines["continuous flow, weight 0"]
        normal, planar = lines["normal distribution"], lines["planar flow"]
        yield Claim(
            f"and measurements in tables: {found['table']}, {found['columns']} columns",
            None,
            f"{best['nll']:.2f} ± {best['spread']:.2f} nats; normal distribution {normal['nll']:.2f}, planar flow "
            f"{planar['nll']:.2f}",
            best["nll"] < min(normal["nll"], planar["nll"]),
        )
        straight = min(flows, key=lambda line: (line["nfe"], line["nll"]))
        yield Claim(
            f"straight paths take fewer evaluations, and fit as well: {found['table']}",
            None,
            f"{straight['nfe']:.0f} evaluations and {straight['nll']:.2f} nats; without the kinetic energy "
            f"{plain['nfe']:.0f} and {plain['nll']:.2f}",
            straight["nfe"] < plain["nfe"] and straight["nll"] <= plain["nll"] + plain["spread"],
        )


def spirals() -> Iterator[Claim]:
    """Table 2 of the paper."""
    found = numbers("latent_ode_spirals")
    rmse, spread, published = found["rmse"], found["spread"], found["published"]
    for count in rmse["latent ODE"]:
        ours, paper = rmse["latent ODE"][count], published["latent ODE (published)"][count]
        rnn = min(rmse[name][count] for name in ("RNN", "RNN with time gaps"))
        yield Claim(
            f"a latent ODE continues spirals seen at {count} of 100 times better than an RNN",
            f"RMSE {paper:.3f} against {published['RNN (published)'][count]:.3f}",
            f"{ours:.3f} ± {spread['latent ODE'][count]:.3f} against {rnn:.3f}",
            ours < min(paper, rnn),
        )


def co2() -> Iterator[Claim]:
    """The record of Mauna Loa, which the paper does not have."""
    found = numbers("latent_ode_co2")
    for task, row in found["rmse_ppm"].items():
        others = {name: error for name, error in row.items() if name != "latent ODE"}
        best = min(others, key=lambda name: others[name])
        ours, spread = row["latent ODE"], found["spread_ppm"][task]["latent ODE"]
        yield Claim(
            f"and the CO2 of Mauna Loa, {task}, than RNNs and trends",
            None,
            f"{ours:.3f} ± {spread:.3f} ppm; best other {others[best]:.3f} ({best})",
            ours < others[best],
        )


def overlap(row: dict[str, Any], other: dict[str, Any]) -> bool:
    """Whether a row's errors are no larger than another's, as far as the spread of each tells."""
    return bool(row["error"] - row["spread"] <= other["error"] + other["spread"])


def percent(row: dict[str, Any]) -> str:
    return f"{100 * row['error']:.2f} ± {100 * row['spread']:.2f} %"
