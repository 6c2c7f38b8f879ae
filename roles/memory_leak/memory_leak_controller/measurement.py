"""Interpret an observation of the workload: its rate and its outcome."""

from __future__ import annotations

import itertools
import statistics
from bisect import bisect_left
from collections.abc import Sequence
from typing import Any

from . import contract, growth, schema
from .contract import Observation, OutcomeName

SHORTEST_S = 30  # shorter observations do not tell growth from startup
RATE_TOLERANCE = 0.10
LEAST_R_SQUARED = 0.99
MOST_CPU_PERCENT = 2.0
REQUEST_TOLERANCE = 0.05
FLAT_BELOW = 0.05  # of the target rate
PARTS = 6  # of an observation, whose median CPU time counts


def measure(observation: Observation, target_rate_mib_per_min: float) -> dict[str, Any]:
    """Return the fields of contract.Measurement, and the `outcome` and `message` that follow from them.

    Adds `cpu_percent` and `requests_per_s` during the observation if they could be measured. Has no outcome if the process
    exited. Raises ValueError if the times of the samples do not ascend.
    """
    samples = observation["samples"]
    if any(later[0] < earlier[0] for earlier, later in itertools.pairwise(samples)):
        raise ValueError("the times of the samples do not ascend")
    taken = schema.empty(contract.Measurement) | {"samples": [sample[:3] for sample in samples]}
    if observation["ended"]:
        return taken | {"message": "the process exited during the observation"}
    if len(samples) < 5 or samples[-1][0] == samples[0][0]:
        return taken | {"outcome": "running", "message": f"only {len(samples)} samples were taken"}
    times_s, rss_bytes, _available, processor_s = zip(*samples, strict=True)
    duration_s = times_s[-1] - times_s[0]
    line = growth.fit(times_s, [size / 1024**2 for size in rss_bytes])
    rates = observation["request_rates"]
    taken |= {
        "rate_mib_per_min": round(line.rate_per_min, 3),
        "rate_ci95_mib_per_min": [round(end, 3) for end in line.rate_ci95_per_min],
        "r_squared": round(line.r_squared, 5),
        "cpu_percent": round(_cpu_percent(times_s, processor_s), 2),
        "requests_per_s": round(sum(rates) / len(rates), 2) if rates else None,
    }
    outcome, message = _judge(taken, rates, duration_s, target_rate_mib_per_min)
    return taken | {"outcome": outcome, "message": message}


def _cpu_percent(times_s: Sequence[float], processor_s: Sequence[float]) -> float:
    """Return the CPU time in percent of one CPU: the median over the parts of the observation.

    An emulated or overcommitted guest that its host suspends for a moment charges that moment to the process that was running.
    """
    wanted = [times_s[0] + (times_s[-1] - times_s[0]) * part / PARTS for part in range(1, PARTS)]
    ends = sorted({0, len(times_s) - 1, *(bisect_left(times_s, time) for time in wanted)})
    shares = [
        (processor_s[end] - processor_s[begin]) / (times_s[end] - times_s[begin])
        for begin, end in itertools.pairwise(ends)
        if times_s[end] > times_s[begin]
    ]
    return statistics.median(shares) * 100


def _judge(
    taken: dict[str, Any], request_rates: Sequence[float], duration_s: float, target_rate: float
) -> tuple[OutcomeName, str]:
    """Return the outcome of a process that survived its observation, and why it is not `leaking`."""
    rate = taken["rate_mib_per_min"]
    if duration_s < SHORTEST_S:
        return "running", f"observed for {duration_s:.0f} s: a verdict needs {SHORTEST_S} s"
    if not any(request_rates):
        return "stalled", f"no requests served in {duration_s:.0f} s"
    if abs(rate) < FLAT_BELOW * target_rate:
        return "plateaued", f"requests are served, but RSS is flat ({rate:+.2f} MiB/min, not {target_rate:g})"
    faults = []
    if abs(rate - target_rate) > RATE_TOLERANCE * target_rate:
        faults.append(f"RSS changes by {rate:+.2f} MiB/min, not {target_rate:g}")
    if taken["r_squared"] < LEAST_R_SQUARED:
        faults.append(f"not in a straight line (R² {taken['r_squared']:.3f}, at least {LEAST_R_SQUARED})")
    if taken["cpu_percent"] > MOST_CPU_PERCENT:
        faults.append(f"uses {taken['cpu_percent']:.1f} % of a CPU, at most {MOST_CPU_PERCENT:g}")
    mean = taken["requests_per_s"]
    if any(abs(value - mean) > REQUEST_TOLERANCE * mean for value in request_rates):
        faults.append(f"the request rate varies from {min(request_rates)} to {max(request_rates)} per second")
    return ("off_rate", "; ".join(faults)) if faults else ("leaking", "")
