"""The pull, mean and noise of an Ornstein-Uhlenbeck process, learnt from paths by gradients through simulated ones.

dy = theta (mu - y) dt + sigma dW is seen at 12 times along 2,000 paths, which are drawn from its exact transitions. The
fit draws paths of its own, with noise that stays the same, and brings their means and mean squares at these times to
those that were seen (the method of simulated moments, McFadden 1989). Gradients go through the steps of the paths. How
far off the estimates should be follows from the same gradients; many sets of paths tell whether they are. It needs
Julia and `python -m pyode_bridge install StochasticDiffEq`.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import matplotlib.pyplot as plt
import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import common
from examples.support.measurements import COLORS, measured, print_table

TRUE = {"theta": 1.2, "mu": 0.8, "sigma": 0.5}
GUESS = {"theta": 0.6, "mu": 0.3, "sigma": 1.0}
TIMES = torch.linspace(0.0, 3.0, 13, dtype=torch.float64)  # the first is that of the start, at 0
SEEN, QUICK_SEEN = 2_000, 500  # paths
DRAWN = 2  # for each of these
SETS, QUICK_SETS = 20, 2
SOLVER = {"method": "EM", "options": {"dt": 0.01, "adaptive": False}, "engine": "julia"}


class Process(nn.Module):
    """The process; theta and sigma are positive by their logarithms."""

    def __init__(self, theta: float, mu: float, sigma: float) -> None:
        super().__init__()
        self.values = nn.Parameter(torch.tensor([theta, mu, sigma]).log())

    def parts(self) -> Tensor:
        return self.values.exp()

    def drift(self, _t: Tensor, y: Tensor) -> Tensor:
        theta, mu, _ = self.parts()
        return theta * (mu - y)

    def diffusion(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.parts()[2].expand(len(y))

    def paths(self, count: int, seed: int) -> Tensor:
        """Shape ``(12, count)``."""
        return pb.sdeint(self.drift, self.diffusion, torch.zeros(count), TIMES, seed=seed, **SOLVER)[1:]


@dataclass(frozen=True)
class Fit:
    """What a set of paths tells, and how far off that is to be expected to be."""

    seed: int
    estimates: dict[str, float]
    errors: dict[str, float]
    gradients: int
    seconds: float

    def off(self, name: str) -> float:
        """From the truth, in standard errors."""
        return (self.estimates[name] - TRUE[name]) / self.errors[name]


def exact_paths(count: int, seed: int) -> Tensor:
    """Drawn from the normal distribution of each value given the one before."""
    generator, gap = torch.Generator().manual_seed(seed), (TIMES[1] - TIMES[0]).item()
    theta, mu, sigma = TRUE.values()
    kept = torch.exp(torch.tensor(-theta * gap))
    spread = sigma * torch.sqrt((1 - kept**2) / (2 * theta))
    y, rows = torch.zeros(count), []
    for _ in TIMES[1:]:
        y = mu + (y - mu) * kept + spread * torch.randn(count, generator=generator)
        rows.append(y)
    return torch.stack(rows)


def moments(paths: Tensor) -> Tensor:
    """Each path's part in means and mean squares, shape ``(24, count)``."""
    return torch.cat([paths, paths**2])


def fit(count: int, seed: int) -> Iterator[Fit]:
    start = time.perf_counter()
    seen = moments(exact_paths(count, seed))
    weights = 1 / (seen.var(1) / count).sqrt()
    model, gradients = Process(**GUESS), 0
    optimizer = torch.optim.LBFGS(model.parameters(), max_iter=60, line_search_fn="strong_wolfe", tolerance_change=1e-9)

    def loss() -> Tensor:
        nonlocal gradients
        gradients += 1
        optimizer.zero_grad()
        off = ((moments(model.paths(DRAWN * count, seed)).mean(1) - seen.mean(1)) * weights).square().mean()
        off.backward()
        return off

    optimizer.step(loss)
    yield Fit(
        seed,
        named(model.parts()),
        named(standard_errors(model, seen, weights, seed)),
        gradients,
        time.perf_counter() - start,
    )


def standard_errors(model: Process, seen: Tensor, weights: Tensor, seed: int) -> Tensor:
    """Of the estimates, from the covariance of the moments that were seen and drawn (McFadden 1989, theorem 1)."""
    count = seen.shape[1]
    drawn = moments(model.paths(DRAWN * count, seed)).mean(1)
    rows = [torch.autograd.grad(moment, model.values, retain_graph=True)[0] for moment in drawn]
    scaled = (
        torch.stack(rows) / model.parts().detach() * weights[:, None]
    )  # by the parts themselves, not their logarithms
    covariance = torch.cov(seen * weights[:, None]) / count * (1 + 1 / DRAWN)
    inverse = torch.linalg.inv(scaled.mT @ scaled)
    return (inverse @ scaled.mT @ covariance @ scaled @ inverse).diagonal().sqrt()


def named(values: Tensor) -> dict[str, float]:
    return dict(zip(TRUE, values.tolist(), strict=True))


def main() -> None:
    torch.set_default_dtype(torch.float64)
    args = common.measuring_arguments(__doc__, name="fit_noise")
    count, sets = (QUICK_SEEN, QUICK_SETS) if args.quick else (SEEN, SETS)
    fits, complete = measured(
        [args.seed + k for k in range(sets)], functools.partial(fit, count), lambda k: f"paths {k}"
    )
    rows = [
        (f"{one.seed}", *(f"{one.estimates[name]:.4f} ± {one.errors[name]:.4f}" for name in TRUE), f"{one.gradients}")
        for one in fits
    ]
    print_table(("paths", *TRUE, "gradients"), rows)
    offs = [one.off(name) for one in fits for name in TRUE]
    within = {f"{limit} standard errors": sum(abs(off) <= limit for off in offs) / len(offs) for limit in (1, 2, 3)}
    print(
        "estimates within "
        + ", ".join(f"{key}: {share:.0%}" for key, share in within.items())
        + " (expected 68, 95, 99.7)"
    )
    draw(args.output / "fit_noise.png", fits)
    numbers = {
        "fits": {
            f"paths {one.seed}": {name: f"{one.estimates[name]:.3f} ± {one.errors[name]:.3f}" for name in TRUE}
            for one in fits
        },
        "runs": [asdict(one) for one in fits],
        "true": TRUE,
        "within": within,
        "paths": count,
    }
    common.write_measurements(args, numbers, engine="julia", complete=complete)
    if not complete:
        raise SystemExit(common.INTERRUPTED)


def draw(path: Path, fits: list[Fit]) -> None:
    figure, panels = plt.subplots(1, 3, figsize=(12, 4.5), layout="constrained")
    for panel, color, (name, true) in zip(panels, COLORS, TRUE.items(), strict=False):
        for place, one in enumerate(fits):
            panel.errorbar(place, one.estimates[name], one.errors[name], fmt="o", color=color, ms=4)
        panel.axhline(true, color="0.6", lw=1)
        panel.set(title=f"{name}: true {true:g}, first guess {GUESS[name]:g}", xlabel="set of paths")
    panels[0].set_ylabel("estimates, with their standard errors")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
