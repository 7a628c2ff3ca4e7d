"""Train a neural ODE on two processes at once, by torch's DistributedDataParallel over gloo.

A pendulum with friction is seen in noisy pieces of its motion; a network learns its vector field. Every batch is split
among the processes, and their gradients are averaged. Before training, the averaged gradient is compared with that of
one process on the joined batch: at a tight tolerance they agree. At the tolerance of training they may differ by what
the solver's error control allows, for each process chooses its steps for its own part of the batch.
"""

from __future__ import annotations

import argparse
import copy
import math
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import torch
import torch.distributed as dist
from torch import Tensor
from torch.multiprocessing import ProcessExitedException, get_context, spawn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DistributedSampler

sys.path.insert(0, str(Path(__file__).parents[2]))  # the repository

import pyode_bridge as pb
from examples.support import command_line, common

FRICTION = 0.1
PIECES, BATCH = 960, 240  # both divisible by any number of processes up to 6
PIECE_TIMES = torch.tensor([0.0, 0.5, 1.0])
TIMES = torch.linspace(0.0, 6.0, 121)  # of the held-out motions, which last six times as long as a piece
HELD_OUT = 24
SPREAD = torch.tensor([2.0, 1.5])  # of the first angles and velocities
NOISE = 0.02  # standard deviation of each measured coordinate
LEARNING_RATE = 2e-2
TOLERANCES = {"rtol": 1e-3, "atol": 1e-4}
FINE = {"rtol": 1e-7, "atol": 1e-8}  # for the truth, in float32
TIGHT = {"rtol": 1e-9, "atol": 1e-10}  # for the comparison of gradients in float64
AGREEMENT = 1e-6  # relative difference of gradients that the tight tolerances let expect


class Pieces(torch.nn.Module):
    """Pieces of motion from their first points, and how many evaluations they took."""

    def __init__(self, solver: dict[str, Any]) -> None:
        super().__init__()
        self.ode = pb.NeuralODE(Field(), PIECE_TIMES, **solver)
        self.nfe = 0

    def forward(self, y0: Tensor) -> Tensor:
        solution = self.ode.solve(y0)
        self.nfe = solution.stats.nfe
        return solution.y


class Field(torch.nn.Module):
    """dy/dt = net(y)."""

    def __init__(self) -> None:
        super().__init__()
        self.net = torch.nn.Sequential(torch.nn.Linear(2, 32), torch.nn.Tanh(), torch.nn.Linear(32, 2))

    def forward(self, _t: Tensor, y: Tensor) -> Tensor:
        return self.net(y)


def pendulum(_t: Tensor, y: Tensor) -> Tensor:
    angle, velocity = y.unbind(-1)
    return torch.stack([velocity, -torch.sin(angle) - FRICTION * velocity], dim=-1)


def motions(count: int, times: Tensor, solver: dict[str, Any]) -> Tensor:
    """True motions from random first points, shape ``(times, count, 2)``."""
    return pb.odeint(pendulum, SPREAD * (2 * torch.rand(count, 2) - 1), times, **{**solver, **FINE}).detach()


def loss_of(model: torch.nn.Module, pieces: Tensor) -> Tensor:
    return (model(pieces[0])[1:] - pieces[1:]).square().mean()


def options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--processes", type=int, choices=range(1, 7), default=2)


def main() -> None:
    args = common.arguments(
        __doc__, name="distributed", method="dopri5", iterations=600, quick_iterations=40, own=options
    )
    stop = get_context("spawn").Value("b", 0, lock=False)  # a lock could be held when the signal comes
    stop_on_ctrl_c(stop)
    with tempfile.TemporaryDirectory() as folder:
        running = spawn(process, (args, f"{folder}/meeting", stop), nprocs=args.processes, join=False)
        try:
            while not running.join():
                pass
        except ProcessExitedException as ended:
            raise SystemExit(common.INTERRUPTED if stop.value else ended.exit_code) from None


def stop_on_ctrl_c(stop: Any) -> None:
    """Only note Ctrl-C, which a terminal sends to every process: they leave together, before an iteration."""
    signal.signal(signal.SIGINT, lambda *_: setattr(stop, "value", 1))


def process(rank: int, args: argparse.Namespace, meeting: str, stop: Any) -> None:
    """What each process runs; they find each other through the file ``meeting``."""
    stop_on_ctrl_c(stop)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=args.processes)
    command_line.seed(args.seed)
    try:
        learn(rank, args, stop)
    except SystemExit:
        if rank == 0:  # all leave for the same reason, which the first one tells
            raise
    finally:
        dist.destroy_process_group()


