"""The table of faults: each raises what it should, on either engine, and the next solve is right."""

from __future__ import annotations

import pytest

from tests.faults.aftermath import assert_next_solve_is_right
from tests.faults.table import faults


@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", faults())
def test_a_fault_is_told_and_leaves_nothing_behind(engine: str, name: str) -> None:
    fault = faults()[name]
    with pytest.raises(fault.raises, match=fault.match) as caught:
        fault.provoke(engine)
    assert fault.check(caught.value), caught.value
    assert_next_solve_is_right(engine)
