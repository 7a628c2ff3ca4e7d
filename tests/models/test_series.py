"""Series, the walk back through them, and solves on the union of their times."""

from __future__ import annotations

import pytest
import torch

from pyode_bridge import InputError, odeint
from pyode_bridge.models import Series, gather_times, union_of_times
from pyode_bridge.models.series import steps_back
from tests.problems import DOUBLE, SPIRAL, Linear

NAN = float("nan")


def test_missing_values_are_those_that_are_nan():
    series = Series.of(torch.tensor([0.0, 1.0]), torch.tensor([[[1.0, NAN], [NAN, NAN]]]))
    assert series.mask.tolist() == [[[True, False], [False, False]]]
    assert series.observed.tolist() == [[True, False]]
    assert series.x.tolist() == [[[1.0, 0.0], [0.0, 0.0]]]


def test_walk_back_gives_the_gaps_between_observed_rows_and_ends_at_the_start():
    t = torch.tensor([[0.5, 1.0, 3.0, 3.5], [0.25, 2.0, 2.5, 9.0]])
    seen = torch.tensor([[True, False, True, True], [True, True, True, False]])
    steps = list(steps_back(Series(t, torch.zeros(2, 4, 1), seen[..., None]), start=0.125))
    gaps = torch.stack([step.gap for step in steps], dim=1)
    assert gaps.tolist() == [[0.0, 0.5, 0.0, 2.5, 0.375], [0.0, 0.0, 0.5, 1.75, 0.125]]
    moves = torch.stack([step.moves for step in steps], dim=1)
    assert torch.equal(moves, torch.cat([seen.flip(1), torch.ones(2, 1, dtype=torch.bool)], dim=1))
    assert not steps[-1].mask.any()


@pytest.mark.parametrize(
    ("t", "x", "mask", "message"),
    [
        (torch.zeros(2, 3), torch.zeros(2, 4, 1), torch.ones(2, 4, 1, dtype=torch.bool), "expected \\(B, N\\)"),
        (torch.zeros(2, 3), torch.zeros(2, 3, 1), torch.ones(2, 3, 1), "torch.bool"),
        (torch.tensor([[1.0, 0.0]]), torch.zeros(1, 2, 1), torch.ones(1, 2, 1, dtype=torch.bool), "sort each series"),
        (torch.zeros(1, 2), torch.full((1, 2, 1), NAN), torch.ones(1, 2, 1, dtype=torch.bool), "2 observed values"),
    ],
    ids=["shapes", "mask", "order", "nan"],
)
def test_unusable_series_are_refused(t, x, mask, message):
    with pytest.raises(InputError, match=message):
        Series(t, x, mask)


def test_values_before_the_start_are_refused():
    with pytest.raises(InputError, match="before start = 1"):
        list(steps_back(Series.of(torch.tensor([0.5, 2.0]), torch.zeros(1, 2, 1)), start=1.0))


def test_union_of_times_gathers_what_solving_one_by_one_gives(engine):
    field = Linear(SPIRAL)
    t = (torch.rand(4, 6, dtype=DOUBLE) * 2).sort(dim=1).values
    t[0, 2] = t[1, 3]  # a time that two series share
    t[0] = t[0].sort().values
    z0 = torch.randn(4, 2, dtype=DOUBLE)
    solver = {"method": "DP5", "rtol": 1e-9, "atol": 1e-11, "engine": engine}
    grid, position = union_of_times(t, start=0.0)
    together = gather_times(odeint(field, z0, grid, **solver), position)
    for row in range(4):
        alone = odeint(field, z0[row], torch.cat([t.new_zeros(1), t[row]]), **solver)[1:]
        torch.testing.assert_close(together[row], alone, rtol=1e-7, atol=1e-8)
        torch.testing.assert_close(alone, field.exact(z0[row], torch.cat([t.new_zeros(1), t[row]]))[1:])


def test_union_holds_each_time_once_between_its_bounds():
    grid, position = union_of_times(torch.tensor([[0.5, 1.0], [0.25, 1.0]]), start=0.0, end=2.0)
    assert grid.tolist() == [0.0, 0.25, 0.5, 1.0, 2.0]
    assert position.tolist() == [[2, 3], [1, 3]]
    with pytest.raises(InputError, match="end = 0\\.75"):
        union_of_times(torch.tensor([[0.5, 1.0]]), start=0.0, end=0.75)
    with pytest.raises(InputError, match="start = 0\\.6"):
        union_of_times(torch.tensor([[0.5, 1.0]]), start=0.6)