def learn(rank: int, args: argparse.Namespace, stop: Any) -> None:
    """Train with the others; the first process shows, saves and draws."""
    solver = common.solver_settings(args)
    truth, pieces = motions(HELD_OUT, TIMES, solver), motions(PIECES, PIECE_TIMES, solver)
    pieces = pieces + NOISE * torch.randn_like(pieces)
    differences = compare_gradients(rank, pieces[:, :BATCH], args)
    model = Pieces({**solver, **TOLERANCES})
    parallel = DistributedDataParallel(model)
    optimizer = torch.optim.Adam(model.parameters())
    sampler = DistributedSampler(range(PIECES), args.processes, rank, seed=args.seed)

    def step(iteration: int) -> dict[str, float]:
        leave_together(stop)
        optimizer.param_groups[0]["lr"] = 0.5 * LEARNING_RATE * (1 + math.cos(math.pi * iteration / args.iterations))
        loss = loss_of(parallel, pieces[:, positions(sampler, iteration, BATCH // args.processes)])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return {"loss": average(loss.detach(), args.processes), "nfe": model.nfe}

    parts = {"model": model, "optimizer": optimizer}
    training = common.train(step, parts, args, every=100, leads=rank == 0)
    apart = distance_of_replicas(model)
    if rank > 0:
        return
    solution = model.ode.solve(truth[0], TIMES)
    fit = solution.y.detach()
    error = (fit - truth).square().mean().sqrt().item()
    print(f"RMSE of {HELD_OUT} held-out motions over {TIMES[-1]:g} time units: {error:.4f} (the noise is {NOISE})")
    print(f"The parameters of the {args.processes} processes differ by {apart:g}")
    draw(args.output / "distributed.png", truth, fit, [row["loss"] for row in training["history"]])
    numbers = {"error": error, "noise": NOISE, "gradients_differ_by": differences, "replicas_differ_by": apart}
    common.write_results(args, solution, training, numbers)


def leave_together(stop: Any) -> None:
    """Raise KeyboardInterrupt in every process if any has seen Ctrl-C; one alone would leave the others waiting."""
    seen = torch.tensor(stop.value)
    dist.all_reduce(seen, dist.ReduceOp.MAX)
    if seen:
        raise KeyboardInterrupt


def positions(sampler: DistributedSampler[int], iteration: int, size: int) -> list[int]:
    """This process's part of the iteration's batch."""
    mine = PIECES // sampler.num_replicas
    epoch, at = divmod(iteration * size, mine)
    sampler.set_epoch(epoch)
    return list(sampler)[at : at + size]


def average(value: Tensor, processes: int) -> float:
    dist.all_reduce(value)
    return value.item() / processes


def compare_gradients(rank: int, joined: Tensor, args: argparse.Namespace) -> dict[str, float]:
    """Relative difference of the averaged gradient from that of one process on the joined batch, by tolerance.

    Raises:
        SystemExit: it is too large for the tight tolerance.
    """
    found = {}
    for name, dtype, tolerances in (("in training", joined.dtype, TOLERANCES), ("tight", torch.float64, TIGHT)):
        alone = Pieces({**common.solver_settings(args), **tolerances}).to(dtype)
        parallel = DistributedDataParallel(copy.deepcopy(alone))
        batch = joined.to(dtype)
        loss_of(alone, batch).backward()
        loss_of(parallel, batch[:, rank :: args.processes]).backward()
        of_one, averaged = (
            torch.cat([parameter.grad.flatten() for parameter in model.parameters()]) for model in (alone, parallel)
        )
        found[name] = ((averaged - of_one).norm() / of_one.norm()).item()
        if rank == 0:
            print(
                f"Averaged gradient against one process's: relative difference {found[name]:.2g} "
                f"(rtol {tolerances['rtol']:g}, {str(dtype).removeprefix('torch.')})"
            )
    if found["tight"] > AGREEMENT:
        raise SystemExit(f"The gradients differ by {found['tight']:.2g}; expected less than {AGREEMENT:g}.")
    return found


def distance_of_replicas(model: torch.nn.Module) -> float:
    """The largest difference of a parameter between processes."""
    low = torch.nn.utils.parameters_to_vector(model.parameters()).detach()
    high = low.clone()
    dist.all_reduce(low, dist.ReduceOp.MIN)
    dist.all_reduce(high, dist.ReduceOp.MAX)
    return (high - low).max().item()


def draw(path: Path, truth: Tensor, fit: Tensor, losses: list[float]) -> None:
    figure, (plane, curve) = plt.subplots(1, 2, figsize=(13, 5.5), layout="constrained")
    for row in range(truth.shape[1]):
        first = row == 0
        plane.plot(*truth[:, row].T, color="0.6", lw=2.5, label="truth" if first else None)
        plane.plot(*fit[:, row].T, "--", color="tab:blue", lw=1.2, label="learnt ODE" if first else None)
    plane.plot(*truth[0].T, "o", ms=3, color="k", label="start")
    plane.set(title="Held-out motions of the pendulum", xlabel="angle (rad)", ylabel="angular velocity (rad/s)")
    plane.margins(y=0.15)
    plane.legend(loc="upper center", ncols=3)
    curve.semilogy(range(1, len(losses) + 1), losses, color="tab:blue", label="mean over the processes")
    curve.axhline(NOISE**2, color="k", ls=":", lw=1, label="variance of the noise")
    curve.set(title="Training", xlabel="iteration", ylabel="mean squared error of the pieces")
    curve.legend()
    figure.savefig(path, dpi=110)
    plt.close(figure)


if __name__ == "__main__":
    main()
