"""pandas and xarray get times, values and names as they are."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tests.problems import DOUBLE
from tests.views.solutions import T, at_rest, decaying, ensemble, turning

STATE = {"position": torch.ones(2, 3, dtype=DOUBLE), "speed": torch.ones((), dtype=torch.float32)}


def test_a_data_frame_has_a_row_for_each_time() -> None:
    pytest.importorskip("pandas")
    solution = turning()
    frame = solution.to_pandas()
    assert list(frame.columns) == ["y[0]", "y[1]"]
    assert frame.index.name == "t"
    np.testing.assert_array_equal(frame.index, T)
    np.testing.assert_array_equal(frame, solution.y)
    frame.iloc[0, 0] = 7.0
    assert solution.y[0, 0] == 1.0


def test_a_data_frame_keeps_dtypes_and_complex_numbers() -> None:
    pytest.importorskip("pandas")
    frame = decaying(STATE).to_pandas()
    assert frame["speed"].dtype == np.float32
    assert frame["position[1, 2]"].dtype == np.float64
    solution = decaying(torch.ones(1, dtype=torch.complex64))
    np.testing.assert_array_equal(solution.to_pandas()["y[0]"], solution.y[:, 0])


def test_a_data_frame_of_an_ensemble_has_a_row_for_each_trajectory_and_time() -> None:
    pytest.importorskip("pandas")
    solution = ensemble()
    frame = solution.to_pandas()
    assert frame.index.names == ["trajectory", "t"]
    assert len(frame) == 11 * len(T)
    for trajectory in (0, 7):
        np.testing.assert_array_equal(frame.loc[trajectory], solution.y[:, trajectory])
        np.testing.assert_array_equal(frame.loc[trajectory].index, T)


def test_a_dataset_has_a_variable_for_each_tensor() -> None:
    pytest.importorskip("xarray")
    solution = decaying(STATE)
    found = solution.to_xarray()
    assert dict(found.sizes) == {"t": len(T), "position_dim_0": 2, "position_dim_1": 3}
    np.testing.assert_array_equal(found["t"], T)
    for name, values in solution.y.items():
        assert found[name].dims[0] == "t"
        np.testing.assert_array_equal(found[name], values)
    assert found.attrs == {"algorithm": "DP5", "engine": "embedded", "lane": "native", "retcode": "Success"}


def test_a_dataset_of_an_ensemble_has_a_dimension_of_trajectories() -> None:
    pytest.importorskip("xarray")
    solution = ensemble()
    found = solution.to_xarray()["y"]
    assert found.dims == ("t", "trajectory", "y_dim_0")
    np.testing.assert_array_equal(found, solution.y)
    np.testing.assert_allclose(found.sel(t=1.0).isel(trajectory=4), [4 * np.exp(-1), 1.0], rtol=1e-6)


def test_tensors_of_a_tuple_are_named_by_their_places() -> None:
    pytest.importorskip("xarray")
    assert list(decaying(tuple(STATE.values())).to_xarray()) == ["y[0]", "y[1]"]


def test_a_steady_state_is_one_row_at_infinity() -> None:
    pytest.importorskip("pandas")
    pytest.importorskip("xarray")
    solution = at_rest(prey=2.0, predators=3.0)
    frame = solution.to_pandas()
    assert frame.to_dict() == {"prey[0]": {np.inf: 2.0}, "predators[0]": {np.inf: 3.0}}
    found = solution.to_xarray()
    assert found["t"].item() == np.inf
    assert dict(found.sizes) == {"prey_dim_0": 1, "predators_dim_0": 1}
    assert found["predators"].item() == 3.0
