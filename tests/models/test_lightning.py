"""Models inside a LightningModule: the example of docs/training.md runs as it stands, and its checkpoints continue."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import torch

lightning = pytest.importorskip("lightning")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def documented(engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What the page's code leaves behind."""
    (code,) = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "training.md").read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYODE_BRIDGE_ENGINE", engine)
    names: dict[str, Any] = {"__name__": "documented"}
    exec(compile(code, "docs/training.md", "exec"), names)
    return names


def test_documented_module_learns_and_comes_back_from_its_checkpoint(documented: dict[str, Any]) -> None:
    trainer, learnt = documented["trainer"], documented["learnt"]
    batch = documented["validation"].tensors
    with torch.no_grad():
        loss, nfe = learnt.loss(batch)
        unlearnt, _ = documented["Oscillator"]().loss(batch)
    assert loss < unlearnt / 10
    assert loss.item() == pytest.approx(float(documented["best"].best_model_score), rel=1e-3)
    assert trainer.callback_metrics["nfe"] > 0
    assert nfe > 0

    # A trainer continues from the file, optimizer included, and its epochs go on counting.
    again = lightning.Trainer(max_epochs=trainer.current_epoch + 1, accelerator="cpu", logger=False, barebones=True)
    loader = documented["DataLoader"](documented["training"], 32)
    model = documented["Oscillator"]()
    again.fit(model, loader, ckpt_path=documented["best"].best_model_path)
    with torch.no_grad():
        assert model.loss(batch)[0] < unlearnt / 10
