"""The gallery is what its script makes of the figures and their JSON, and says the truth about them."""

from __future__ import annotations

import html
import json
import re
import shlex
import statistics
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("matplotlib")
slugify = pytest.importorskip("markdown.extensions.toc").slugify  # what the site makes of titles
pytest.importorskip("sklearn")
pytest.importorskip("statsmodels")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "docs"))
    import make_gallery

    return make_gallery


def test_the_committed_page_is_what_the_figures_make(gallery: Any) -> None:
    page = gallery.page()
    assert (ROOT / "docs" / "gallery.md").read_text() == page, "run `python docs/make_gallery.py`"
    for figure in (ROOT / "examples" / "figures").rglob("*.png"):
        assert page.count(f"(../{figure.relative_to(ROOT).as_posix()})") == 1, figure.name


def test_tables_of_other_pages_are_what_the_records_say(gallery: Any) -> None:
    found = 0
    for path in gallery.pages():
        text = path.read_text()
        assert gallery.with_tables(text) == text, f"{path.name}: run `python docs/make_gallery.py`"
        found += text.count("<!-- table: ")
        assert text.count("<!-- table: ") == len(gallery.TABLE.findall(text)), path.name
    assert found, "no page has a table of a record"


def test_the_page_opens_with_a_small_picture_of_each_section(gallery: Any) -> None:
    opening, *sections = re.split(r"^## ", gallery.page(), flags=re.MULTILINE)
    leading = re.findall(r'<a href="#(.+?)" title="(.+?)"><img src="\.\./(.+?)"', opening)
    titles = [section.splitlines()[0] for section in sections]
    assert [html.unescape(title) for _, title, _ in leading] == titles
    assert [anchor for anchor, _, _ in leading] == [slugify(title, "-") for title in titles]
    assert all((ROOT / figure).is_file() for _, _, figure in leading)


