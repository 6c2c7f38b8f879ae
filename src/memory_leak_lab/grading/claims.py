"""Checks the numbers that a diagnosis derives from its measurements: the growth rate and the time until the OOM kill.

They are compared with the ground truth. A claim that is far off contradicts the measurements beside it.
"""

from __future__ import annotations

import itertools
import math
import re
from dataclasses import asdict, dataclass
from typing import Any

from memory_leak_lab.grading import quantities
from memory_leak_lab.grading.ground_truth import Run
from memory_leak_lab.grading.notation import MIB, UNITS, WORDS, number, unit_seconds

# More numbers than this are a pasted log, or guesses of which one may fit.
MOST_CLAIMS, MOST_CLAIMS_IN_ALL = 10, 100  # per sentence, per diagnosis
EVIDENCE = 1000  # characters of a sentence
TOLERANCE = 0.25
TOLERANCE_MIN = 3.0
UNIT_OF_TIME = r"(s(?:ec(?:ond)?s?)?|m(?:in(?:ute)?s?)?|h(?:ours?|rs?)?)\b"
# 'Ten entries of 1 MiB per second'
OF_ITEMS = re.compile(r"\b(?:entries|sessions|states?|requests?|objects?|records?) of\b[^.;]*$", re.I)
MOST_BEFORE = 40  # characters
THE_END = r"\b(?:oom\w*|killed|hits?|reach(?:es)?|exhaust\w*|runs? out|full|limit|ceiling|crash\w*|dies?)\b"
NUMBER = r"(\d+(?:\.\d+)?|" + "|".join(map(re.escape, WORDS)) + r")"
REMAINING = re.compile(
    THE_END
    + r"[^.;]{0,60}?\b(?:in|within|after)\s+(?:(?:about|around|roughly|approximately|some|another|the next|less than)\s+|~\s*)?"
    + NUMBER
    + r"(?:\s*(?:to|-|\u2013)\s*(\d+(?:\.\d+)?))?\s*"
    + UNIT_OF_TIME,
    re.I,
)


@dataclass(frozen=True)
class Claim:
    """A claim: its kind (`rate_mib_per_min` or `oom_in_min`), stated and true value, whether they agree, and its sentence."""

    claim: str
    stated: float
    true: float
    right: bool
    evidence: str


def check(parts: list[str], runs: tuple[Run, ...], last_size_mib: float | None) -> list[dict[str, Any]]:
    """Return the claims found, each checked against the closest of the leaker's runs.

    The time to the OOM kill counts from the last measurement; without one it is not checked.
    """
    found: list[Claim] = []
    for part in parts:
        if part.rstrip().endswith("?") or not runs:
            continue
        for match in itertools.islice(quantities.RATE.finditer(part), MOST_CLAIMS):
            size_mib = number(match[1]) * UNITS[match[2][0].lower()] / MIB
            stated = size_mib * 60 / unit_seconds(match[3])
            if not math.isfinite(stated) or OF_ITEMS.search(part[: match.start()][-MOST_BEFORE:]):
                continue
            true = min((run.target_rate_mib_per_min for run in runs), key=lambda rate: abs(rate - stated))
            found.append(
                Claim("rate_mib_per_min", stated, true, abs(stated - true) <= TOLERANCE * true, part[:EVIDENCE])
            )
        for match in itertools.islice(REMAINING.finditer(part), MOST_CLAIMS) if last_size_mib is not None else ():
            low = number(match[1]) * unit_seconds(match[3]) / 60
            high = number(match[2]) * unit_seconds(match[3]) / 60 if match[2] else low
            if not math.isfinite(low) or not math.isfinite(high):
                continue
            ends = [
                (run.ceiling_bytes / 2**20 - (last_size_mib or 0)) / run.target_rate_mib_per_min
                for run in runs
                if run.ceiling_bytes and run.target_rate_mib_per_min
            ]
            if ends:
                true = min(ends, key=lambda end: abs(end - low))
                margin = max(TOLERANCE * true, TOLERANCE_MIN)
                found.append(
                    Claim("oom_in_min", high, round(true, 1), low - margin <= true <= high + margin, part[:EVIDENCE])
                )
    return [asdict(claim) for claim in found[:MOST_CLAIMS_IN_ALL]]


def contradicts(checked: list[dict[str, Any]]) -> bool:
    """Return whether all claims of one kind are wrong."""
    kinds = {each["claim"] for each in checked}
    return any(not any(each["right"] for each in checked if each["claim"] == kind) for kind in kinds)
