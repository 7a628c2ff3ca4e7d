"""The density example runs to its end, learns, and continues where it was interrupted."""

import pytest
import torch

from pyode_bridge.models import FlowDistribution, InverseFlow, PlanarFlow
from tests.examples import running
from tests.examples.running import results

pytest.importorskip("matplotlib")

LIMIT = 280  # seconds for one run, on a machine that others use too
NAME = "studies/density/run"
FIGURES = ("density.png", "density_comparison.png", "density_flow.png")
# E_q[log q + U] + log Z of the base, a standard normal, which a model that learnt nothing stays near or above.
UNLEARNT_KL = 1.2


def run(output, *extra, engine="embedded"):
    return running.run(NAME, output, "--engine", engine, *extra, limit=LIMIT)


def test_quick_run_learns(engine, tmp_path):
    ended = run(tmp_path, "--task", "u1", engine=engine)
    assert ended.returncode == 0, ended.stderr
    assert all((tmp_path / name).stat().st_size > 10_000 for name in FIGURES)
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    (row,) = found["numbers"]["table"]
    assert 0 < row["planar"] < UNLEARNT_KL
    assert 0 < row["continuous"] < UNLEARNT_KL
    planar, continuous = found["numbers"]["cells"]
    assert planar["samples"] > continuous["samples"] > 0
    assert [cell["integral"] for cell in (planar, continuous)] == pytest.approx([1.0, 1.0], abs=1e-3)
    assert "densities over the plane integrate to 1 within" in ended.stdout


def test_table_of_measurements_has_no_picture_of_a_plane_and_resumes(tmp_path):
    pytest.importorskip("sklearn")
    short = ("--task", "tumours", "--iterations", "5")
    ended = run(tmp_path, *short)
    assert ended.returncode == 0, ended.stderr
    assert [path.name for path in tmp_path.glob("*.png")] == ["density_comparison.png"]
    found = results(tmp_path)["numbers"]
    planar, continuous = found["cells"]
    assert planar["samples"] == 2 * continuous["samples"]
    assert planar["integral"] is None

    # One training is lost; the other is read from its checkpoint, and both come out as before.
    (tmp_path / "tumours-continuous-8-seed0" / "checkpoint.pt").unlink()
    resumed = run(tmp_path, *short, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    again = results(tmp_path)
    assert again["training"]["resumed_from"] == planar["samples"] // 512
    for model in ("planar", "continuous"):
        assert again["numbers"]["table"][0][model] == pytest.approx(found["table"][0][model], rel=1e-6)


def test_resume_without_a_checkpoint_says_so(tmp_path):
    assert "there is no checkpoint" in running.refusal(NAME, tmp_path, "--resume")


@pytest.fixture
def tasks():
    from examples.studies.density import tasks

    return tasks


@pytest.fixture
def figures():
    from examples.studies.density import figures

    return figures


@pytest.mark.parametrize("wrap", [lambda flow: flow, InverseFlow], ids=["planar", "inverse-planar"])
def test_planar_flow_in_parts_leads_from_the_base_to_the_model(figures, tasks, wrap):
    base = torch.distributions.MultivariateNormal(torch.zeros(2), torch.eye(2))
    planar = PlanarFlow(2, 4)
    with torch.no_grad():
        planar.u.add_(0.5 * torch.randn_like(planar.u))
    distribution = FlowDistribution(wrap(planar), base)
    points, area = tasks.plane_grid(201, box=8.0)
    points = points.float()
    stages = [figures.density_after(distribution, points, part) for part in (0.0, 0.5, 1.0)]
    torch.testing.assert_close(stages[0], base.log_prob(points).exp())
    torch.testing.assert_close(stages[2], distribution.log_prob(points).exp())
    assert (stages[1] - stages[0]).abs().max() > 0.01
    assert (stages[2] - stages[1]).abs().max() > 0.01
    assert [stage.sum().item() * area for stage in stages] == pytest.approx([1.0] * 3, abs=1e-3)


@pytest.mark.parametrize("name", ["u1", "u2", "u3", "u4"])
def test_potentials_are_normalised(tasks, name):
    """By a sum over another grid than the one that made the constant."""
    task = tasks.TASKS[name]()
    points, area = tasks.plane_grid(701, box=7.0)
    assert (task.log_density(points).exp().sum() * area).item() == pytest.approx(1.0, abs=1e-4)


def test_unlearnt_kl_bounds_that_of_the_base(tasks):
    """The bound of the quick run is below what the standard normal itself scores."""
    task = tasks.TASKS["u1"]()
    points, area = tasks.plane_grid(701, box=7.0)
    base = torch.distributions.MultivariateNormal(torch.zeros(2).double(), torch.eye(2).double())
    log_q = base.log_prob(points)
    divergence = (log_q.exp() * (log_q - task.log_density(points))).sum() * area
    assert divergence > UNLEARNT_KL


def test_held_out_samples_do_not_depend_on_the_seed(tasks):
    torch.manual_seed(1)
    first = tasks.TASKS["moons"]().held_out
    torch.manual_seed(2)
    assert torch.equal(tasks.TASKS["moons"]().held_out, first)
