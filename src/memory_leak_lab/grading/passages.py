"""Splits a diagnosis into passages: headings, sentences, table rows and lines of pasted output."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from typing import Literal, NamedTuple

Kind = Literal["heading", "sentence", "row", "output"]

FENCE = re.compile(r"\s{0,8}(?:```|~~~)")
HEADING = re.compile(r"\s{0,3}(#{1,6})\s+(.+?)[\s#]*$")
LOWEST = 7  # the depth of a heading without '#' signs
RULE = re.compile(r"\s*(?:[-=*_]\s?){3,}$|\s*\|?[\s:|-]*-{2,}[\s:|-]*\|?[\s:|-]*$")
ITEM = re.compile(r"^\s*(?:[-*+•]|\(?\d{1,2}[.)])\s+(?:\[[ x]\]\s+)?")
# "Root cause: ..." and "**Fix** - ...": a label of up to six words before the text of its line.
LABEL = re.compile(r"((?:[A-ZÄÖÜ][\w/'()&-]*)(?:[ ][\w/'()&-]+){0,5})\s?(?::|\s[\u2014\u2013-])\s+(?=\S)")
# "[15:04] me: still growing": each line of a chat is a passage of its own.
CHAT = re.compile(
    r"\s*(?:[\[(]\d{1,2}:\d\d(?::\d\d)?[\])]|\d{1,2}:\d\d(?::\d\d)?\s+[\w@<>.-]{1,20}:|<?@?[\w.-]{1,20}>?:)\s+\S"
)
CLOCK_FIRST = re.compile(r"\s*\d{1,2}:\d\d(?::\d\d)?\b")
# Columns: a heading of ps or top, or a line of numbers and words with wide gaps.
COLUMNS = re.compile(
    r"^(?:\s*[\d:]{4,8})?[^\d:]*\bPID\b[^\d:]*\b(?:RSS|RES|COMMAND|CMD)\b[^\d:]*$|\S\s{2,}\S+\s{2,}\S.*\d|^\s*(?:Vm\w+"
    r"|Mem\w*|Swap):\s+\d"
)
EMPHASIS = re.compile(r"\*\*|__|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|`")
LINK = re.compile(r"!?\[([^\]\n]{0,200})\]\([^)\n]{0,500}\)")
ABBREVIATION = re.compile(
    r"(?:\b(?:e\.g|i\.e|approx|resp|vs|cf|z\.\s?B|d\.\s?h|ca|no|Nr|etc|incl|min|max|sec)|\b[A-Z])\.$"
)
SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]]?\s+(?=\S)|(?<=;)\s+|(?<=[\u3002\uff01\uff1f])")
PIPELINE = re.compile(r"\|\s*(?:grep|awk|head|tail|sort|wc)\b")
INDENTED = re.compile(r" {4}|\t")
MOST_WORDS_OF_A_HEADING, MOST_WORDS_OF_A_LABEL = 9, 6
LONGEST_LINE = 4000  # characters; the rest of a line that is no prose is not read


class Passage(NamedTuple):
    """A piece of a text, the heading or label that it stands under, the number of its paragraph, and of its line (from 1)."""

    kind: Kind
    text: str
    heading: str
    paragraph: int
    line: int
    depth: int = 0  # of a heading, from 1; 7 for one without '#' signs


def normalise(text: str) -> str:
    """Return a text with one kind of spaces, quotation marks and minus signs, and without Markdown's emphasis."""
    text = unicodedata.normalize("NFKC", text.replace("\u2192", "->").replace("⇒", "->").replace("➜", "->"))
    text = text.translate({0x2019: "'", 0x2018: "'", 0x201C: '"', 0x201D: '"', 0x2212: "-", 0x2011: "-", 0: " "})
    return LINK.sub(r"\1", text)


def split(text: str) -> list[Passage]:
    """Return the passages of a text in order."""
    splitter = _Splitter()
    for number, line in enumerate(normalise(text).split("\n"), 1):
        splitter.read(line[:LONGEST_LINE].rstrip(), number)
    splitter.end_paragraph()
    return splitter.found


