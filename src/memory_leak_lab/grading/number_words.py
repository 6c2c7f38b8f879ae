"""Turns English numbers in words, from 'eleven' to 'nine hundred and ninety-nine', into digits. Small words may be pronouns."""

from __future__ import annotations

import re

UNITS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
TEENS = (
    *("ten", "eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen"),
)
TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
VALUES = {
    **{word: value for value, word in enumerate(UNITS, 1)},
    **{word: value for value, word in enumerate(TEENS, 10)},
    **{word: value * 10 for value, word in enumerate(TENS, 2)},
}
UNIT, TEEN, TEN = ("|".join(words) for words in (UNITS, TEENS, TENS))
BELOW_HUNDRED = rf"(?:{TEEN}|(?:{TEN})(?:[ -](?:{UNIT}))?|{UNIT})"
NUMBER = re.compile(
    rf"\b(?:(?P<hundreds>a|{UNIT})[ -]hundred(?:(?: and)?[ -](?P<rest>{BELOW_HUNDRED}))?"
    rf"|(?P<alone>{TEEN}|(?:{TEN})(?:[ -](?:{UNIT}))?))\b",
    re.I,
)


def to_digits(text: str) -> str:
    """Return a text with its numbers of ten and more as digits."""
    return NUMBER.sub(lambda match: str(_value(match)), text)


def _value(match: re.Match[str]) -> int:
    if match["alone"]:
        return _below_hundred(match["alone"])
    hundreds = match["hundreds"].lower()
    return 100 * (1 if hundreds == "a" else VALUES[hundreds]) + (_below_hundred(match["rest"]) if match["rest"] else 0)


def _below_hundred(text: str) -> int:
    return sum(VALUES[word] for word in re.split(r"[ -]", text.lower()))
