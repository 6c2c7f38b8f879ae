"""Ground truth: the RSS series and the effect of a fix."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from memory_leak_lab.grading import ground_truth


def events(*outcomes: tuple[str, str, int | None]) -> str:
    """Return the ground truth of a leaker as JSON lines, from (event, outcome, PID) tuples one minute apart."""
    lines: list[dict[str, Any]] = [
        {
            **{"time": f"2026-11-23T10:{minute:02}:00+00:00", "event": event, "host": "web1", "variant": "leaker"},
            **{
                "outcome": outcome,
                "pid": pid,
                "command": "python3 workload.py",
                "target_rate_mib_per_min": 30,
                "samples": [],
            },
            **{"ceiling_bytes": 2**30, "started_at": f"2026-11-23T10:00:{(pid or 0) % 60:02}+00:00" if pid else None},
        }
        for minute, (event, outcome, pid) in enumerate(outcomes)
    ]
    return "".join(json.dumps(line) + "\n" for line in lines)


@pytest.mark.parametrize(
    ("last", "effect"),
    [
        (("observation", "plateaued", 8), "durable"),
        (("observation", "leaking", 7), "none"),
        (("observation", "leaking", 8), "temporary"),
        (("observation", "off_rate", 8), "temporary"),
        (("observation", "stopped", None), "temporary"),
        (("observation", "crashed", None), "temporary"),
        (("observation", "stalled", 7), "temporary"),
        (("observation", "oom_killed", None), "none"),
        (("observation", "running", 8), None),
        (("observation", "unreachable", None), None),
        (("reset", "running", 8), None),
    ],
)
def test_a_fix_is_durable_only_if_the_service_runs_with_flat_memory(
    tmp_path: Path, last: tuple[str, str, int | None], effect: str | None
) -> None:
    (tmp_path / "web1.jsonl").write_text(events(("setup", "running", 7), ("observation", "leaking", 7), last))
    loaded = ground_truth.load(tmp_path)["web1"]
    assert (loaded.repair.effect if loaded.repair else None) == effect
    assert loaded.pids == {7} | ({8} if last[2] == 8 and last[1] != "plateaued" else set())


@pytest.mark.parametrize(
    ("second", "size_mib"), [(-2, None), (0, 10), (4, 10), (8, 17), (10, 21), (60, 121), (519, 1039), (521, None)]
)
def test_the_rss_series_is_extrapolated_from_start_to_ceiling(second: float, size_mib: float | None) -> None:
    run = ground_truth.Run(7, "python3", 1000.0, 120, 2**30, ((1010.0, 21 * 2**20),))
    assert run.rss_mib(1000 + second) == (None if size_mib is None else pytest.approx(size_mib))


@pytest.mark.parametrize(
    ("variants", "expected"),
    [
        ([("setup", "decoy"), ("cleanup", "decoy"), ("observation", None)], "decoy"),
        ([("setup", "decoy"), ("observation", "control")], "decoy"),
        ([("setup", "decoy"), ("reset", "control")], "control"),
        ([("observation", "control")], "control"),
        ([("observation", None)], "leaker"),
    ],
)
def test_the_variant_is_that_of_the_last_setup(
    tmp_path: Path, variants: list[tuple[str, str | None]], expected: str
) -> None:
    lines = events(*((event, "running", 7) for event, _variant in variants)).splitlines()
    named = [json.dumps(json.loads(line) | {"variant": each[1]}) for line, each in zip(lines, variants, strict=True)]
    (tmp_path / "web1.jsonl").write_text("\n".join(named) + "\n")
    assert ground_truth.load(tmp_path)["web1"].variant == expected


@pytest.mark.parametrize("days", [0, 1, 3, 6])
def test_a_clock_time_is_found_on_every_day_of_a_long_run(days: int) -> None:
    began = 1795400000.0
    at = began + days * 86400 + 3600
    run = ground_truth.Run(7, "python3 workload.py", began, 0.2, None, ((at, 500 << 20), (at + 60, 501 << 20)))
    truth = ground_truth.GroundTruth("web1", "leaker", (run,))
    assert (at, 500) in [(found, size) for found, size, _rate in truth.rss_mib_at(at % 86400)]
