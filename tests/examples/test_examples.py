"""Every example runs to its end, fits, and continues where it was interrupted."""

import re
from dataclasses import dataclass

import pytest
import torch

from tests.examples import running
from tests.examples.interruption import interrupt_when
from tests.examples.running import results

pytest.importorskip("matplotlib")
pytest.importorskip("statsmodels")

LIMIT = 240  # seconds for one script, on a machine that others use too


@dataclass(frozen=True)
class Example:
    name: str
    bound: float  # on the JSON's error: what a model that learnt nothing exceeds
    stop_after: int  # iterations before the interruption
    slow: bool = False


# The spiral's error is an RMSE of coordinates within [-2, 2]; an unlearnt model's is above 1.
# The CO2 error is the RMSE of the forecast in ppm; the parameters it starts from give above 3.
# The ball's is the relative distance to a fit in closed form; the first guess is off by a half.
EXAMPLES = [
    Example("spiral", bound=0.5, stop_after=2),
    Example("co2", bound=2.0, stop_after=1, slow=True),
    Example("bouncing_ball", bound=1e-3, stop_after=1),
]


def run(example, output, *extra):
    return running.run(f"studies/{example.name}", output, "--engine", "embedded", *extra, limit=LIMIT)


def checkpoint(output):
    return torch.load(output / "checkpoint.pt", weights_only=True)


PARAMETERS = [
    pytest.param(example, id=example.name, marks=[pytest.mark.slow] if example.slow else []) for example in EXAMPLES
]


@pytest.fixture(scope="module", params=PARAMETERS)
def finished(request, tmp_path_factory):
    """An example, and the folder of a run that nothing interrupted."""
    output = tmp_path_factory.mktemp(request.param.name)
    ended = run(request.param, output)
    assert ended.returncode == 0, ended.stderr
    return request.param, output


def test_run_fits_and_writes_its_files(finished):
    example, output = finished
    assert (output / f"{example.name}.png").stat().st_size > 10_000
    found = results(output)
    assert found["numbers"]["error"] < example.bound
    assert found["ran"]["engine"] == "embedded"
    assert found["training"]["resumed_from"] is None
    assert found["training"]["iteration"] == found["settings"]["iterations"]
    assert found["machine"]["cpu"]


@pytest.mark.julia
@pytest.mark.timeout(2 * LIMIT)
@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_run_fits_through_julia(example, tmp_path):
    ended = run(example, tmp_path, "--engine", "julia", "--method", "Tsit5")
    assert ended.returncode == 0, ended.stderr
    assert results(tmp_path)["ran"]["engine"] == "julia"
    assert results(tmp_path)["numbers"]["error"] < example.bound


# What interrupts and resumes is the same for all.
RESUMED = [
    pytest.param(example, id=example.name, marks=[] if example.name == "spiral" else [pytest.mark.slow])
    for example in EXAMPLES
]


@pytest.mark.parametrize("finished", RESUMED, indirect=True)
def test_resumed_run_continues_as_if_never_interrupted(finished, tmp_path):
    example, reference = finished
    at = interrupt(example, tmp_path)
    total = results(reference)["settings"]["iterations"]
    assert example.stop_after <= at < total
    assert not (tmp_path / "results.json").exists()

    ended = run(example, tmp_path, "--resume")
    assert ended.returncode == 0, ended.stderr
    assert results(tmp_path)["training"]["resumed_from"] == at
    assert results(tmp_path)["training"]["iteration"] == total
    assert checkpoint(tmp_path)["history"] == checkpoint(reference)["history"]
    assert results(tmp_path)["numbers"]["error"] == pytest.approx(results(reference)["numbers"]["error"], rel=1e-9)


def interrupt(example, output):
    """Start the example, press Ctrl-C when some iterations are done, and return the checkpoint's iteration."""
    enough = lambda seen: done(seen) >= example.stop_after  # noqa: E731
    interrupt_when(enough, f"studies/{example.name}", output, "--engine", "embedded")
    return checkpoint(output)["iteration"]


def done(progress):
    """Iterations that tqdm's bar has counted so far."""
    return max((int(count) for count in re.findall(r"\| (\d+)/\d+ \[", progress)), default=0)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: example.name)
def test_resume_without_a_checkpoint_says_so(example, tmp_path):
    said = running.refusal(f"studies/{example.name}", tmp_path, "--engine", "embedded", "--resume")
    assert "there is no checkpoint" in said
