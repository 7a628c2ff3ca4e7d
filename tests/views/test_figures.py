"""What is drawn is the solution: the artists' data, names, and what marks events."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import pytest
import torch

import pyode_bridge as pb
from tests.problems import DOUBLE
from tests.views.solutions import SETTINGS, T, at_rest, decaying, ensemble, sawtooth, turn, turning

pytest.importorskip("matplotlib")
from matplotlib import pyplot


def data(ax: Any) -> dict[str, Any]:
    """The lines by their names; those without are matplotlib's own."""
    return {line.get_label(): line for line in ax.lines if not line.get_label().startswith("_")}


def legend(ax: Any) -> list[str]:
    return [text.get_text() for text in ax.get_legend().get_texts()]


def test_components_are_drawn_at_the_times() -> None:
    solution = turning()
    lines = data(solution.plot())
    assert list(lines) == ["y[0]", "y[1]"]
    for line, values in zip(lines.values(), solution.y.T, strict=True):
        np.testing.assert_array_equal(line.get_xdata(), T)
        np.testing.assert_array_equal(line.get_ydata(), values)
        assert line.get_marker() == "."
    assert len({line.get_color() for line in lines.values()}) == 2


def test_axes_are_named_and_a_single_curve_needs_no_legend() -> None:
    ax = turning().plot()
    assert (ax.get_xlabel(), ax.get_ylabel(), legend(ax)) == ("t", "", ["y[0]", "y[1]"])
    ax = turning().plot("y[1]")
    assert (ax.get_xlabel(), ax.get_ylabel(), ax.get_legend()) == ("t", "y[1]", None)


def test_axes_are_those_that_are_given_else_new_ones() -> None:
    _, (left, right) = pyplot.subplots(1, 2)
    solution = turning()
    assert solution.plot(ax=right) is right
    assert not left.lines
    assert solution.plot() is not solution.plot()
    colours = {line.get_color() for line in solution.plot(ax=right).lines}
    assert len(colours) == 4  # a second solution in the same axes can be told from the first


def test_dense_output_makes_smooth_curves() -> None:
    coarse = torch.tensor([0.0, 2 * torch.pi], dtype=DOUBLE)
    for t in (coarse, coarse.flip(0) * -1, coarse.flip(0)):
        first = data(turning(t=t, dense=True).plot())["y[0]"]
        x, y = first.get_xdata(), first.get_ydata()
        assert (x[0], x[-1]) == (t[0], t[-1])
        assert np.abs(np.diff(x)).max() < 0.05
        assert first.get_marker() == "None"
        np.testing.assert_allclose(y, np.cos(x - t[0].item()), atol=1e-5)  # of the interpolant


def test_what_has_travelled_is_drawn_at_the_times() -> None:
    line = data(copy.deepcopy(turning(dense=True)).plot())["y[0]"]
    np.testing.assert_array_equal(line.get_xdata(), T)


def test_points_of_many_times_are_left_out() -> None:
    ax = turning(t=torch.linspace(0.0, 2.0, 101, dtype=DOUBLE)).plot()
    assert {line.get_marker() for line in ax.lines} == {"None"}


def test_tensors_of_a_dict_are_named_by_their_keys() -> None:
    state = {"height": torch.ones((), dtype=DOUBLE), "speed": torch.ones(2, dtype=DOUBLE)}
    assert list(data(decaying(state).plot())) == ["height", "speed[0]", "speed[1]"]
    assert list(data(decaying(tuple(state.values())).plot("y[1]"))) == ["y[1][0]", "y[1][1]"]


def test_a_phase_plane_has_one_component_against_another() -> None:
    ax = turning().plot([1, 0], phase=True)
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xdata(), -torch.sin(T), atol=1e-6)
    np.testing.assert_allclose(line.get_ydata(), torch.cos(T), atol=1e-6)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("y[1]", "y[0]")
    with pytest.raises(pb.InputError, match=r"two axes, but there are 1 curves; choose two components"):
        turning().plot(0, phase=True)


def test_complex_components_are_drawn_in_parts() -> None:
    start = torch.tensor([1.0 + 2.0j, 3.0 - 1.0j], dtype=torch.complex128)
    solution = decaying(start)
    lines = data(solution.plot())
    assert list(lines) == ["Re y[0]", "Im y[0]", "Re y[1]", "Im y[1]"]
    np.testing.assert_array_equal(lines["Im y[1]"].get_ydata(), solution.y[:, 1].imag)
    assert [line.get_linestyle() for line in lines.values()] == ["-", "--"] * 2
    colours = [line.get_color() for line in lines.values()]
    assert (colours[0], colours[2]) == (colours[1], colours[3])
    assert colours[0] != colours[2]
    ax = solution.plot(1, phase=True)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Re y[1]", "Im y[1]")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), solution.y[:, 1].imag)


