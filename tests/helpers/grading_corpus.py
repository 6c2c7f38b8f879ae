"""Measures the grader on a half of the corpus: `PYTHONPATH=tests python -m helpers.grading_corpus tuning`.

`--write-requests FILE` writes the judge's requests, `--responses FILE` uses the answers to them. `--disagreements` lists the
disagreements: for the tuning half only.
"""

from __future__ import annotations

import argparse
import math
import statistics
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from helpers.project import PROJECT
from memory_leak_lab.grading import batch, documents, grade, ground_truth, rubric
from memory_leak_lab.grading.ground_truth import GroundTruth

CORPUS = PROJECT / "tests" / "grading" / "corpus"
LONG_WORDS = 250
MOST_OF_A_CHEAT = 20
VOTES = 1


class Report(NamedTuple):
    """A report of the corpus: its path in it, its ground truth and its expected levels."""

    name: str
    path: Path
    truth: GroundTruth
    expected: dict[str, Any]
    is_of_another_incident: bool

    @property
    def is_cheat(self) -> bool:
        return self.path.name.startswith("cheat-")

    @property
    def is_structured(self) -> bool:
        return self.path.name == "structured.json"

    @property
    def is_english(self) -> bool:
        return self.path.stem not in ("german", "french", "spanish")


def load(half: str) -> list[Report]:
    """Return the reports of a half. Cheats may have no expected levels: they count by their totals."""
    levels = yaml.safe_load((CORPUS / "levels.yml").read_text())
    found = []
    for directory in sorted((CORPUS / half).iterdir()):
        (truth,) = ground_truth.load(directory / "ground_truth").values()
        facts = yaml.safe_load((directory / "facts.yml").read_text())
        for path in sorted(directory.iterdir()):
            name = str(path.relative_to(CORPUS))
            if name in levels or path.name.startswith("cheat-"):
                found.append(Report(name, path, truth, levels.get(name, {}), "ground_truth_of" in facts))
    return found


def expected_total(expected: dict[str, Any]) -> int:
    """Return the total for expected levels and deductions."""
    levels = {name: rubric.Finding(expected[name], "it says so") for name in rubric.CATEGORIES}
    total: int = rubric.result(levels, dict.fromkeys(expected["deductions"], "it says so"))["total"]
    # The grader's limit for what tells nothing of the host, whatever cause and fix it guesses.
    is_unfounded = (expected["memory_growth"], expected["process"]) == ("none", "none")
    return min(total, grade.MOST_UNFOUNDED) if is_unfounded else total


def wilson(right: int, count: int) -> str:
    """Return a share in percent with its 95 % Wilson interval."""
    if not count:
        return "none"
    z, share = 1.96, right / count
    centre = (share + z * z / 2 / count) / (1 + z * z / count)
    half = z * math.sqrt(share * (1 - share) / count + z * z / 4 / count**2) / (1 + z * z / count)
    return f"{share:.1%} ({centre - half:.0%} to {centre + half:.0%}, {right} of {count})"


def measure(reports: list[Report], judge_of: Callable[[str], grade.Judge] | None = None) -> tuple[list[str], list[str]]:
    """Return the lines of a summary, and the disagreements."""
    right: Counter[str] = Counter()
    count: Counter[str] = Counter()
    errors: dict[str, list[float]] = defaultdict(list)
    disagreements, others = [], []
    words = sum(len(report.path.read_text().split()) for report in reports)
    began = time.process_time()
    graded = [
        (each, grade.grade(documents.read(each.path), each.truth, judge_of(each.name) if judge_of else None))
        for each in reports
    ]
    seconds = time.process_time() - began
    totals = {report.name: got["total"] or 0 for report, got in graded if report.is_cheat}
    cheats = [f"{name}: {total}" for name, total in totals.items() if total > MOST_OF_A_CHEAT]
    for report, got in graded:
        if not report.expected:
            continue
        if "verdict" in report.expected:
            count["verdict"] += 1
            right["verdict"] += got["verdict"] == report.expected["verdict"]
            if got["verdict"] != report.expected["verdict"]:
                disagreements.append(
                    f"{report.name}: {report.expected['verdict']}, got {got['verdict']}: {got['evidence'][:150]}"
                )
            continue
        total = got["total"]
        wanted = expected_total(report.expected)
        error = abs((total if total is not None else 0) - wanted)
        kind = "cheat" if report.is_cheat else "other incident" if report.is_of_another_incident else "leak"
        for group in (
            "all",
            kind,
            *(["structured"] if report.is_structured else []),
            *(["English"] if report.is_english else []),
        ):
            errors[group].append(error)
        for name in rubric.CATEGORIES:
            level = got["categories"][name]["level"]
            for group in (name, "all", kind, *(["structured"] if report.is_structured else [])):
                count[group] += 1
                right[group] += level == report.expected[name]
            if report.is_structured and got["categories"][name]["basis"] == "verified":
                count["checked by code"] += 1
                right["checked by code"] += level == report.expected[name]
            if report.is_english:
                count["covered"] += 1
                right["covered"] += level != rubric.UNGRADED
            if level != report.expected[name]:
                disagreements.append(
                    f"{report.name} {name}: {report.expected[name]}, got {level}: {got['categories'][name]['evidence'][:150]}"
                )
        found = sorted(each["reason"] for each in got["deductions"])
        if found != sorted(report.expected["deductions"]):
            disagreements.append(f"{report.name} deductions: {report.expected['deductions']}, got {found}")
        if kind == "other incident":
            others.append(total or 0)
    lines = [
        f"exact levels: {wilson(right['all'], count['all'])}; mean error {statistics.fmean(errors['all']):.1f} points",
        *(f"  {name}: {wilson(right[name], count[name])}" for name in rubric.CATEGORIES),
        *(
            f"  {kind}: {wilson(right[kind], count[kind])}; mean error {statistics.fmean(errors[kind]):.1f}"
            for kind in ("leak", "other incident", "cheat", "structured")
            if errors[kind]
        ),
        f"structured, levels that code checks: {wilson(right['checked by code'], count['checked by code'])}",
        f"covered, English: {wilson(right['covered'], count['covered'])}",
        f"verdict on controls and decoys: {wilson(right['verdict'], count['verdict'])}",
        f"mean total of reports of another incident: {statistics.fmean(others):.1f}" if others else "",
        f"cheats above {MOST_OF_A_CHEAT}: {len(cheats)} of {len(totals)} {cheats}",
        f"{words} words in {seconds:.2f} s: {seconds / words * 600_000:.1f} s for 1,000 reports of 600 words",
    ]
    return lines, disagreements


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("half", choices=("tuning", "unseen"))
    parser.add_argument("--disagreements", action="store_true")
    parser.add_argument("--write-requests", type=Path)
    parser.add_argument("--responses", type=Path)
    chosen = parser.parse_args()
    reports = load(chosen.half)
    if chosen.write_requests:
        lines = [
            batch.request(each.name, "any", grade.whole(documents.read(each.path)), each.truth, vote)
            for each in reports
            for vote in range(VOTES)
        ]
        chosen.write_requests.write_text("".join(f"{line}\n" for line in lines))
        return
    problems: list[str] = []
    responses = batch.Responses(chosen.responses, VOTES, problems) if chosen.responses else None
    lines, disagreements = measure(reports, responses.judge if responses else None)
    print(*lines, *problems, sep="\n")
    if chosen.disagreements:
        print(*disagreements, sep="\n")


if __name__ == "__main__":
    main()
