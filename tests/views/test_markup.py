"""What notebooks show is HTML that is well formed, and texts stay texts."""

from __future__ import annotations

from dataclasses import replace
from xml.etree import ElementTree

import pytest

import pyode_bridge as pb
from pyode_bridge.views import markup
from tests.views.solutions import ensemble, sawtooth, turning


def cells(html: str) -> list[list[str]]:
    return [["".join(cell.itertext()) for cell in row] for row in ElementTree.fromstring(html).iter("tr")]


def test_texts_stay_as_they_are() -> None:
    rows = [["<b>", 'a & "b"'], ["</td>", "<script>alert(1)</script>"]]
    assert cells(markup.table(rows, ["x < y", "z"])) == [["x < y", "z"], *rows]
    assert ElementTree.fromstring(markup.titled("<i>", "<p>one</p>")).findtext("strong") == "<i>"


def test_a_solution_says_what_ran_and_what_it_took() -> None:
    solution = turning()
    shown = dict(cells(solution._repr_html_()))
    stats = solution.stats
    assert shown == {
        "solver": "DP5",
        "engine": "embedded",
        "lane": f"native: {solution.lane_reason}",
        "times": "9 times from 0 to 2",
        "tolerances": "rtol 1e-07, atol 1e-09",
        "steps": f"{stats.accepted} accepted, {stats.rejected} rejected",
        "evaluations": f"{stats.nfe} of the dynamics, 0 Jacobians",
        "retcode": "Success",
    }


def test_a_reason_cannot_break_out_of_its_cell() -> None:
    solution = turning()
    changed = replace(solution, trajectory=replace(solution.trajectory, lane_reason="it calls <lambda> & more"))
    assert dict(cells(changed._repr_html_()))["lane"] == "native: it calls <lambda> & more"


def test_each_kind_names_itself_and_its_extent() -> None:
    extents = {sawtooth(): "9 times from 0 to 2, 5 events", ensemble(): "11 trajectories, 9 times from 0 to 2"}
    for solution, extent in extents.items():
        html = solution._repr_html_()
        assert ElementTree.fromstring(html).findtext("strong") == type(solution).__name__
        assert dict(cells(html))["times"] == extent


@pytest.mark.julia
def test_a_residual_says_in_which_formulation_it_was_solved() -> None:
    import torch

    t = torch.tensor([0.0, 1.0])
    solution = pb.solve_dae(lambda t, y, dy: dy + y, torch.ones(1), t, engine="julia")
    assert dict(cells(solution._repr_html_()))["formulation"] == "residual: no method is named"
