"""The rubric: the points for each level of each category, and the total from levels and deductions."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

import memory_leak_controller

SCENARIO: dict[str, Any] = yaml.safe_load((Path(memory_leak_controller.__file__).parent / "scenario.yml").read_text())
CATEGORIES = tuple(SCENARIO["rubric"])
NO_LEVEL = "none"
UNGRADED = "ungraded"  # could not be graded; never a low grade


VERIFIED = "verified"  # by code, against the ground truth
JUDGED = "judged"  # by a language model
RULES = "rules"  # by patterns alone: provisional


class Finding(NamedTuple):
    """The level of a category, the sentence it rests on (if ungraded, the reason), and its basis."""

    level: str
    evidence: str
    basis: str = RULES


NOTHING = Finding(NO_LEVEL, "")


def levels(category: str) -> dict[str, dict[str, Any]]:
    """Return the levels of a category by name, best first, each with its `points` and `when` it is earned."""
    found: dict[str, dict[str, Any]] = SCENARIO["rubric"][category]["levels"]
    return found


def result(findings: dict[str, Finding], reasons: dict[str, str | None]) -> dict[str, Any]:
    """Return `total`, `provisional`, `categories` and `deductions`. A deduction applies if `reasons` has a sentence for it.

    The total is null while a category is ungraded, and provisional while one rests on rules.
    """
    points = {
        name: levels(name)[finding.level]["points"] for name, finding in findings.items() if finding.level != UNGRADED
    }
    categories = {name: {"points": points.get(name), **findings[name]._asdict()} for name in CATEGORIES}
    deductions = [
        {"percent": each["percent"], "reason": each["name"], "evidence": reasons[each["name"]]}
        for each in SCENARIO["deductions"]
        if reasons.get(each["name"])
    ]
    share = max(0, 100 - sum(each["percent"] for each in deductions)) / 100
    total = round(sum(points.values()) * share) if len(points) == len(CATEGORIES) else None
    provisional = any(finding.basis == RULES for finding in findings.values())
    return {"total": total, "provisional": provisional, "categories": categories, "deductions": deductions}
