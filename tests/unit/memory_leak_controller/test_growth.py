"""The linear fit."""

from __future__ import annotations

import pytest

from memory_leak_controller import growth


def test_a_straight_line_is_fitted() -> None:
    line = growth.fit([0, 10, 20, 30], [5, 10, 15, 20])
    assert (line.rate_per_min, line.r_squared, line.largest_residual) == pytest.approx((30, 1, 0))


def test_a_flat_line_has_rate_0() -> None:
    line = growth.fit([0, 1, 2], [7, 7, 7])
    assert (line.rate_per_min, line.r_squared) == (0, 0)


def test_a_jump_is_a_bad_fit() -> None:
    line = growth.fit([0, 1, 2, 3, 4, 5], [0, 0, 0, 100, 100, 100])
    assert line.r_squared < 0.9
    assert line.largest_residual > 20


@pytest.mark.parametrize(("times", "values"), [([0, 1], [0, 1]), ([1, 1, 1], [0, 1, 2])])
def test_insufficient_data_is_an_error(times: list[float], values: list[float]) -> None:
    with pytest.raises(ValueError, match=r"at least 3|constant"):
        growth.fit(times, values)
