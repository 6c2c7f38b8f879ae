"""Grades a diagnosis: levels, points and deductions, each with the sentence it is based on."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable
from typing import Any

from memory_leak_lab.grading import claims, extraction, reader
from memory_leak_lab.grading.extraction import Measurement
from memory_leak_lab.grading.ground_truth import LEAKER, GroundTruth
from memory_leak_lab.grading.rubric import CATEGORIES, NOTHING, UNGRADED, Finding, result

SIZE_TOLERANCE = 0.08  # share of the recorded size
SIZE_TOLERANCE_MIB = 8.0
CLOCK_TOLERANCE_S = 4.0  # between the clocks of host and controller
LEAST_APART_S = 10.0
MOST_PIDS = 200  # labelled as PIDs: more than that is a list of guesses
MOST_RELATIVE = 100  # measurements to compare pairwise
LEAST_SHARE_NEAR = 1 / 3  # of the measurements with a time of day; others may be of the host's memory
HOUR_S = 3600
NAMES = re.compile(
    r"\bpython3?\b|\bworkload\.py\b|\bmemory-leak(?:\.service)?\b|\bsession[- ]cache service\b|\binterpreter\b", re.I
)
ACCUSES = re.compile(
    "|".join([reader.GROWTH.pattern, reader.LEAK.pattern, r"\b(?:culprit|to blame|blame|responsible|eats)\b"]), re.I
)
Judge = Callable[[list[str]], dict[str, Finding]]


def measured(found: list[Measurement], truth: GroundTruth) -> Measurement | None:
    """Return the last of two or more measurements, with time between them, that match the recorded series.

    The time zone of their clock does not matter. Return None without such measurements, or with so many others that these may
    match by chance.
    """
    clocks = [each for each in found if each.second_of_day is not None]
    for offset_h in sorted(range(-12, 15), key=abs):
        near = [(at, each) for each in clocks if (at := _time_in_series(each, truth, offset_h * HOUR_S)) is not None]
        near.sort(key=lambda pair: pair[0])
        if len(near) >= max(2, LEAST_SHARE_NEAR * len(clocks)) and near[-1][0] - near[0][0] >= LEAST_APART_S:
            return near[-1][1]
    relative = [each for each in found if each.elapsed_s is not None][:MOST_RELATIVE]
    for one, other in itertools.combinations(relative, 2):
        if _is_growth(one, other, truth):
            return max(relative, key=lambda each: each.elapsed_s or 0)
    return None


def _time_in_series(each: Measurement, truth: GroundTruth, offset_s: float) -> float | None:
    """Return the Unix time of a measurement if the leaker had about that size then, else None."""
    for at, size, rate_mib_per_min in truth.rss_mib_at(each.second_of_day or 0, offset_s):
        most = size + each.within_s / 60 * rate_mib_per_min
        margin = max(SIZE_TOLERANCE * size, SIZE_TOLERANCE_MIB, CLOCK_TOLERANCE_S / 60 * rate_mib_per_min)
        if size - margin <= each.size_mib <= most + margin:
            return at
    return None


def _is_growth(one: Measurement, other: Measurement, truth: GroundTruth) -> bool:
    """Return whether two measurements with relative times match the leaker's rate and stay below its ceiling."""
    seconds = (other.elapsed_s or 0) - (one.elapsed_s or 0)
    if abs(seconds) < LEAST_APART_S:
        return False
    rate = (other.size_mib - one.size_mib) / seconds * 60
    return any(
        abs(rate - run.target_rate_mib_per_min) <= 0.2 * run.target_rate_mib_per_min
        and max(one.size_mib, other.size_mib) <= (run.ceiling_bytes or 2**60) / 2**20
        for run in truth.runs
    )


def memory_growth(parts: list[str], is_measured: bool) -> Finding:
    """Return the level for memory growth."""
    if is_measured:
        evidence = next((part for part in parts if extraction.measurements([part])), " ".join(parts)[:300])
        return Finding("measured", evidence)
    for pattern in (reader.GROWTH, reader.LEAK, reader.HIGH_USE):
        said = reader.first(parts, pattern)
        if said:
            return Finding("snapshot", said)
    said = next((part for part in parts if reader.HIGH_USE.search(part) and not reader.is_question(part)), "")
    return Finding("snapshot", said) if said else NOTHING


