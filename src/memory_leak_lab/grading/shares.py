"""Finds sizes that are given as shares of a memory limit: '26.8 % of the 1 GiB limit', or '22.5 percent of that'."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import NamedTuple

from memory_leak_lab.grading.notation import MIB, NUMBER, UNIT_OF_SIZE, UNITS, number

PERCENT_SIGN = r"(?:%|percent\b|per cent\b|prozent\b|pour ?cents?\b|por ciento\b)"
LIMIT = r"(?:(?:memory|hard|cgroup) )?(?:limit|ceiling|maximum|allowance|cap|budget|MemoryMax)\b"
WHOLE = r"(?:the |its |a |that )?(?:\w+ ){0,3}?"
PERCENT = re.compile(
    rf"(?<!cpu )(?<![\d.,])({NUMBER})\s?{PERCENT_SIGN}(?!\s*(?:of (?:a|one|the) )?(?:cpu|idle|processor|disk)\b)", re.I
)
SHARE = re.compile(
    rf"{NUMBER}\s?{PERCENT_SIGN}\s+of\s+{WHOLE}(?P<of>{NUMBER})\s?(?P<unit>{UNIT_OF_SIZE})"
    rf"|\bof\s+{WHOLE}(?P<of_limit>{NUMBER})\s?(?P<unit_of_limit>{UNIT_OF_SIZE})\s+{LIMIT}(?=.*?{PERCENT_SIGN})",
    re.I,
)
# 'From 3.2 % to 9.8 % of its 1 GiB': the shares before belong to the same size.
JOINED_SHARE = re.compile(rf"{NUMBER}\s?{PERCENT_SIGN}\s*(?:to|and|then|->|\u2192|\u2013|-|,)\s*$", re.I)
LONGEST_JOINT = 24  # characters
STATED_LIMIT = re.compile(
    rf"\b{LIMIT}[^.;%]{{0,25}}?\b(?P<after>{NUMBER}\s?{UNIT_OF_SIZE})"
    rf"|\b(?P<before>{NUMBER}\s?{UNIT_OF_SIZE})[^.;%]{{0,12}}?\b{LIMIT}"
    rf"|\b(?:allowed|granted|limited to|capped at|may (?:use|have|hold)|gets)\s+(?:\w+ )?"
    rf"(?P<granted>{NUMBER}\s?{UNIT_OF_SIZE})",
    re.I,
)
SHARE_OF_LIMIT = re.compile(
    rf"(?P<share>{NUMBER}\s?{PERCENT_SIGN})\s+of\s+(?:that\b|it\b(?!s)|(?:its|the|this|that) {LIMIT})(?!\s+of\b)", re.I
)


class Share(NamedTuple):
    """A share of a stated size: its place in the text, its size in MiB, and how far (MiB) its rounding may be off."""

    place: int
    size_mib: float
    rounding_mib: float


def find(text: str) -> tuple[list[Share], str]:
    """Return the shares of a stated size, and the text without them and without that size."""
    whole = SHARE.search(text) if PERCENT.search(text) else None
    if not whole:
        return [], text
    size, unit = ("of", "unit") if whole["of"] else ("of_limit", "unit_of_limit")
    total = number(whole[size]) * UNITS[whole[unit][0].lower()] / MIB
    begin = whole.start()
    while joined := JOINED_SHARE.search(text[max(0, begin - LONGEST_JOINT) : begin]):
        begin = max(0, begin - LONGEST_JOINT) + joined.start()
    found = [
        Share(match.start(), number(match[1]) / 100 * total, _rounding(match[1]) / 100 * total)
        for match in PERCENT.finditer(text)
        if match.start() >= begin
    ]
    blanked = text[: whole.start(size)] + " " * (whole.end(unit) - whole.start(size)) + text[whole.end(unit) :]
    return found, PERCENT.sub(lambda match: " " * len(match.group()), blanked)


def _rounding(written: str) -> float:
    """Return half a unit of the last digit of a percentage."""
    _whole, _point, decimals = written.replace(",", ".").partition(".")
    return 0.5 * float(f"1e-{len(decimals)}")


def stated_limit(texts: Iterable[str]) -> str:
    """Return the memory limit that a text states, such as '1 GiB', empty if there is none."""
    found = (STATED_LIMIT.search(text) for text in texts)
    return next((match["after"] or match["before"] or match["granted"] for match in found if match), "")


def with_limit(sentence: str, limit: str) -> str:
    """Return a sentence with the limit's size where it says 'percent of that' or 'percent of the limit'."""
    return SHARE_OF_LIMIT.sub(rf"\g<share> of {limit}", sentence) if limit else sentence
