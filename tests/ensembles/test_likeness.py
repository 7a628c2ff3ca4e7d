"""Neighbours in the order of likeness are close, and none is lost."""

import pytest
import torch

from pyode_bridge.ensembles.likeness import order_of_likeness


@pytest.mark.parametrize("count", [1, 2, 3, 7, 64, 100, 1000])
@pytest.mark.parametrize("size", [1, 2, 3, 8, 50])
def test_each_point_is_there_once(count, size):
    points = torch.rand(count, 3, generator=torch.Generator().manual_seed(count))
    assert sorted(order_of_likeness(points, size).tolist()) == list(range(count))


def test_groups_stay_together():
    group = torch.arange(64) % 4
    points = torch.stack([(group // 2).double(), 1e6 * (group % 2)], dim=1)
    found = group[order_of_likeness(points, 16)].view(4, 16)
    assert (found == found[:, :1]).all()


def test_neighbours_are_closer_than_any_two():
    points = torch.rand(1000, 2, generator=torch.Generator().manual_seed(0))
    packs = points[order_of_likeness(points, 50)].view(20, 50, 2)
    assert packs.std(dim=1).mean() < 0.4 * points.std(dim=0).mean()


def test_a_coordinate_that_all_share_says_nothing():
    points = torch.stack([torch.full((8,), 3.0), torch.tensor([0.0, 1, 0, 1, 0, 1, 0, 1])], dim=1)
    assert set(order_of_likeness(points, 4)[:4].tolist()) in ({0, 2, 4, 6}, {1, 3, 5, 7})
