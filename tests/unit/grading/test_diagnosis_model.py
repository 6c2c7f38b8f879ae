"""Structured diagnoses: what is accepted, and what is refused with a message."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from memory_leak_lab.grading.diagnosis_model import Diagnosis

LEAST = {"affected": False, "confidence": 0.5}


def test_the_least_that_is_a_diagnosis() -> None:
    assert Diagnosis.model_validate(LEAST).process is None


def test_times_are_kept_in_utc() -> None:
    measured = {**LEAST, "measurements": [{"time": "2026-01-01T01:00:00+01:00", "rss_mib": 10}]}
    kept = Diagnosis.model_validate(measured).model_dump(mode="json")["measurements"]
    assert kept == [{"time": "2026-01-01T00:00:00Z", "elapsed_s": None, "rss_mib": 10.0}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"confidence": 1.1}, "less than or equal to 1"),
        ({"confidence": float("nan")}, "less than or equal to 1"),
        ({"process": {"pid": 0, "name": "x"}}, "greater than or equal to 1"),
        ({"process": {"pid": 5}}, "name"),
        ({"measurements": [{"rss_mib": 1}]}, "either `time` or `elapsed_s`"),
        ({"measurements": [{"time": "2026-01-01T00:00:00Z", "elapsed_s": 1, "rss_mib": 1}]}, "either `time`"),
        ({"measurements": [{"time": "2026-01-01T00:00:00", "rss_mib": 1}]}, "timezone"),
        ({"measurements": [{"elapsed_s": 1, "rss_mib": -1}]}, "greater than or equal to 0"),
        ({"measurements": [{"elapsed_s": 0, "rss_mib": 1}] * 201}, "at most 200"),
        ({"root_cause": "x" * 20_001}, "at most 20000"),
        ({"score": 100}, "not permitted"),
    ],
)
def test_what_is_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        Diagnosis.model_validate({**LEAST, **changes})
