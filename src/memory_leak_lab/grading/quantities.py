"""Finds sizes, times, spans and PIDs in a line or sentence, in the notations that people and tools use.

Each position of a text belongs to one quantity at most: a PID is never taken for a size, nor a rate for a size.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from memory_leak_lab.grading import number_words, shares
from memory_leak_lab.grading.notation import (
    COUNT,
    MIB,
    NUMBER,
    SPAN,
    UNIT_OF_SIZE,
    UNIT_OF_TIME,
    UNITS,
    WORDS,
    number,
    seconds,
)

# What may stand between the numbers of '64 -> 74 -> 99 MB'.
JOINT = (
    r"\s*(?:-+>|=+>|>|,|;|/|\u2026|\.\.\.?|\u2013|\u2014|-|~|to|and|then|or|bis|auf|und|à|et|puis|a|y|hasta|luego)"
    r"\s*(?:about|roughly|around|approx\.?|~|\u2248)?\s*"
)

RATE = re.compile(
    rf"(?:[~≈+±<>]\s*)*(?<![\w.])({COUNT})\s*({UNIT_OF_SIZE})\s*(?:/|\bper\b|\ba\b|\bevery\b|\beach\b|\ban\b|\bpro\b|\bpar\b"
    rf"|\bpor\b)"
    r"\s*(s|sec|second|sekunde|seconde|segundo|m|min|minute|minuto|h|hr|hour|stunde|heure|hora)\b",
    re.I,
)
CLOCK = re.compile(
    r"(?<![\d.:])(?:(?P<date>\d{4}-\d\d-\d\d)[T ,]+)?(?P<hour>[01]?\d|2[0-3])(?::|\s?h\s?(?=\d\d\b))(?P<minute>[0-5]\d)"
    r"(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?(?P<zone>\s?(?:Z|UTC|GMT)?[+-]\d\d:?\d\d\b"
    r"|Z\b)?(?:\s?(?P<half>[ap])\.?m\b\.?)?(?!\d|:\d|\.\d)",
    re.I,
)
# 'At eight minutes past four'
HOURS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
WORDED_CLOCK = re.compile(
    rf"\b({COUNT}|(?:a )?quarter)\s+(?:minutes?\s+)?(past|to)\s+({'|'.join(HOURS)}|noon|midnight)\b", re.I
)
# Cheaper than WORDED_CLOCK, which few texts need.
NAMED_HOUR = re.compile(rf"\b(?:past|to) (?:{'|'.join(HOURS)}|noon|midnight)\b", re.I)
GERMAN_CLOCK = re.compile(r"(?<![\d.:])([01]?\d|2[0-3])\.([0-5]\d)(?=\s*Uhr) Uhr")
PID = re.compile(
    r"\bpids?\b(?:\s+(?:is|was|number|no\.?|of))?[\s:=#|*(\"'-]*(?P<a>\d{2,7})(?:\s*(?:,|/|and|&)\s*(?P<more>\d{2,7}))?\b"
    r"|\b(?:process(?:us|o)?|prozess|proceso|proc|interpreter|task)\s*(?:/|no\.?\s*|id\s*"
    r"|number\s*)?\s*[#(]?\s*(?P<b>\d{2,7})\b(?!\s*(?:%|[kmg]i?b)|[.,]\d)"
    r"|/proc/(?P<c>\d{2,7})\b"
    r"|\b[a-z][\w.-]{1,30}\s*[\[(]\s*(?:pid\s*)?(?P<d>\d{2,7})\s*[\])]"  # python3[1432], python3 (1432)
    r"|(?<![\w.:/])(?P<e>\d{2,7})\s*[/(]\s*python"
    r"|\bpython3?\s+(?P<f>\d{3,7})\b(?!\s*[kmg]i?b)"
    r"|\b(?:MainPID|ExecMainPID|ppid|_PID)\s*[=:]\s*(?P<g>\d{1,7})",
    re.I,
)
WORDED_SIZE = re.compile(
    rf"\b({'|'.join(sorted(map(re.escape, WORDS), key=len, reverse=True))})\s+((?:kilo|mega|giga|kibi|mebi|gibi)bytes?"
    rf"|[KMG]i?B)\b",
    re.I,
)
# A number, with its unit if it has one; not a part of a word, of a path or of a rate.
SIZED = re.compile(
    rf"(?<![\w./-])(?P<number>{NUMBER})(?:\s*(?P<unit>{UNIT_OF_SIZE})(?!\s*/\s*\w|\s+(?:per|an?|every|pro|par|por)\s+\w))?",
    re.I,
)
JOINED = re.compile(JOINT, re.I)
LONGEST_JOINT = 24  # characters
MOST_TIMES = 8  # what a size without a unit may be larger than the largest with one
# 'It was at 242, and then it had reached 351': the sizes of a sentence that has the unit elsewhere.
BARE_SIZE = re.compile(
    r"\b(?:at|to|reached|reaches|hit|read|showed|shows|held|was|had|from|then|stood at|up to|occupied|took"
    r"|seconds?,|minutes?,|and)\s+"
    r"(?:about |roughly |some |nearly |almost |only |already |~)?"
    r"(\d{2,4}(?:\.\d+)?)(?=\s*(?:[,.;:)]|$|(?:and|by|after|when|a|then|before|within|in|half|two|three|four|one) ))",
    re.I,
)
DIFFERENCE = re.compile(r"\b(?:between|by|added|adding|plus)\s+(?:\S+\s+(?:and|to|or)\s+)?$", re.I)
ELAPSED = re.compile(
    rf"\b(?:after|nach|après|tras|past|at\s+t|at|t|minute|min)\s*[=+:]?\s*(?:about|roughly|another|nearly|almost|knapp|rund|gut|fast|etwa|unos|unas|casi"
    rf"|environ)?\s*\+?(?P<a>{SPAN})"
    rf"|(?<![\w.])(?:t\s*)?\+\s*(?P<b>{SPAN})|(?P<c>{SPAN})\s+(?:later|after|in\b(?!\s+\w+\s+(?:the|this|a)\b)|später"
    rf"|plus tard|después|más tarde)"
    rf"|^\W*(?P<e>{SPAN})\s*(?=[:=]|->|\u2013|\u2014)"  # a list of times and sizes
    r"|\bt\s*[=+]\s*(?P<d>\d+(?:\.\d+)?)\b(?!\s*[kmg]i?b)",
    re.I,
)
# '26 s after the start' is no time since the measurement before.
FROM_THE_START = re.compile(r"\s*(?:the |its |that )?(?:start|beginning|launch|first|boot|then)", re.I)
LATER = re.compile(r"\b(?:later|später|plus tard|después|más tarde|another)\b", re.I)
START = re.compile(
    r"\bat (?:the )?(?:start|beginning|outset|first)\b|\binitial(?:ly)?\b|\bto begin with\b|\bat first\b|\bfirst (?:sample"
    r"|reading|look|measurement|check|snapshot)\b"
    r"|\bbaseline\b|\bt\s*[=+]?\s*0(?:\s*s(?:ec)?)?\b(?![.\d])|\banfangs\b|\bzunächst\b|\bau début\b|\bal principio\b"
    r"|\binicialmente\b",
    re.I,
)
# What a text must have before it is worth a closer look.
ANY_SIZE = re.compile(UNIT_OF_SIZE, re.I)
ANY_TIME = re.compile(rf"(?<![a-zA-Z]){UNIT_OF_TIME}|\bt\s*[=+]|minute|hour", re.I)
DATE = re.compile(r"\b\d{4}-\d\d-\d\d\b|\b\d{1,2}[./]\d{1,2}[./]\d{2,4}\b")
SPANS = re.compile(
    rf"(?P<each>\b(?:every|each|alle|toutes les|cada)\s+|\bat\s+(?=\S+\s*\S*\s*intervals?))?"
    rf"(?P<span>{SPAN})(?P<after>\s*(?:apart|intervals?|spacing|Abstand|d'intervalle))?",
    re.I,
)


class Quantity(NamedTuple):
    """A value and where it stands in its text: a size in MiB, or a time in seconds."""

    place: int
    value: float
    within: float = 0.0  # how far off: a clock without seconds may be up to a minute later, a rounded share a few MiB


class Span(NamedTuple):
    """A length of time in seconds; `between` tells that it lies between any two neighbours of a series."""

    place: int
    seconds: float
    between: bool


@dataclass
class Quantities:
    """What a text contains. Clocks are seconds of the day, elapsed times seconds since the first measurement."""

    sizes: list[Quantity] = field(default_factory=list)  # MiB
    clocks: list[Quantity] = field(default_factory=list)
    elapsed: list[Quantity] = field(default_factory=list)
    later: list[bool] = field(default_factory=list)  # for each elapsed time: since the measurement before
    spans: list[Span] = field(default_factory=list)
    pids: list[Quantity] = field(default_factory=list)


@functools.lru_cache(maxsize=4096)
def find(text: str) -> Quantities:
    """Return the quantities of a line or sentence, which callers must not change. Takes time linear in its length."""
    found = Quantities()
    text = number_words.to_digits(text)
    has_digits, has_size = any(map(str.isdigit, text)), bool(ANY_SIZE.search(text))
    if has_size:
        text = RATE.sub(_blank, text)
    if has_digits:
        for match in PID.finditer(text):
            found.pids += [Quantity(match.start(), int(value)) for value in match.groupdict().values() if value]
        text = PID.sub(_blank, text)
    if has_digits or NAMED_HOUR.search(text):
        text = _clocks(text, found)
    if has_size:
        shared, text = shares.find(text)
        found.sizes += [Quantity(*each) for each in shared]
        for match in WORDED_SIZE.finditer(text):
            found.sizes.append(Quantity(match.start(), WORDS[match[1].lower()] * UNITS[match[2][0].lower()] / MIB))
        text = _sizes(text, found)
    if found.sizes:
        text = _bare_sizes(text, found)
    _times_between(text, found)
    return found


def _clocks(text: str, found: Quantities) -> str:
    """Add the times of day of a text, and return the text without them and without dates."""
    if NAMED_HOUR.search(text):
        text = WORDED_CLOCK.sub(lambda match: _worded_clock(match, found), text)
    text = GERMAN_CLOCK.sub(r"\1:\2    ", text)
    for match in CLOCK.finditer(text):
        hour = int(match["hour"]) % 12 + 12 * (match["half"].lower() == "p") if match["half"] else int(match["hour"])
        exact = match["second"] is not None
        at = hour * 3600 + int(match["minute"]) * 60 + int(match["second"] or 0)
        found.clocks.append(Quantity(match.start(), at, 0.0 if exact else 59.0))
    return DATE.sub(_blank, CLOCK.sub(_blank, text))


def _times_between(text: str, found: Quantities) -> None:
    """Add the elapsed times and the spans of a text."""
    if ANY_TIME.search(text):
        for match in ELAPSED.finditer(text):
            said = match["a"] or match["b"] or match["c"] or match["e"]
            found.elapsed.append(Quantity(match.start(), seconds(said) if said else float(match["d"])))
            found.later.append(
                bool(LATER.search(match.group())) or (bool(match["c"]) and not FROM_THE_START.match(text, match.end()))
            )
        for match in SPANS.finditer(text):
            found.spans.append(Span(match.start(), seconds(match["span"]), bool(match["each"] or match["after"])))
    for match in START.finditer(text):
        found.elapsed.append(Quantity(match.start(), 0.0))
        found.later.append(False)
    order = sorted(range(len(found.elapsed)), key=lambda index: found.elapsed[index].place)
    found.later = [found.later[index] for index in order]
    found.elapsed = [found.elapsed[index] for index in order]


def _worded_clock(match: re.Match[str], found: Quantities) -> str:
    """Add the clock that is given in words, in the afternoon: the time zone of a text is open anyway. Return spaces for it."""
    hour = {"noon": 12, "midnight": 0}.get(match[3].lower())
    hour = HOURS.index(match[3].lower()) + 13 if hour is None else hour
    said = match[1].lower()
    minutes = 15 if "quarter" in said else 30 if said == "half" else number(said)
    at = hour * 3600 + minutes * 60 * (1 if match[2].lower() == "past" else -1)
    found.clocks.append(Quantity(match.start(), at % 86400, 59.0))
    return _blank(match)


def _blank(match: re.Match[str]) -> str:
    return " " * len(match.group())


def _bare_sizes(text: str, found: Quantities) -> str:
    """Add the sizes without a unit of a text that has others with one, and return the text without them."""
    found.sizes = sorted([*found.sizes, *bare_sizes(text, max(size.value for size in found.sizes))])
    return BARE_SIZE.sub(_blank, text)


def bare_sizes(text: str, beside_mib: float) -> list[Quantity]:
    """Return the numbers without a unit that may be sizes in MiB, beside one with a unit: of that magnitude."""
    found = [Quantity(match.start(1), float(match[1])) for match in BARE_SIZE.finditer(text)]
    # 'Each step added between 39 and 41': these are differences.
    found = [size for size in found if not DIFFERENCE.search(text[: size.place][-LONGEST_JOINT:])]
    return [size for size in found if beside_mib / MOST_TIMES <= size.value <= MOST_TIMES * beside_mib]


def _sizes(text: str, found: Quantities) -> str:
    """Add the sizes of a text, and return the text without them.

    In '64 -> 74 -> 99 MB', a number without a unit has that of the next one with a unit.
    """
    matches = list(SIZED.finditer(text))
    unit, behind = "", 0  # the unit of the number behind this one, and where that number begins
    kept = []
    for match in reversed(matches):
        own = match["unit"]
        if own:
            unit = own
        elif not (unit and behind - match.end() <= LONGEST_JOINT and JOINED.fullmatch(text, match.end(), behind)):
            unit = ""
            continue
        behind = match.start()
        scale = UNITS[unit[0].lower()]
        found.sizes.append(Quantity(match.start(), number(match["number"], of_kib=scale == UNITS["k"]) * scale / MIB))
        kept.append(match)
    found.sizes.sort()
    pieces, end = [], 0
    for match in reversed(kept):
        pieces += [text[end : match.start()], " " * len(match.group())]
        end = match.end()
    return "".join([*pieces, text[end:]])
