"""Writes grades.html from the records of grades.json: one file that needs no network."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from memory_leak_controller.report.page import environment
from memory_leak_controller.report.records import replace
from memory_leak_lab.grading import summary
from memory_leak_lab.grading.rubric import CATEGORIES

BANDS = ("0 to 24 points", "25 to 49", "50 to 74", "75 to 99", "100 points")


def write(records: list[dict[str, Any]], path: Path) -> None:
    """Write the page. The next report.html written beside it links to it."""
    totals = Counter(min(each["total"] // 25, 4) for each in records if each["total"] is not None)
    counts = [(BANDS[band], count) for band, count in sorted(totals.items(), reverse=True)]
    counts += Counter(each["verdict"] for each in records if each["total"] is None).most_common()
    template = environment(Path(__file__).parent).get_template("grades.html.j2")
    page = template.render(
        records=sorted(
            records, key=lambda each: (each["total"] is None, -(each["total"] or 0), each["file"], each["host"])
        ),
        categories=CATEGORIES,
        detection=summary.detection(records),
        authors=summary.authors(records),
        counts=counts,
        generated_at=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    replace(path, page)
