"""Finds sizes, times, spans and PIDs in a line or sentence, in the notations that people and tools use.

Each position of a text belongs to one quantity at most: a PID is never taken for a size, nor a rate for a size.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass, field
from typing import NamedTuple

from memory_leak_lab.grading import number_words

MIB = 1024**2
# Bytes for each unit. Decimal and binary units are often confused, also by tools: all are read as binary.
UNITS = {"b": 1, "o": 1, "k": 1024, "m": MIB, "g": 1024**3}
WORDS = {
    **{"a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0},
    **{"eight": 8.0, "nine": 9.0, "ten": 10.0, "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0},
    **{"forty": 40.0, "forty-five": 45.0, "fifty": 50.0, "sixty": 60.0, "ninety": 90.0, "couple of": 2.0},
    **{"half a": 0.5, "half": 0.5, "a half": 0.5, "a couple of": 2.0, "one and a half": 1.5, "two and a half": 2.5},
    **{"another": 1.0, "eine": 1.0, "einer": 1.0, "zwei": 2.0, "drei": 3.0, "vier": 4.0, "fünf": 5.0, "zehn": 10.0},
    **{"une": 1.0, "deux": 2.0, "trois": 3.0, "quatre": 4.0, "cinq": 5.0, "dix": 10.0, "un": 1.0, "una": 1.0},
    **{"dos": 2.0, "tres": 3.0, "cuatro": 4.0, "cinco": 5.0, "diez": 10.0},
}
NUMBER = r"\d{1,3}(?:[,'\u202f ]\d{3})+(?:\.\d+)?(?![\d])|\d+(?:[.,]\d+)?"
COUNT = rf"(?:{NUMBER}|(?:{'|'.join(sorted(map(re.escape, WORDS), key=len, reverse=True))})(?![\w-]))"
UNIT_OF_SIZE = (
    r"(?:[kmg]i?[bo]\b|(?-i:[KMG]i?\b(?![/'-]?\w)|(?<=\d)g\b)|(?:kilo|mega|giga|kibi|mebi|gibi)(?:bytes?|octets?)\b"
    r"|bytes\b|octets\b|(?-i:B\b(?!-)))"
)
UNIT_OF_TIME = (
    r"(?:milliseconds?|msec|ms|seconds?|secs?|sekunden?|secondes?|segundos?|minutes?|minuten?|minutos?|mins?|hours?|hrs?"
    r"|stunden?|heures?|horas?|days?|[smh])\b(?!-)"
)
QUARTERS = {
    "a minute and a quarter": 75.0,
    "a minute and a half": 90.0,
    "a quarter of an hour": 900.0,
    "half an hour": 1800.0,
}
SECONDS = r"(?:seconds?|secs?|s|sekunden|secondes|segundos)\b"
SPAN = (
    rf"(?<![a-zA-Z])(?:{'|'.join(QUARTERS)}"
    rf"|(?:{COUNT})\s*-?\s*{UNIT_OF_TIME}(?:\s*(?:and\s+)?(?:{COUNT})\s*{SECONDS})?)"
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
GERMAN_CLOCK = re.compile(r"(?<![\d.:])([01]?\d|2[0-3])\.([0-5]\d)(?=\s*Uhr) Uhr")
PID = re.compile(
    r"\bpids?\b(?:\s+(?:is|was|number|no\.?|of))?[\s:=#|*(\"'-]*(?P<a>\d{2,7})(?:\s*(?:,|/|and|&)\s*(?P<more>\d{2,7}))?\b"
    r"|\b(?:process(?:us|o)?|prozess|proceso|proc|interpreter|task)\s*(?:/|no\.?\s*|id\s*"
    r"|number\s*)?\s*[#(]?\s*(?P<b>\d{2,7})\b(?!\s*(?:%|[kmg]i?b))"
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
# '26.8 % of the 1 GiB limit', and the shares after it
SHARE = re.compile(rf"({NUMBER})\s?%\s+of\s+(?:the |its |a |that )?(?:\w+ ){{0,3}}?({NUMBER})\s?({UNIT_OF_SIZE})", re.I)
PERCENT = re.compile(rf"({NUMBER})\s?%", re.I)
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
ELAPSED = re.compile(
    rf"\b(?:after|nach|après|tras|past|at\s+t|at|t|minute|min)\s*[=+:]?\s*(?:about|roughly|another|etwa"
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
ANY_TIME = re.compile(rf"{UNIT_OF_TIME}|\bt\s*[=+]|minute|hour", re.I)
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
    within: float = 0.0  # how much larger the true value may be; for a clock without seconds, up to a minute


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


def number(text: str, of_kib: bool = False) -> float:
    """Return the value of a number as people and tools write it, or of a number word.

    A comma before three last digits separates thousands, any other comma is a decimal one. Before KiB, which has no decimals
    in any tool, a point does the same.
    """
    text = text.strip().lower()
    if text in WORDS:
        return WORDS[text]
    text = re.sub(r"[ '\u202f]", "", text)
    if of_kib:
        text = re.sub(r"\.(?=\d{3}(?!\d))", "", text)
    text = re.sub(r",(?=\d{3}(?!\d))", "", text)
    return float(text.replace(",", "."))


def seconds(span: str) -> float:
    """Return the length of a span such as '3 min', 'half a minute' or '2m30s'."""
    if span.lower() in QUARTERS:
        return QUARTERS[span.lower()]
    match = re.match(rf"({COUNT})\s*-?\s*({UNIT_OF_TIME})\s*(?:and\s+)?(.*)", span, re.I | re.S)
    if not match:
        return 0.0
    unit = match[2].lower()
    scale = 60.0 if unit.startswith("m") else 1.0
    if unit.startswith(("h", "st")):
        scale = 3600.0
    if unit.startswith("d"):
        scale = 86400.0
    if unit in ("ms", "msec") or unit.startswith("milli"):
        scale = 0.001
    rest = re.match(rf"({COUNT})", match[3], re.I)
    return number(match[1]) * scale + (number(rest[1]) if rest else 0.0)


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
    if has_digits or WORDED_CLOCK.search(text):
        text = _clocks(text, found)
    if has_size:
        text = _shares(text, found)
        for match in WORDED_SIZE.finditer(text):
            found.sizes.append(Quantity(match.start(), WORDS[match[1].lower()] * UNITS[match[2][0].lower()] / MIB))
        text = _sizes(text, found)
    if found.sizes:
        text = _bare_sizes(text, found)
    _times_between(text, found)
    return found


def _clocks(text: str, found: Quantities) -> str:
    """Add the times of day of a text, and return the text without them and without dates."""
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


def _shares(text: str, found: Quantities) -> str:
    """Add the sizes that are shares of a stated size, and return the text without them and without that size."""
    whole = SHARE.search(text)
    if not whole:
        return text
    total = number(whole[2]) * UNITS[whole[3][0].lower()] / MIB
    shares = [match for match in PERCENT.finditer(text) if match.start() >= whole.start()]
    found.sizes += [Quantity(match.start(), number(match[1]) / 100 * total) for match in shares]
    return PERCENT.sub(_blank, text[: whole.start(2)] + " " * (whole.end() - whole.start(2)) + text[whole.end() :])


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
