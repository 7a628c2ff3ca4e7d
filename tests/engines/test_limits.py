"""What is known to be wrong with solvers of Julia's packages, by the package's version."""

from __future__ import annotations

import pytest

from pyode_bridge.engines.julia.limits import LIMITED, OPTIONAL, limit_of
from pyode_bridge.install.optional import OPTIONAL_PACKAGES


@pytest.mark.parametrize(
    ("version", "limited"), [("2.2.1", True), ("2.5.0", True), ("2.5.1", False), ("2.10.0", False), ("3.0.0", False)]
)
def test_a_limit_ends_with_the_version_that_mends_it(version: str, limited: bool) -> None:
    assert LIMITED["ImplicitEulerExtrapolation"].mended == "2.5.1"
    assert (limit_of("ImplicitEulerExtrapolation", version) is not None) is limited


def test_a_limit_that_no_version_mends_stays() -> None:
    assert limit_of("AN5", "99.0.0") is LIMITED["AN5"]
    assert limit_of("Tsit5", "1.0.0") is None


def test_packages_with_limits_can_be_added() -> None:
    assert set(OPTIONAL) <= set(OPTIONAL_PACKAGES)
