"""Sample fleet records for the report tests, in the form a run collects."""

from __future__ import annotations

from typing import Any

from memory_leak_controller import contract
from memory_leak_controller.contract import Record

MIB = 1024**2


def result(rate: float = 30.0, seconds: int = 30, **changes: Any) -> dict[str, Any]:
    """Return the role's action result for a leaking host, sampled every 0.5 s; rate in MiB/min."""
    samples = [
        [t / 2, int((100 + rate * t / 120) * MIB), int((1500 - rate * t / 120) * MIB)] for t in range(seconds * 2 + 1)
    ]
    leaking = {
        "variant": "leaker",
        "pid": 4711,
        "unit": "memory-leak.service",
        "started_at": "2026-11-23T00:59:00Z",
        "command": "/usr/bin/python3 /mcp/scenarios/memory-leak/workload.py --ingest-mib-per-min 30",
        "target_rate_mib_per_min": 30.0,
        "rss_bytes": samples[-1][1],
        "rate_mib_per_min": rate,
        "rate_ci95_mib_per_min": [rate - 0.04, rate + 0.04],
        "r_squared": 0.9999,
        "cpu_percent": 0.31,
        "requests_per_s": 10.0,
        "uptime_s": 183.4,
        "ceiling_bytes": 1024 * MIB,
        "oom_in_s": 1800,
        "mem_available_bytes": samples[-1][2],
        "samples": samples,
        "message": "",
    }
    return leaking | changes


def fleet(count: int) -> list[Record]:
    """Return the records of a mostly leaking fleet with a stalled, an unreachable and an off-rate host."""
    hosts = []
    for number in range(1, count + 1):
        outcome = {3: "stalled", 7: "unreachable", 11: "off_rate"}.get(number, "leaking")
        found = (
            {"message": "no answer"}
            if outcome == "unreachable"
            else result(rate=0 if outcome == "stalled" else 30 + number % 3)
        )
        hosts.append(contract.record(f"host{number}", outcome, found))
    return hosts
