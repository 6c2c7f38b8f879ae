"""How people and tools write numbers, sizes and lengths of time: patterns for them, and their values."""

from __future__ import annotations

import re

MIB = 1024**2
# Bytes for each unit. Decimal and binary units are often confused, also by tools: all are read as binary.
UNITS = {"b": 1, "o": 1, "k": 1024, "m": MIB, "g": 1024**3}
WORDS = {
    **{"a": 1.0, "an": 1.0, "one": 1.0, "two": 2.0, "three": 3.0, "four": 4.0, "five": 5.0, "six": 6.0, "seven": 7.0},
    **{"eight": 8.0, "nine": 9.0, "ten": 10.0, "twelve": 12.0, "fifteen": 15.0, "twenty": 20.0, "thirty": 30.0},
    **{"forty": 40.0, "forty-five": 45.0, "fifty": 50.0, "sixty": 60.0, "ninety": 90.0, "couple of": 2.0},
    **{"half a": 0.5, "half": 0.5, "a half": 0.5, "a couple of": 2.0, "one and a half": 1.5, "two and a half": 2.5},
    **{"another": 1.0, "eine": 1.0, "einer": 1.0, "zwei": 2.0, "drei": 3.0, "vier": 4.0, "fünf": 5.0, "sechs": 6.0},
    **{"sieben": 7.0, "acht": 8.0, "neun": 9.0, "zehn": 10.0, "zwölf": 12.0, "fünfzehn": 15.0, "zwanzig": 20.0},
    **{
        "dreißig": 30.0,
        "anderthalb": 1.5,
        "eineinhalb": 1.5,
        "zweieinhalb": 2.5,
        "dreieinhalb": 3.5,
        "viereinhalb": 4.5,
    },
    **{"fünfeinhalb": 5.5, "eine halbe": 0.5, "einer halben": 0.5, "halbe": 0.5, "halben": 0.5},
    **{"une": 1.0, "deux": 2.0, "trois": 3.0, "quatre": 4.0, "cinq": 5.0, "six": 6.0, "sept": 7.0, "huit": 8.0},
    **{"neuf": 9.0, "dix": 10.0, "quinze": 15.0, "vingt": 20.0, "trente": 30.0, "un": 1.0, "una": 1.0, "uno": 1.0},
    **{"dos": 2.0, "tres": 3.0, "cuatro": 4.0, "cinco": 5.0, "seis": 6.0, "siete": 7.0, "ocho": 8.0, "nueve": 9.0},
    **{"diez": 10.0, "quince": 15.0, "veinte": 20.0, "treinta": 30.0},
}
NUMBER = r"(?:\d{1,3}(?:[,'\u202f ]\d{3})+(?:\.\d+)?(?![\d])|\d+(?:[.,]\d+)?)"
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
    scale = unit_seconds(match[2])
    rest = re.match(rf"({COUNT})", match[3], re.I)
    return number(match[1]) * scale + (number(rest[1]) if rest else 0.0)


def unit_seconds(unit: str) -> float:
    """Return the length in seconds of a unit of time, in any of its spellings."""
    unit = unit.lower()
    if unit in ("ms", "msec") or unit.startswith("milli"):
        return 0.001
    if unit.startswith("st"):  # Stunde
        return 3600.0
    return {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}[unit[0]]