class _Splitter:
    """Reads a text line by line and collects its passages."""

    def __init__(self) -> None:
        self.found: list[Passage] = []
        self._heading = ""
        self._outer: str | None = (
            None  # the heading before one without Markdown, which covers the next paragraph or list only
        )
        self._is_covered = False  # whether that paragraph has begun
        self._paragraph = 0
        self._is_fenced = False
        self._pending: list[str] = []  # the lines of a paragraph
        self._began = 0  # the line at which it begins

    def read(self, line: str, number: int) -> None:
        """Read a line."""
        if FENCE.match(line):
            self.end_paragraph()
            self._is_fenced = not self._is_fenced
            self._paragraph += 1
        elif self._is_fenced:
            if line.strip():
                self._add("output", line, number)
        else:
            self._read_unfenced(line, EMPHASIS.sub("", line).rstrip(), number)

    def _read_unfenced(self, line: str, plain: str, number: int) -> None:
        if not plain.strip() or RULE.match(plain):
            self._read_separator(plain)
            return
        title = HEADING.match(plain)
        if title or (_is_bold(line) and len(plain.split()) <= MOST_WORDS_OF_A_HEADING):
            self.end_paragraph()
            self._outer = None
            self._paragraph += 1
            self._start_section(title[2] if title else plain.strip(" :"), number, len(title[1]) if title else LOWEST)
        elif plain.count("|") > 1 and not PIPELINE.search(plain):
            self.end_paragraph()
            self._add("row", plain.strip(), number)
        elif (INDENTED.match(line) and not self._pending and not ITEM.match(line)) or COLUMNS.search(line):
            self.end_paragraph()
            self._add("output", line, number)
        else:
            self._read_prose(plain, number)

    def _read_separator(self, plain: str) -> None:
        """Read an empty line, or a rule. A rule below a table's heading does not end the table."""
        self.end_paragraph()
        self._paragraph += not plain.strip() or "|" not in plain
        if self._outer is not None and self._is_covered and not plain.strip():
            self._heading, self._outer = self._outer, None

    def _read_prose(self, plain: str, number: int) -> None:
        if self._pending and (ITEM.match(plain) or CHAT.match(plain) or _begins_anew(plain, self._pending)):
            self.end_paragraph()
        if self._pending:
            self._pending.append(ITEM.sub("", plain, count=1))
        elif plain.endswith(":") and len(plain.split()) <= MOST_WORDS_OF_A_LABEL:  # a heading without Markdown
            self._outer, self._is_covered = (self._heading if self._outer is None else self._outer), False
            self._start_section(plain.strip(" :"), number, LOWEST)
        else:
            self._began = number
            self._pending.append(ITEM.sub("", plain, count=1))

    def _start_section(self, heading: str, number: int, depth: int) -> None:
        self._heading = heading
        self.found.append(Passage("heading", heading, heading, self._paragraph, number, depth))

    def end_paragraph(self) -> None:
        """Add the sentences of the lines that were read."""
        if not self._pending:
            return
        self._is_covered = True
        said = " ".join(" ".join(self._pending).split())
        self._pending.clear()
        label = LABEL.match(said)
        under = f"{self._heading} / {label[1]}" if label else self._heading
        self.found += [Passage("sentence", each, under, self._paragraph, self._began) for each in _sentences(said)]

    def _add(self, kind: Kind, text: str, number: int) -> None:
        self.found.append(Passage(kind, text, self._heading, self._paragraph, number))


def _begins_anew(line: str, pending: list[str]) -> bool:
    """Return whether a line that begins with a clock is an entry of its own, not the continuation of a sentence."""
    return bool(CLOCK_FIRST.match(line)) and (
        bool(CLOCK_FIRST.match(pending[0])) or pending[-1].endswith((".", "!", "?", ":", ")"))
    )


def _is_bold(line: str) -> bool:
    """Return whether nothing but emphasised words stand in a line: a heading, for many authors."""
    stripped = line.strip()
    return len(stripped) > 4 and stripped[:2] == stripped.rstrip(":")[-2:] == "**" and stripped.count("**") == 2


def _sentences(text: str) -> Iterator[str]:
    """Yield the sentences of a paragraph."""
    kept = ""
    for part in SENTENCE_END.split(text):
        if not part:
            continue
        kept = f"{kept} {part}" if kept else part
        if not ABBREVIATION.search(kept[-12:]):
            yield kept
            kept = ""
    if kept:
        yield kept