def test_times_beside_others_are_those_of_the_record() -> None:
    """The README's table, read back, against the medians of each contestant."""
    rows = json.loads((ROOT / "examples" / "figures" / "benchmarks.json").read_text())["numbers"]["rows"]
    seconds = {(row["case"], row["contestant"]): row["seconds"] for row in rows}
    table = dict(re.findall(r"^\| (.+): ms \| (.+) \|$", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert len(table) == 6
    ours, torchdiffeq, diffrax = (float(cell.replace(",", "")) for cell in table["a stiff reaction"].split(" | "))
    assert ours == pytest.approx(1e3 * seconds["ROBER", "compiled"], rel=0.05)
    assert torchdiffeq == pytest.approx(1e3 * seconds["ROBER", "torchdiffeq"], rel=0.05)
    assert diffrax == pytest.approx(1e3 * seconds["ROBER", "diffrax"], rel=0.05)


def test_the_comparison_shows_cases_in_which_another_library_is_faster(gallery: Any) -> None:
    """It is no choice of those in which the package wins."""
    table = gallery.comparison.apart()
    times = [[float(cell.replace(",", "")) for cell in row.values()] for name, row in table.items() if "ms" in name]
    assert any(ours > min(others) for ours, *others in times)


def test_claims_are_met_where_the_seeds_of_the_records_say(gallery: Any) -> None:
    met = {words: row["met"] for words, row in gallery.claims.table().items()}

    def mean(record: str, row: str, column: str) -> float:
        by_seed = json.loads((ROOT / "examples" / "figures" / f"{record}.json").read_text())["numbers"]["by_seed"]
        assert len(by_seed) >= 5
        return statistics.fmean(table[row][column] for table in by_seed)

    for task in ("fill", "one year ahead", "five years ahead"):
        ode, *others = (
            mean("latent_ode_co2", task, name)
            for name in ("latent ODE", "RNN", "RNN with time gaps", "quadratic trend + seasons")
        )
        assert met[f"and the CO2 of Mauna Loa, {task}, than RNNs and trends"] == (ode < min(others))
    published = {"30": 0.1642, "50": 0.1502, "100": 0.1346}
    for count, paper in published.items():
        ode, rnn = (mean("latent_ode_spirals", name, count) for name in ("latent ODE", "RNN with time gaps"))
        words = f"a latent ODE continues spirals seen at {count} of 100 times better than an RNN"
        assert met[words] == (ode < min(rnn, paper))
    resnet = "an ODE-Net classifies MNIST as well as a ResNet, with a third of its parameters"
    for record, other, words in (
        ("classify_digits", "RK-Net", "and as well as an RK-Net: 3 epochs"),
        ("classify_digits", "ResNet", f"{resnet}: 3 epochs"),
        ("classify_digits_long", "ResNet", f"{resnet}: 10 epochs"),
    ):
        models = json.loads((ROOT / "examples" / "figures" / f"{record}.json").read_text())["numbers"]["models"]
        ode, theirs = (models[name]["errors"] for name in ("ODE-Net", other))
        assert len(ode) == len(theirs) >= 5
        apart = statistics.fmean(ode) - statistics.fmean(theirs)
        assert met[words] == (apart <= statistics.stdev(ode) + statistics.stdev(theirs))


def test_memory_that_should_not_grow_with_the_steps_does_not() -> None:
    """What the pages say of the recorded measurements."""
    runs = json.loads((ROOT / "examples" / "figures" / "adjoint_memory.json").read_text())["numbers"]["runs"]
    added = {(one["engine"], one["sensealg"], one["steps"]): one["added"] for one in runs}
    for engine in ("embedded", "julia"):
        few, many = (added[engine, "BacksolveAdjoint", steps] for steps in (1_000, 100_000))
        assert many == pytest.approx(few, rel=0.1)
    whole, checkpointed = (f"InterpolatingAdjoint{options}" for options in ("", "(checkpointing=true)"))
    assert added["julia", checkpointed, 100_000] < added["julia", whole, 100_000] / 5


def test_many_solves_leave_memory_as_it_was() -> None:
    """What the pages say of the recorded soak."""
    changes = json.loads((ROOT / "examples" / "figures" / "soak.json").read_text())["numbers"]["changes"]
    assert set(changes) == {"julia, compiled lane", "julia, callback lane", "embedded"}
    for change in changes.values():
        assert change["solves"] == 20_000
        assert float(change["largest change"].rstrip("%")) < 2


def test_commands_name_what_differs_from_the_defaults(gallery: Any, tmp_path: Path) -> None:
    density = ROOT / "examples" / "studies" / "density" / "run.py"
    settings = {**gallery.defaults(density, quick=False), "output": str(tmp_path), "resume": True}
    assert gallery.command(density, settings) == "python examples/studies/density/run.py"
    changed = {**settings, "seed": 3, "task": ["u1", "moons"], "method": "KenCarp4(nlsolve=NLNewton())"}
    words = shlex.split(gallery.command(density, changed))
    assert words[:2] == ["python", "examples/studies/density/run.py"]
    assert " ".join(words[2:]) == "--seed 3 --method KenCarp4(nlsolve=NLNewton()) --task u1 moons"
    quick = gallery.defaults(density, quick=True)
    assert quick["iterations"] < settings["iterations"]
    assert gallery.command(density, quick) == "python examples/studies/density/run.py --quick"


def test_numbers_stand_in_the_tables_and_long_lists_do_not(gallery: Any) -> None:
    numbers = {
        "error": 0.123416,
        "models": {"MLP": {"error": 0.5, "errors": [0.4, 0.6]}, "ResNet": {"error": None, "errors": []}},
        "runs": [{"method": "DP5"}] * 100,
        "curve": [[1.0, 2.0]],
    }
    first, second = gallery.tables(numbers)
    assert first.splitlines()[-1] == "| error | 0.1234 |"
    assert second.splitlines() == ["| models | error |", "| --- | --- |", "| MLP | 0.5 |", "| ResNet | - |"]


def test_a_figure_without_its_run_is_refused(gallery: Any) -> None:
    assert gallery.owner("density_flow", ["density", "density_tasks", "den"]) == "density"
    with pytest.raises(SystemExit, match="a figure needs the JSON"):
        gallery.owner("flow", ["density"])


def test_every_record_tells_its_origin() -> None:
    for path in (ROOT / "examples" / "figures").glob("*.json"):
        found = json.loads(path.read_text())
        assert {"numbers", "ran", "settings", "machine", "versions"} <= set(found), path.name
        assert isinstance(found["settings"]["seed"], int), path.name
