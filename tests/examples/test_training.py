"""The training loop of the examples: early stopping, and what a resumed training keeps of it."""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("matplotlib")
ROOT = Path(__file__).parents[2]
LOSSES = [5.0, 4.0, 3.0, 3.5, 3.0, 4.0, 1.0]  # the lowest of those that a patience of 3 lets happen is the third


def arguments(output: Path, **changed: Any) -> argparse.Namespace:
    settings = {"method": "dopri5", "engine": "embedded", "sensealg": None, "quick": True, "seed": 0}
    return argparse.Namespace(**{**settings, "output": output, "iterations": len(LOSSES), "resume": False, **changed})


class Counter(torch.nn.Module):
    """A model whose weight is the number of iterations it was trained for."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def step(self, losses: Iterable[float]) -> Any:
        given = iter(losses)

        def step(_iteration: int) -> dict[str, float]:
            with torch.no_grad():
                self.weight += 1
            return {"validation": next(given)}

        return step


def train(model: Counter, args: argparse.Namespace, step: Any, patience: int | None = 3) -> dict[str, Any]:
    from examples.support import common

    stopping = None if patience is None else common.EarlyStopping("validation", patience)
    found: dict[str, Any] = common.train(step, {"model": model}, args, every=1, early_stopping=stopping)
    return found


def test_training_stops_and_the_best_state_is_restored(tmp_path: Path) -> None:
    model = Counter()
    found = train(model, arguments(tmp_path), model.step(LOSSES))
    assert (found["iteration"], found["best_iteration"], model.weight.item()) == (6, 3, 3.0)


def test_best_state_is_restored_where_all_iterations_are_done(tmp_path: Path) -> None:
    model = Counter()
    found = train(model, arguments(tmp_path), model.step(LOSSES), patience=4)
    assert (found["iteration"], found["best_iteration"]) == (7, 7)
    found = train(model := Counter(), arguments(tmp_path, iterations=5), model.step(LOSSES), patience=4)
    assert (found["iteration"], found["best_iteration"], model.weight.item()) == (5, 3, 3.0)


def test_without_patience_all_iterations_are_done_and_the_last_state_stays(tmp_path: Path) -> None:
    model = Counter()
    found = train(model, arguments(tmp_path), model.step(LOSSES), patience=None)
    assert (found["iteration"], found["best_iteration"], model.weight.item()) == (7, None, 7.0)


@pytest.mark.parametrize("done", range(7))
def test_resumed_training_stops_where_it_would_have(done: int, tmp_path: Path) -> None:
    """Interrupted after each number of iterations, before and after the best one."""

    def interrupted() -> Iterator[float]:
        yield from LOSSES[:done]
        raise KeyboardInterrupt

    model = Counter()
    if done < 6:  # after six the training is over
        with pytest.raises(SystemExit) as left:
            train(model, arguments(tmp_path), model.step(interrupted()))
        assert left.value.code == 130
    else:
        train(model, arguments(tmp_path), model.step(LOSSES))
    resumed = Counter()
    found = train(resumed, arguments(tmp_path, resume=True), resumed.step(LOSSES[done:]))
    assert (found["iteration"], found["best_iteration"], found["resumed_from"]) == (6, 3, done)
    assert resumed.weight.item() == 3.0
    assert [row["validation"] for row in found["history"]] == LOSSES[:6]


def test_resuming_with_another_patience_is_refused(tmp_path: Path) -> None:
    model = Counter()
    train(model, arguments(tmp_path), model.step(LOSSES))
    with pytest.raises(SystemExit, match="--patience was 3"):
        train(model, arguments(tmp_path, resume=True), model.step(LOSSES), patience=2)


def test_resuming_with_another_option_of_the_example_is_refused(tmp_path: Path) -> None:
    model = Counter()
    train(model, arguments(tmp_path, first_noise=0.1), model.step(LOSSES))
    with pytest.raises(SystemExit, match=r"--first-noise was 0\.1"):
        train(model, arguments(tmp_path, first_noise=0.2, resume=True), model.step(LOSSES))


def test_measurements_count_and_nan_is_never_the_lowest() -> None:
    from examples.support.early_stopping import EarlyStopping

    stopping = EarlyStopping("validation", 2)
    history: list[dict[str, float]] = [{"validation": math.nan}, {"loss": 0.0}]
    assert (stopping.best(history), stopping.over(history)) == (None, False)
    assert stopping.over([*history, {"validation": math.nan}])
    history.append({"validation": 2.0})
    assert (stopping.best(history), stopping.over([*history, *(2 * [{"loss": 0.0}])])) == (2, False)
    assert stopping.over([*history, {"validation": math.nan}, {"validation": 2.0}])


def test_patience_below_one_is_refused() -> None:
    from examples.support.early_stopping import EarlyStopping

    with pytest.raises(SystemExit, match="--patience is 0; give at least 1"):
        EarlyStopping("validation", 0)