def process(parts: list[str], grows: bool, truth: GroundTruth) -> Finding:
    """Return the level for the process. Its PID is checked against every PID that the leaker had."""
    named = [part for part in parts if extraction.pids(part)]
    if len({pid for part in named for pid in extraction.pids(part)}) > MOST_PIDS:
        return Finding("none", named[0][:300])  # one of them may be right by chance
    accused = [part for part in named if reader.asserts(part, ACCUSES)]
    # If PIDs are accused, the right one must be among them; otherwise any listing may name it.
    right = next((part for part in accused or named if truth.pids & set(extraction.pids(part))), None)
    if named and not right:
        return Finding("none", (accused or named)[0])
    names = _names(truth)
    claimed = [part for part in parts if names.search(part)]
    right = right or next((part for part in parts if extraction.bare_numbers(part) & truth.pids), None)
    if right:
        level = (
            "identified" if grows and names.search(" ".join(parts)) and not reader.is_question(right) else "mentioned"
        )
        return Finding(level, right)
    return Finding("mentioned", claimed[0]) if claimed else NOTHING


def _names(truth: GroundTruth) -> re.Pattern[str]:
    """Return a pattern of the leaker's names: Python, its script, and its directory, in blind mode named like its unit."""
    words = {part for run in truth.runs for path in run.command.split()[1:2] for part in path.split("/")[-2:] if part}
    return re.compile("|".join([NAMES.pattern, *(rf"(?<!\w){re.escape(word)}(?!\w)" for word in sorted(words))]), re.I)


def grade(diagnosis: str, truth: GroundTruth, judge: Judge | None = None) -> dict[str, Any]:
    """Return `total`, `verdict`, `categories`, `deductions` and `claims` of a diagnosis of a host.

    A judge replaces the reader for root cause and mitigation; if it fails, the category is `ungraded` and the total null. The
    rubric does not apply to a host without a leak: a diagnosis that blames it gets 0, any other null.
    """
    parts = [] if reader.is_stuffed(diagnosis) else extraction.sentences(diagnosis)
    found = extraction.measurements(parts)
    last = measured(found, truth)
    checked = claims.check(parts, truth.runs, last.size_mib if last else None)
    growth = memory_growth(parts, last is not None and not claims.contradicts(checked))
    trend = reader.first(parts, reader.GROWTH)
    levels: dict[str, Finding] = {
        "memory_growth": growth,
        "process": process(parts, last is not None or trend is not None or len(found) > 1, truth),
        "root_cause": reader.root_cause(parts),
        "mitigation": reader.mitigation(parts),
    }
    if truth.variant != LEAKER:
        return {**_healthy_host_grade(parts, trend, levels["root_cause"]), "claims": checked}
    if judge and parts:
        levels |= judge(parts)
    blame = {"disk_blamed": reader.blamed(parts, reader.DISK), "system_blamed": reader.blamed(parts, reader.SYSTEM)}
    if any(blame.values()) and levels["root_cause"][0] == "explained":
        levels["root_cause"] = Finding("leak", levels["root_cause"].evidence)
    elif any(blame.values()) and levels["root_cause"][0] not in ("leak", UNGRADED):
        levels["root_cause"] = NOTHING
    # 'A memory leak' implies growth; with a size beside it, it is a claim from a single snapshot.
    only_named = reader.first(parts, reader.LEAK) and not any(extraction.has_amount(part) for part in parts)
    is_snapshot = growth[0] == "snapshot" and not trend and len(found) < 2 and not only_named
    graded = result(levels, {**blame, "snapshot_only": growth[1] if is_snapshot else None})
    return {**graded, "verdict": "graded" if graded["total"] is not None else UNGRADED, "claims": checked}


def _healthy_host_grade(parts: list[str], trend: str | None, root_cause: Finding) -> dict[str, Any]:
    """Return the grade of a diagnosis of a host without a leak: `blamed`, `cleared` or `unclear`."""
    cleared = next((part for part in parts if reader.clears(part)), None)
    accusation = reader.first(parts, reader.LEAK) or trend or (root_cause[1] if root_cause[0] == "explained" else None)
    graded = result(dict.fromkeys(CATEGORIES, NOTHING), {})
    if accusation:
        return {**graded, "verdict": "blamed", "evidence": accusation}
    return {**graded, "total": None, "verdict": "cleared" if cleared else "unclear", "evidence": cleared or ""}
