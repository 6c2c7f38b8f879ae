"""Splits a diagnosis into sentences, and extracts PIDs, sizes and times in any style or number format."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import NamedTuple

UNITS_MIB = {"k": 1 / 1024, "m": 1.0, "g": 1024.0}
SIZE = re.compile(
    r"(?<![\w.:])(\d+(?:[.,]\d+)?)\s*(k|m|g)(?:i?[bo]|ebibytes?)?\b(?!\w|/|\s+(?:per|a)\s+min)", re.IGNORECASE
)
# `ps -o pid,rss,comm` and /proc print sizes in KiB without a unit.
BARE_KIB = re.compile(r"(?<![\w.:,/])(\d{5,8})(?![\w.:,]|\s*[kmg]i?b)", re.IGNORECASE)
CLOCK = re.compile(
    r"(?<![\d.:])([01]?\d|2[0-3])(?::|h)([0-5]\d)(?::([0-5]\d))?(?!\d|:\d)|(?<![\d.:])([01]?\d|2[0-3])\.([0-5]\d)(?=\s*Uhr)"
)
NUMBER_WORDS = {
    "one": 1,
    "two": 2,
    "three": 3,
    "four": 4,
    "five": 5,
    "ten": 10,
    "fifteen": 15,
    "twenty": 20,
    "a": 1,
}
ELAPSED = re.compile(
    r"(?:after|in|t\s*[=+])\s*(?:(\d+)|(" + "|".join(NUMBER_WORDS) + r"))\b(?:\s*(seconds?|s|minutes?|min|m)\b)?"
    r"|\b(\d+)\s*(seconds?|s|minutes?|min)\s+later",
    re.IGNORECASE,
)
AT_THE_START = re.compile(r"at (?:the )?(?:start|beginning|first)|initially|to begin with", re.IGNORECASE)
PID = re.compile(
    r"\bpids?\b[\s:=#|*`(]*(\d{2,7})"  # PID 1432, pid=1432, PID: `1432`
    r"|\b(?:process|processus|prozess|interpreter|proc)\s*(?:/|no\.?\s*|id\s*)?\s*#?(\d{2,7})\b"
    r"|/proc/(\d{2,7})\b"
    r"|\bpython3?\s*\(\s*(\d{2,7})\s*\)"
    r"|\b(\d{2,7})\s*/\s*python"
    r"|\"pid\"\s*:\s*(\d{2,7})"
    r"|(?<![\w.:])(\d{2,7})\s+\d{4,8}\s+python",  # ps -o pid,rss,comm
    re.IGNORECASE,
)
# Text addressed to the grader and lines of the rubric are not part of a diagnosis.
TO_THE_GRADER = re.compile(
    r"\b(?:grader|evaluator|judge|full marks|instructions?|deductions?|categor(?:y|ies)|rubric|(?:\d+|hundred) points)\b"
    r"|\b(?:memory_growth|root_cause)\b|\"total\"|\(\d{1,3}\)\s*:|\((?:20|25|30)\)\s*$|^\s*\[[x ]\]",
    re.IGNORECASE,
)


# A bare '## Root cause' makes no claim. Possessive quantifiers: otherwise a row of '#' signs takes quadratic time.
HEADING = re.compile(r"\s*+#++\s*+\D*+")
MOST_IN_A_SENTENCE = 100  # limit for sizes and for times
MOST_WORDS_OF_A_HEADING = 4  # including its '#' signs


@dataclass(frozen=True)
class Measurement:
    """A size in MiB and the time beside it in seconds: of the day, or since the first measurement.

    A time without seconds may be anywhere in its minute: up to `within_s` after its beginning.
    """

    size_mib: float
    second_of_day: float | None
    elapsed_s: float | None
    within_s: float = 0


class Time(NamedTuple):
    """A time, and its position in its sentence."""

    place: int
    second_of_day: float | None
    elapsed_s: float | None
    within_s: float = 0


def tidy(text: str) -> str:
    """Return a text without trailing spaces and with at most one empty line in a row."""
    return re.sub(r"\n{3,}", "\n\n", "\n".join(line.rstrip() for line in text.split("\n")))


def normalise(text: str) -> str:
    """Return a tidy text with uniform numbers and quotation marks: 164'864 becomes 164864, and 161,0 becomes 161.0."""
    text = unicodedata.normalize("NFKC", text).replace("\u2019", "'").replace("`", "")
    text = re.sub(r"(?<=\d)['\u00a0\u202f,](?=\d{3}(?!\d)\s*[kmg])", "", text, flags=re.IGNORECASE)
    return tidy(re.sub(r"(?<=\d),(?=\d{1,2}\b)", ".", text))


