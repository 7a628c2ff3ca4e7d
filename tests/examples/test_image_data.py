"""The images that the classifiers learn from, without a network: a stand-in answers for OpenML."""

from __future__ import annotations

import argparse
import http.client
import socket
import urllib.error
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

pytest.importorskip("matplotlib")
pytest.importorskip("sklearn")
ROOT = Path(__file__).parents[2]


@pytest.fixture
def image_data() -> Any:
    from examples.support import image_data

    return image_data


def like_mnist(name: str, *, version: int, return_X_y: bool, as_frame: bool) -> tuple[Any, Any]:  # noqa: N803
    """Zeros of MNIST's shape but for a few images, and labels as OpenML has them: strings."""
    assert (name, version, return_X_y, as_frame) == ("mnist_784", 1, True, False)
    pixels = np.zeros((70_000, 784), dtype=np.uint8)
    pixels[:, ::7] = 255
    return pixels, (np.arange(70_000) % 10).astype(str).astype(object)


def test_mnist_is_split_as_it_always_is_and_every_model_takes_it(image_data: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(image_data, "fetch_openml", like_mnist)
    split = image_data.mnist(0)
    assert (split.x.shape, split.test_x.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert (split.y.shape, split.test_y.shape, split.y.dtype) == ((60_000,), (10_000,), torch.int64)
    assert split.test_y[:3].tolist() == [0, 1, 2]
    assert abs(split.x.mean().item()) < 1e-3
    assert split.x.std().item() == pytest.approx(1.0, abs=1e-3)

    from examples.studies.classify_digits import figures, run

    args = argparse.Namespace(
        dataset="mnist", quick=False, tolerance=1e-1, augment=0, method="dopri5", engine="embedded", sensealg=None
    )
    for name in figures.COLORS:
        model = run.build(name, args, 28)
        assert model(split.x[:2]).shape == (2, 10)
        if name != "MLP":
            assert model.stem(split.x[:2]).shape == (2, 64, 7, 7), "two downsamplings, at the paper's width"


@pytest.mark.parametrize(
    "error",
    [urllib.error.URLError(socket.gaierror(-2, "Name or service not known")), http.client.IncompleteRead(b"")],
    ids=lambda error: type(error).__name__,
)
def test_without_a_network_the_message_says_what_to_do(image_data: Any, monkeypatch: Any, error: Exception) -> None:
    def fetch(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(image_data, "fetch_openml", fetch)
    with pytest.raises(SystemExit) as ended:
        image_data.mnist(0)
    message = str(ended.value)
    assert "fetch_openml('mnist_784') asked www.openml.org and got" in message
    assert str(error) in message
    assert "--dataset digits needs no network" in message


def test_other_shapes_are_refused(image_data: Any, monkeypatch: Any) -> None:
    monkeypatch.setattr(image_data, "fetch_openml", lambda *_, **__: (np.zeros((5, 784)), np.zeros(5)))
    with pytest.raises(SystemExit, match=r"shape \(5, 784\); expected \(70000, 784\)"):
        image_data.mnist(0)


def test_validation_images_are_held_back_from_those_to_learn_from(image_data: Any) -> None:
    split = image_data.digits(0)
    inner = image_data.without_validation(split, 0)
    assert len(inner.y) + len(inner.test_y) == len(split.y)
    assert len(inner.test_y) == pytest.approx(0.1 * len(split.y), abs=1)

    def rows(images: torch.Tensor) -> set[bytes]:
        return {image.numpy().tobytes() for image in images}

    learnt, held = rows(inner.x), rows(inner.test_x)
    assert not held & rows(split.test_x)
    assert not held & learnt
    assert held | learnt == rows(split.x)
