"""How steadily a quantity grows: a straight line fitted to samples by least squares."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """A fitted line: its slope per minute, its R² (0 to 1), and the largest distance of a sample from it."""

    rate_per_min: float
    r_squared: float
    largest_residual: float


def fit(times_s: Sequence[float], values: Sequence[float]) -> Growth:
    """Fit a line to values (in any unit) sampled at times in seconds.

    A flat line has an R² of 0, since nothing grows. Raises ValueError for fewer than three samples, or for equal times.
    """
    if len(times_s) < 3:
        raise ValueError(f"a fit needs at least 3 samples, not {len(times_s)}")
    try:
        line = statistics.linear_regression(times_s, values)
    except statistics.StatisticsError as error:
        raise ValueError(str(error)) from error
    r_squared = statistics.correlation(times_s, values) ** 2 if len(set(values)) > 1 else 0.0
    residuals = [abs(value - line.slope * time - line.intercept) for time, value in zip(times_s, values, strict=True)]
    return Growth(line.slope * 60, r_squared, max(residuals))
