"""Classify an observation: leaking, off rate, flat, stalled, or not measured."""

from __future__ import annotations

import math
from typing import Any

import pytest

from memory_leak_controller import measurement
from memory_leak_controller.contract import Observation

MIB = 1024**2
TARGET_RATE = 30.0


def observation(
    rate: float = 30,
    seconds: float = 30,
    cpu: float = 0.3,
    requests: tuple[float, ...] = (10.0, 10.0, 10.0),
    wave_mib: float = 0,
    ended: bool = False,
) -> Observation:
    """Return an observation with growth in MiB/min and a superimposed sine wave, sampled every 0.5 s."""
    samples = []
    for number in range(int(seconds * 2) + 1):
        t = number / 2
        rss_mib = 200 + rate * t / 60 + wave_mib * math.sin(t)
        samples.append([t, int(rss_mib * MIB), int((1500 - rss_mib) * MIB), t * cpu / 100])
    return {"samples": samples, "request_rates": list(requests), "ended": ended}


@pytest.mark.parametrize(
    ("changes", "outcome", "words"),
    [
        ({}, "leaking", ""),
        ({"rate": 32.9}, "leaking", ""),
        ({"rate": 27.1, "requests": (9.8, 10.2)}, "leaking", ""),
        ({"rate": 33.1}, "off_rate", "+33.10 MiB/min, not 30"),
        ({"rate": 26.9}, "off_rate", "+26.90 MiB/min"),
        ({"rate": -40}, "off_rate", "-40.00 MiB/min"),
        ({"wave_mib": 1.5}, "off_rate", "straight line"),
        ({"cpu": 2.5}, "off_rate", "2.5 % of a CPU"),
        ({"requests": (10.0, 12.0, 10.0)}, "off_rate", "request rate varies from 10.0 to 12.0"),
        ({"rate": 0}, "plateaued", "RSS is flat (+0.00 MiB/min, not 30)"),
        ({"rate": 1.4}, "plateaued", "flat"),
        ({"rate": 0, "requests": ()}, "stalled", "no requests served in 30 s"),
        ({"rate": 0, "requests": (0.0, 0.0)}, "stalled", "no requests"),
        ({"seconds": 20}, "running", "observed for 20 s: a verdict needs 30 s"),
        ({"seconds": 1}, "running", "only 3 samples"),
    ],
)
def test_observations_are_classified(changes: dict[str, Any], outcome: str, words: str) -> None:
    measured = measurement.measure(observation(**changes), TARGET_RATE)
    assert measured["outcome"] == outcome, measured
    assert words in measured["message"]
    assert bool(measured["message"]) == (outcome != "leaking")


def test_the_measurements_match_the_samples() -> None:
    measured = measurement.measure(observation(rate=31.5, cpu=0.45, wave_mib=0.05), TARGET_RATE)
    assert measured["rate_mib_per_min"] == pytest.approx(31.5, abs=0.05)
    low, high = measured["rate_ci95_mib_per_min"]
    assert low < measured["rate_mib_per_min"] < high
    assert high - low < 0.2
    assert 0.99 < measured["r_squared"] <= 1
    assert (measured["cpu_percent"], measured["requests_per_s"]) == (pytest.approx(0.45), 10.0)
    assert len(measured["samples"]) == 61
    assert all(len(sample) == 3 for sample in measured["samples"])


@pytest.mark.parametrize(("busy_parts", "outcome"), [(1, "leaking"), (2, "leaking"), (4, "off_rate")])
def test_a_moment_of_high_cpu_use_is_no_fault_but_most_of_the_time_is(busy_parts: int, outcome: str) -> None:
    taken = observation(cpu=0.3)
    for sample in taken["samples"]:  # 10 % of a CPU in the busy parts of 5 s each
        sample[3] += min(sample[0], busy_parts * 5) * 0.1
    measured = measurement.measure(taken, TARGET_RATE)
    assert measured["outcome"] == outcome, measured


def test_an_ended_process_is_not_classified() -> None:
    measured = measurement.measure(observation(ended=True), TARGET_RATE)
    assert "outcome" not in measured
    assert measured["rate_mib_per_min"] is None
    assert "exited" in measured["message"]
