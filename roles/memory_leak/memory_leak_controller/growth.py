"""Measure steady growth: fit a straight line to samples by least squares."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Growth:
    """A fitted line: its slope per minute with the 95 % confidence interval, its R² (0 to 1), and its largest residual."""

    rate_per_min: float
    rate_ci95_per_min: tuple[float, float]
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
    residuals = [value - line.slope * time - line.intercept for time, value in zip(times_s, values, strict=True)]
    freedom = len(times_s) - 2
    spread_s2 = statistics.pvariance(times_s) * len(times_s)
    standard_error = math.sqrt(sum(residual**2 for residual in residuals) / freedom / spread_s2)
    margin = _t_quantile(freedom) * standard_error * 60
    rate = line.slope * 60
    return Growth(rate, (rate - margin, rate + margin), r_squared, max(map(abs, residuals)))


def _t_quantile(freedom: int) -> float:
    """Approximate the 97.5 % quantile of Student's t (within 1 % for 3 or more degrees of freedom)."""
    z = statistics.NormalDist().inv_cdf(0.975)
    return float(
        z
        + (z**3 + z) / (4 * freedom)
        + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
        + (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / (384 * freedom**3)
    )
