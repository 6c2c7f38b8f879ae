"""Summaries of grades: how well leaks were detected over a fleet, and a comparison of several authors."""

from __future__ import annotations

import statistics
from collections import Counter, defaultdict
from typing import Any

from memory_leak_lab.grading.ground_truth import LEAKER
from memory_leak_lab.grading.rubric import CATEGORIES

Record = dict[str, Any]
SAID = ("leak", "no leak", "unclear")


def detection(records: list[Record]) -> dict[str, Any]:
    """Return the confusion matrix by variant, precision and recall over diagnoses of hosts, and the points for all-clears.

    Precision is null if no diagnosis says that its host leaks, recall if no host leaks.
    """
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for record in records:
        counts[record["variant"]][record["said"]] += 1
    said_leak = sum(counter["leak"] for counter in counts.values())
    right, leakers = counts[LEAKER]["leak"], counts[LEAKER].total()
    healthy = [record for record in records if record["variant"] != LEAKER]
    return {
        "confusion": {variant: {said: counter[said] for said in SAID} for variant, counter in sorted(counts.items())},
        "precision": round(right / said_leak, 3) if said_leak else None,
        "recall": round(right / leakers, 3) if leakers else None,
        "all_clear_points": sum(record["all_clear_points"] or 0 for record in healthy),
        "all_clear_points_possible": len(healthy),
    }


def authors(records: list[Record]) -> list[dict[str, Any]]:
    """Return for each author the number of diagnoses, mean and spread of the totals, mean points, and detection."""
    by_author: dict[str, list[Record]] = defaultdict(list)
    for record in records:
        by_author[record["author"]].append(record)
    return [_author(name, of_author) for name, of_author in sorted(by_author.items())]


def _author(name: str, records: list[Record]) -> dict[str, Any]:
    graded = [record for record in records if record["variant"] == LEAKER and record["total"] is not None]
    totals = [record["total"] for record in graded]
    return {
        "author": name,
        "diagnoses": len(records),
        "graded": len(totals),
        "mean_total": round(statistics.fmean(totals), 1) if totals else None,
        "standard_deviation": round(statistics.stdev(totals), 1) if len(totals) > 1 else None,
        "mean_points": {
            category: round(statistics.fmean(record["categories"][category]["points"] for record in graded), 1)
            for category in CATEGORIES
        }
        if graded
        else None,
        **{key: value for key, value in detection(records).items() if key != "confusion"},
    }
