"""The tables: measurements as rows to learn from, to stop by and to test on, all standardised."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass

import torch
from sklearn.datasets import fetch_openml, get_data_home, load_breast_cancer, load_digits
from torch import Tensor

SHARES = 0.2, 0.2  # of the small tables, to stop by and to test on
LARGE_SHARES = 0.1, 0.1
MINIBOONE = {"name": "MiniBooNE", "version": 1}
SIGNAL = "True"  # the label of its electron neutrinos
NOT_MEASURED = -100.0  # what lies below stands for a measurement that failed
MOST_ALIKE = 5  # rows that may share a value; a column with more is no continuous measurement
LEAST_SPREAD = 0.5  # grey levels; pixels that hardly ever differ are left out


@dataclass(frozen=True)
class Table:
    """Rows ``(n, D)``, float32, of zero mean and unit variance over ``train``.

    ``published`` are negative log likelihoods of its test rows in nats, by the name of the model.
    """

    train: Tensor
    validation: Tensor
    test: Tensor
    published: dict[str, float]

    @property
    def dim(self) -> int:
        return self.train.shape[1]


def tumours() -> Table:
    """All 30 measurements of 569 breast tumours (Wisconsin diagnostic data, in scikit-learn)."""
    return divided(torch.tensor(load_breast_cancer().data), SHARES)


def digits() -> Table:
    """1,797 handwritten digits of scikit-learn as grey levels from 0 to 16, each with uniform noise of one level.

    The noise makes whole numbers a density (Uria et al. 2013); pixels that are empty in nearly all are left out.
    """
    levels = torch.tensor(load_digits().data)
    kept = levels[:, levels.std(0) > LEAST_SPREAD]
    noise = torch.rand(kept.shape, dtype=kept.dtype, generator=torch.Generator().manual_seed(1))
    return divided(kept + noise, SHARES)


def miniboone() -> Table:
    """The 43 continuous measurements of MiniBooNE's electron neutrinos, from OpenML (Papamakarios et al. 2017).

    The published numbers are those of Grathwohl et al. 2019, table 2, and of Papamakarios et al. 2017, table 1, whose
    test rows are others drawn in the same way.
    """
    published = {"Real NVP (published)": 13.55, "MAF (published)": 11.75, "FFJORD (published)": 10.43}
    return divided(measurements(*_fetched_miniboone()), LARGE_SHARES, published)


TABLES: dict[str, Callable[[], Table]] = {"tumours": tumours, "digits": digits, "miniboone": miniboone}


def measurements(values: Tensor, signal: Tensor) -> Tensor:
    """The rows that are ``signal`` and whose first value was measured, and the columns without repeated values."""
    rows = values[signal & (values[:, 0] >= NOT_MEASURED)]
    repeated = torch.stack([column.unique(return_counts=True)[1].max() for column in rows.T])
    return rows[:, repeated <= MOST_ALIKE]


def divided(rows: Tensor, shares: tuple[float, float], published: dict[str, float] | None = None) -> Table:
    """Shuffled by a seed of their own, so that every model and seed of a study is tested on the same rows."""
    rows = rows[torch.randperm(len(rows), generator=torch.Generator().manual_seed(1))]
    validation, test = (int(share * len(rows)) for share in shares)
    train = rows[validation + test :]
    standard = ((rows - train.mean(0)) / train.std(0)).float()
    return Table(standard[validation + test :], standard[:validation], standard[validation:][:test], published or {})


def _fetched_miniboone() -> tuple[Tensor, Tensor]:
    print(f"Fetching MiniBooNE from OpenML, once; scikit-learn keeps it in {get_data_home()}")
    try:
        values, labels = fetch_openml(**MINIBOONE, return_X_y=True, as_frame=False)
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise SystemExit(
            f"MiniBooNE is not here: fetch_openml({MINIBOONE['name']!r}) asked www.openml.org and got {error}. "
            f"Try again where there is a network, or copy the folder openml from {get_data_home()} of a machine "
            "that has fetched it (SCIKIT_LEARN_DATA names another place). --table tumours and digits need no network."
        ) from None
    return torch.tensor(values), torch.tensor(labels == SIGNAL)
