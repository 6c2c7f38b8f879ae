"""Make texts from hosts safe to show: they may contain what a terminal, a browser or a spreadsheet would interpret."""

from __future__ import annotations

from typing import Any

LONGEST_MESSAGE = 1000
LONGEST_TEXT = 65536
FORMULA = ("=", "+", "-", "@")


def printable(text: str, longest: int = LONGEST_TEXT, keep: str = "") -> str:
    r"""Escape the unprintable characters of a text (\x1b, \udce9, \n), and truncate it to `longest` characters.

    Characters in `keep` are not escaped, such as the newlines of a text of several lines.
    """
    if not text.isprintable():
        text = "".join(each if each.isprintable() or each in keep else _escape(each) for each in text)
    return text if len(text) <= longest else f"{text[:longest]}… ({len(text) - longest} characters more)"


def _escape(character: str) -> str:
    return character.encode("unicode_escape", errors="surrogatepass").decode("ascii")


def printable_values(value: Any, keep: str = "") -> Any:
    """Return a value with all its texts printable, including those in lists and dictionaries."""
    if isinstance(value, str):
        return printable(value, keep=keep)
    if isinstance(value, list):
        return [printable_values(each, keep) for each in value]
    if isinstance(value, dict):
        return {printable_values(key, keep): printable_values(each, keep) for key, each in value.items()}
    return value


def cell(value: Any) -> Any:
    """Return a value for a CSV file: a text that a spreadsheet would take for a formula gets a leading apostrophe."""
    return f"'{value}" if isinstance(value, str) and value.startswith(FORMULA) else value