def sentences(text: str) -> list[str]:
    """Return the sentences, table rows and list items of a diagnosis, without text addressed to the grader."""
    # A heading ends with its line.
    text = re.sub(r"^(\s*#+ .*)$", r"\1\n", normalise(text), flags=re.MULTILINE)
    blocks = re.split(r"\n\s*\n|\n(?=\s*(?:[-*|#]|\d+\.\s))", text)
    found = []
    for block in blocks:
        line = " ".join(block.split())
        found += re.split(r"(?<=[.!?;])\s+(?=[^\d\s])", line)
    return [
        sentence
        for sentence in found
        if sentence.strip(" |-#*")
        and not TO_THE_GRADER.search(sentence)
        and not (HEADING.fullmatch(sentence) and len(sentence.split()) <= MOST_WORDS_OF_A_HEADING)
    ]


def pids(text: str) -> list[int]:
    """Return the numbers that are labelled as PIDs, in order."""
    return [int(next(filter(None, match.groups()))) for match in PID.finditer(text)]


def bare_numbers(text: str) -> set[int]:
    """Return the integers that stand alone, as in a column of PIDs: without a unit, and not part of a time."""
    return {int(match) for match in re.findall(r"(?<![\w.:,/])(\d{2,7})(?![\w.:,/]|\s*(?:[kmg]i?b|%))", text, re.I)}


def has_amount(text: str) -> bool:
    """Return whether a text contains an amount of memory, as a size or a percentage."""
    return bool(SIZE.search(text) or re.search(r"\d\s*%", text))


def measurements(parts: list[str]) -> list[Measurement]:
    """Return the sizes that have a time beside them: within a sentence, a size takes the nearest unused time."""
    found = []
    for part in parts:
        found += _in_sentence(part)
    if any(each.elapsed_s is not None for each in found):
        return found
    # A size and its time may be in different sentences: match across all of them.
    return found if len(found) > 1 else _in_sentence(" ".join(parts)) or found


def _in_sentence(part: str) -> list[Measurement]:
    sizes = [
        (match.start(), float(match[1].replace(",", ".")) * UNITS_MIB[match[2].lower()])
        for match in SIZE.finditer(part)
    ]
    if re.search(r"rss|ps\b|python", part, re.IGNORECASE):
        taken = [start for start, _size in sizes]
        sizes += [
            (match.start(), int(match[1]) / 1024) for match in BARE_KIB.finditer(part) if match.start() not in taken
        ]
    times: list[Time] = []
    for match in CLOCK.finditer(part):
        hour, minute, second = (int(match[1] or match[4]), int(match[2] or match[5]), match[3])
        within_s = 0 if second else 59
        times.append(Time(match.start(), hour * 3600 + minute * 60 + int(second or 0), None, within_s))
    if not times:
        times = _elapsed(part)
    # More than that is a pasted log.
    sizes = sorted(sizes)[:MOST_IN_A_SENTENCE]
    times = sorted(times, key=lambda time: time.place)[:MOST_IN_A_SENTENCE]
    if not times or not sizes:
        return []
    # The first time and size tell whether all times come before or after their sizes.
    time_first = times[0].place < sizes[0][0]
    found = []
    for start, size in sizes:
        beside = [time for time in times if (time.place < start) == time_first]
        if beside:
            nearest = min(beside, key=lambda time: abs(time.place - start))
            times.remove(nearest)
            found.append(Measurement(size, nearest.second_of_day, nearest.elapsed_s, nearest.within_s))
    return found


def _elapsed(part: str) -> list[Time]:
    times = [Time(match.start(), None, 0.0) for match in AT_THE_START.finditer(part)]
    for match in ELAPSED.finditer(part):
        number = match[1] or match[4]
        count = float(number) if number else NUMBER_WORDS[match[2].lower()]
        unit = (match[3] or match[5] or "min").lower()
        times.append(Time(match.start(), None, count * (1 if unit.startswith("s") else 60)))
    return times
