"""Levels, points and deductions of a diagnosis, each with the sentence that it rests on."""

from __future__ import annotations

import itertools
import re
from pathlib import Path
from typing import Any

import yaml

from memory_leak_lab.grading import reader, text
from memory_leak_lab.grading.text import Measurement
from memory_leak_lab.grading.truth import Truth

PROJECT = Path(__file__).resolve().parents[3]
SCENARIO = yaml.safe_load((PROJECT / "files" / "scenario.yml").read_text())
CATEGORIES = tuple(SCENARIO["rubric"])
SIZE_TOLERANCE = 0.08  # of the recorded size
SIZE_TOLERANCE_MIB = 8.0
LEAST_APART_S = 10.0
HOUR_S = 3600
NAMES = re.compile(
    r"\bpython3?\b|\bworkload\.py\b|\bmemory-leak(?:\.service)?\b|\bsession[- ]cache service\b|\binterpreter\b", re.I
)
Finding = tuple[str, str]  # the level, and the sentence that it rests on


def measured(found: list[Measurement], truth: Truth) -> bool:
    """Tell whether two measurements, with time between them, lie near the recorded series, whatever the clock's time zone."""
    clocks = [each for each in found if each.second_of_day is not None]
    for offset_h in sorted(range(-12, 15), key=abs):
        times = [at for each in clocks if (at := _time_in_series(each, truth, offset_h * HOUR_S)) is not None]
        if len(times) > 1 and max(times) - min(times) >= LEAST_APART_S:
            return True
    relative = [each for each in found if each.elapsed_s is not None]
    return any(_is_growth(one, other, truth) for one, other in itertools.combinations(relative, 2))


def _time_in_series(each: Measurement, truth: Truth, offset_s: float) -> float | None:
    for at, size in truth.rss_mib_at(each.second_of_day or 0, offset_s):
        if abs(each.size_mib - size) <= max(SIZE_TOLERANCE * size, SIZE_TOLERANCE_MIB):
            return at
    return None


def _is_growth(one: Measurement, other: Measurement, truth: Truth) -> bool:
    """Tell whether two measurements with relative times grow as fast as the leaker did, and were within its reach."""
    seconds = (other.elapsed_s or 0) - (one.elapsed_s or 0)
    if abs(seconds) < LEAST_APART_S:
        return False
    rate = (other.size_mib - one.size_mib) / seconds * 60
    return any(
        abs(rate - run.rate_mib_per_min) <= 0.2 * run.rate_mib_per_min
        and max(one.size_mib, other.size_mib) <= (run.ceiling_bytes or 2**60) / 2**20
        for run in truth.runs
    )


def memory_growth(parts: list[str], found: list[Measurement], truth: Truth) -> Finding:
    """Return the level of the memory's growth."""
    if measured(found, truth):
        evidence = next((part for part in parts if text.measurements([part])), " ".join(parts)[:300])
        return "measured", evidence
    for pattern in (reader.GROWTH, reader.HIGH_USE):
        said = reader.first(parts, pattern)
        if said:
            return "snapshot", said
    return "none", ""


def process(parts: list[str], grows: bool, truth: Truth) -> Finding:
    """Return the level of the process: its PID is checked against every PID that the leaker had."""
    named = [part for part in parts if text.pids(part)]
    right = next((part for part in named if truth.pids & set(text.pids(part))), None)
    if named and not right:
        return "none", named[0]
    claimed = [part for part in parts if NAMES.search(part)]
    if right:
        all_named = " ".join(parts)
        level = "identified" if grows and NAMES.search(all_named) and not reader.is_question(right) else "mentioned"
        return level, right
    return ("mentioned", claimed[0]) if claimed else ("none", "")


def grade(diagnosis: str, truth: Truth) -> dict[str, Any]:
    """Return `total`, `categories` and `deductions` of a diagnosis of a host."""
    parts = [] if reader.is_stuffed(diagnosis) else text.sentences(diagnosis)
    found = text.measurements(parts)
    growth = memory_growth(parts, found, truth)
    trend = reader.first(parts, reader.GROWTH)
    levels: dict[str, Finding] = {
        "memory_growth": growth,
        "process": process(parts, growth[0] == "measured" or trend is not None or len(found) > 1, truth),
        "root_cause": reader.root_cause(parts),
        "mitigation": reader.mitigation(parts),
    }
    blame = {"disk_blamed": reader.blamed(parts, reader.DISK), "system_blamed": reader.blamed(parts, reader.SYSTEM)}
    if any(blame.values()) and levels["root_cause"][0] == "explained":
        levels["root_cause"] = ("leak", levels["root_cause"][1])
    elif any(blame.values()) and levels["root_cause"][0] != "leak":
        levels["root_cause"] = ("none", "")
    snapshot = growth[1] if growth[0] == "snapshot" and not trend and len(found) < 2 else None
    return result(levels, {**blame, "snapshot_only": snapshot})


def result(levels: dict[str, Finding], reasons: dict[str, str | None]) -> dict[str, Any]:
    """Return points and the total for levels and the deductions that have a sentence they rest on."""
    categories = {}
    for name in CATEGORIES:
        level, evidence = levels[name]
        points = SCENARIO["rubric"][name]["levels"][level]["points"]
        categories[name] = {"points": points, "level": level, "evidence": evidence}
    deductions = [
        {"percent": each["percent"], "reason": each["name"], "evidence": reasons[each["name"]]}
        for each in SCENARIO["deductions"]
        if reasons.get(each["name"])
    ]
    earned = sum(category["points"] for category in categories.values())
    total = round(earned * max(0, 100 - sum(each["percent"] for each in deductions)) / 100)
    return {"total": total, "categories": categories, "deductions": deductions}
