"""The flows of tables: they run to their end and learn, and the tables are divided and cleaned as they say."""

import pytest
import torch

from tests.examples import running
from tests.examples.running import results

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")

from examples.studies.tabular_flow.run import Whitening
from examples.studies.tabular_flow.tables import divided, measurements

NAME = "studies/tabular_flow/run"
LIMIT = 280  # seconds for one run, on a machine that others use too


def test_quick_run_learns(engine, tmp_path):
    ended = running.run(NAME, tmp_path, "--engine", engine, limit=LIMIT)
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "tabular_flow.png").stat().st_size > 10_000
    found = results(tmp_path)
    assert found["ran"]["engine"] == engine
    normal, _, *continuous = found["numbers"]["summary"]
    assert normal["model"] == "normal distribution"
    # Both flows begin at it, near enough, and thirty iterations do not spoil them.
    assert all(line["nll"] < normal["nll"] + 0.5 for line in continuous)
    free, tied = (row for row in found["numbers"]["cells"] if row["weight"] is not None)
    assert (free["weight"], tied["weight"]) == (0.0, 0.1)
    assert tied["kinetic_energy"] < free["kinetic_energy"]


def test_whitened_rows_have_unit_covariance_and_the_right_density():
    rows = torch.randn(500, 3) @ torch.tensor([[1.0, 0.5, 0.0], [0.0, 2.0, 0.3], [0.0, 0.0, 0.1]]) + 4
    whiten = Whitening(rows)
    white = whiten(rows)
    torch.testing.assert_close(white.mean(0), torch.zeros(3), atol=1e-4, rtol=0)
    torch.testing.assert_close(white.T.cov(), torch.eye(3), atol=1e-3, rtol=0)
    normal = torch.distributions.MultivariateNormal(rows.mean(0), rows.T.cov())
    standard = torch.distributions.MultivariateNormal(torch.zeros(3), torch.eye(3))
    torch.testing.assert_close(standard.log_prob(white) + whiten.log_det, normal.log_prob(rows), atol=1e-3, rtol=1e-3)


def test_a_table_is_divided_into_rows_of_their_own():
    table = divided(torch.arange(100.0, dtype=torch.float64)[:, None], (0.1, 0.2))
    assert [len(part) for part in (table.train, table.validation, table.test)] == [70, 10, 20]
    assert len(torch.cat([table.train, table.validation, table.test]).unique()) == 100
    torch.testing.assert_close(torch.std_mean(table.train), (torch.tensor(1.0), torch.tensor(0.0)), atol=1e-5, rtol=0)


def test_rows_without_a_measurement_and_columns_of_repeated_values_are_left_out():
    good = torch.rand(50, 3)
    failed, background = torch.full((4, 3), -999.0), torch.rand(6, 3)
    values = torch.cat([good, failed, background])
    values[:7, 1] = 0.25  # a value that seven rows share
    signal = torch.arange(60) < 54
    kept = measurements(values, signal)
    assert torch.equal(kept, good[:, [0, 2]])
