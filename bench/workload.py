"""Measures the linearity of the workload's growth at several rates, side by side on this computer."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import psutil

from bench.steps import DEFINITION, WORKLOAD
from memory_leak_controller import growth

RATES_MIB_PER_MIN = (1, 30, 300)
SAMPLE_EVERY_S = 1
WARM_UP_S = 3


@dataclass(frozen=True)
class Result:
    """Result for one rate: target and measured slope, linearity, and cost."""

    target_rate_mib_per_min: float
    rate_mib_per_min: float
    slope_error_percent: float
    r_squared: float
    largest_residual_mib: float
    cpu_percent: float
    rss_at_start_mib: float
    rss_at_end_mib: float


def measure(seconds: int, work: Path) -> list[Result]:
    """Run the workload at each rate for `seconds`, sample its RSS every second, and fit a line to it."""
    started = []
    try:
        for rate in RATES_MIB_PER_MIN:
            log = (work / f"workload-{rate}.log").open("wb")
            command = [str(DEFINITION["workload_python"]), str(WORKLOAD), "--ingest-mib-per-min", str(rate)]
            started.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        time.sleep(WARM_UP_S)
        watched = [psutil.Process(process.pid) for process in started]
        cpu_before = [sum(process.cpu_times()[:2]) for process in watched]
        times: list[float] = []
        sizes: list[list[float]] = [[] for _ in watched]
        began = time.monotonic()
        while times[-1:] < [seconds]:
            time.sleep(max(0.0, len(times) * SAMPLE_EVERY_S - (time.monotonic() - began)))
            times.append(time.monotonic() - began)
            for process, size in zip(watched, sizes, strict=True):
                size.append(process.memory_info().rss / 1024**2)
        cpu = [sum(p.cpu_times()[:2]) - before for p, before in zip(watched, cpu_before, strict=True)]
    finally:
        for child in started:
            with contextlib.suppress(ProcessLookupError):
                os.kill(child.pid, 9)
            child.wait()
    return [_result(rate, times, size, used) for rate, size, used in zip(RATES_MIB_PER_MIN, sizes, cpu, strict=True)]


def _result(rate: float, times: list[float], sizes: list[float], cpu_s: float) -> Result:
    line = growth.fit(times, sizes)
    return Result(
        rate,
        round(line.rate_per_min, 3),
        round((line.rate_per_min / rate - 1) * 100, 3),
        round(line.r_squared, 7),
        round(line.largest_residual, 3),
        round(cpu_s / times[-1] * 100, 2),
        round(sizes[0], 1),
        round(sizes[-1], 1),
    )