def test_many_components_have_colours_of_a_scale_and_too_many_are_refused() -> None:
    ax = decaying(torch.ones(30, dtype=DOUBLE)).plot()
    assert len({tuple(line.get_color()) for line in ax.lines}) == 30
    assert ax.get_legend() is None
    large = decaying(torch.ones(20, 30, dtype=DOUBLE))
    with pytest.raises(pb.InputError, match=r"600 curves to draw, and 100 are the most; .*plot\(\[0, 1\]\)"):
        large.plot()
    assert list(data(large.plot(["y[2, 3]", 599]))) == ["y[2, 3]", "y[19, 29]"]


def test_events_are_marked_and_curves_break_where_they_jump() -> None:
    ax = sawtooth().plot()
    times, before, after = [0.4, 0.75, 1.15, 1.5, 1.9], [0.4, 0.75, 0.4, 0.75, 0.4], [0.4, 0.0, 0.4, 0.0, 0.4]
    curve, rings = ax.lines[0], [line for line in ax.lines if line.get_marker() == "o"]
    bars = [line for line in ax.lines[1:] if line not in rings]
    x, y = curve.get_xdata(), curve.get_ydata()
    (breaks,) = np.nonzero(np.isnan(y))
    for where in (breaks - 1, breaks, breaks + 1):
        np.testing.assert_allclose(x[where], times, atol=1e-6)
    np.testing.assert_allclose(y[breaks - 1], before, atol=1e-6)
    np.testing.assert_allclose(y[breaks + 1], after, atol=1e-6)
    np.testing.assert_array_equal(np.delete(x, np.concatenate([breaks - 1, breaks, breaks + 1])), T)
    at = [[ring.get_xdata()[0], ring.get_ydata()[0]] for ring in rings]
    np.testing.assert_allclose(at, np.stack([times, before], axis=1), atol=1e-6)
    np.testing.assert_allclose([bar.get_xdata()[0] for bar in bars], times, atol=1e-6)
    assert len({bar.get_linestyle() for bar in bars}) == 2
    assert legend(ax) == ["y[0]", "event 1", "event 0"]


def test_events_are_marked_in_a_phase_plane() -> None:
    end = pb.Event(lambda t, y: y[0], terminal=True)
    solution = pb.solve_events(turn, torch.tensor([1.0, 0.0], dtype=DOUBLE), T, [end], **SETTINGS)
    ax = solution.plot(phase=True)
    (ring,) = data(ax).values()
    assert ring.get_label() == "event 0"
    np.testing.assert_allclose([ring.get_xdata(), ring.get_ydata()], [[0.0], [-1.0]], atol=1e-6)


def test_events_of_a_solve_backwards_are_in_order() -> None:
    end = pb.Event(lambda t, y: y[0] - 2.0, terminal=True)
    solution = pb.solve_events(lambda t, y: -y, torch.ones(1, dtype=DOUBLE), -T, [end], **SETTINGS)
    x = data(solution.plot())["y[0]"].get_xdata()
    assert (np.diff(x) <= 0).all()
    np.testing.assert_allclose(x[-1], -np.log(2), atol=1e-6)


def test_an_ensembles_band_holds_its_part_of_the_trajectories() -> None:
    solution = ensemble()
    ax = solution.plot("y[0]", band=0.8)
    (median,) = ax.lines
    np.testing.assert_allclose(median.get_ydata(), 5 * torch.exp(-T), rtol=1e-6)  # of 0, 1, ..., 10
    (band,) = ax.collections
    edge = band.get_paths()[0].vertices
    for t in T.tolist():
        found = edge[np.isclose(edge[:, 0], t), 1]
        np.testing.assert_allclose([found.min(), found.max()], np.array([1, 9]) * np.exp(-t), rtol=1e-6)
    assert legend(ax) == ["y[0], median", "y[0], middle 80%"]
    with pytest.raises(pb.InputError, match=r"band is 90; expected the part .* such as 0\.9, or None"):
        solution.plot(band=90)


def test_trajectories_of_an_ensemble_are_drawn_each() -> None:
    solution = ensemble()
    ax = solution.plot(band=None)
    assert len(ax.lines) == 2 * 11
    assert legend(ax) == ["y[0]", "y[1]"]
    for component in range(2):
        colour = ax.lines[component].get_color()
        own = [line.get_ydata() for line in ax.lines if line.get_color() == colour]
        np.testing.assert_array_equal(own, solution.y[..., component].T)
    phase = [line.get_xdata() for line in solution.plot(phase=True).lines if len(line.get_xdata())]
    np.testing.assert_array_equal(phase, solution.y[..., 0].T)


def test_a_steady_state_has_a_point_for_each_component() -> None:
    ax = at_rest(prey=2.0, predators=3.0).plot()
    (points,) = ax.lines
    np.testing.assert_array_equal(points.get_ydata(), [2.0, 3.0])
    assert [label.get_text() for label in ax.get_xticklabels()] == ["prey[0]", "predators[0]"]
    (point,) = at_rest(prey=2.0, predators=3.0).plot(phase=True).lines
    assert (point.get_xdata(), point.get_ydata()) == (2.0, 3.0)
