"""A solution as a table of pandas."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pyode_bridge.views.course import Course
from pyode_bridge.views.extras import imported

if TYPE_CHECKING:
    import pandas


def data_frame(course: Course) -> pandas.DataFrame:
    """A row for each time, of an ensemble for each trajectory and time, and a column for each component."""
    pd = imported("pandas", extra="pandas", view="to_pandas")
    count = next(iter(course.y.values())).shape[1:]
    index = pd.Index(course.t.reshape(-1), name="t")
    if count:
        index = pd.MultiIndex.from_product([np.arange(*count), course.t], names=["trajectory", "t"])
    made: pandas.DataFrame = pd.DataFrame({name: values.T.reshape(-1) for name, values in course.y.items()}, index)
    return made
