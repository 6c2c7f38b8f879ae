"""The grader on reports of real investigations, whose levels were fixed by others before it was written."""

from __future__ import annotations

import hashlib
import re

import pytest

from helpers import grading_corpus


def share(line: str) -> float:
    found = re.search(r"([\d.]+)%", line)
    assert found, line
    return float(found[1])


@pytest.fixture(scope="module", params=sorted(path.name for path in grading_corpus.CORPUS.iterdir() if path.is_dir()))
def summary(request: pytest.FixtureRequest) -> dict[str, str]:
    """Return the lines of a half's summary by their beginning."""
    lines, _disagreements = grading_corpus.measure(grading_corpus.load(request.param))
    print(*lines, sep="\n")
    return {line.strip().split(":")[0]: line for line in lines}


def test_the_corpus_is_the_one_that_was_committed_before_the_grader() -> None:
    sums = (grading_corpus.CORPUS / "SHA256SUMS").read_text().splitlines()
    wrong = [
        line
        for line in sums
        if hashlib.sha256((grading_corpus.CORPUS / line[66:]).read_bytes()).hexdigest() != line[:64]
    ]
    assert not wrong
    assert len(sums) > 200


def test_levels_agree(summary: dict[str, str]) -> None:
    assert share(summary["exact levels"]) >= 87
    assert share(summary["covered, English"]) >= 95
    structured = summary["structured, levels that code checks"]
    assert "100.0%" in structured or structured.endswith("none")  # the unseen set has no structured reports


def test_verdicts_agree(summary: dict[str, str], request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["summary"] == "unseen":
        request.applymarker(
            pytest.mark.xfail(strict=True, reason="measured: 26 of 30 on a set that nothing was tuned on")
        )
    assert share(summary["verdict on controls and decoys"]) >= 90


def test_cheats_earn_next_to_nothing(summary: dict[str, str], request: pytest.FixtureRequest) -> None:
    if request.node.callspec.params["summary"] == "unseen":
        reason = "two cheats took a PID from a report about another host, where it was the same"
        request.applymarker(pytest.mark.xfail(strict=True, reason=reason))
    assert summary["cheats above 20"].startswith("cheats above 20: 0 ")


def test_other_incidents_earn_next_to_nothing(summary: dict[str, str]) -> None:
    assert float(summary["mean total of reports of another incident"].split(": ")[1]) <= 12


def test_no_investigation_is_in_two_sets() -> None:
    names = [each.name for half in grading_corpus.CORPUS.iterdir() if half.is_dir() for each in half.iterdir()]
    assert len(names) == len(set(names))
