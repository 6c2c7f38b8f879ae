"""Escape text from hosts for display."""

from __future__ import annotations

import pytest

from memory_leak_controller import escaping


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain text, ° and 中", "plain text, ° and 中"),
        ("\x1b[31mred\x1b[0m", r"\x1b[31mred\x1b[0m"),
        ("a\nb\tc\r", r"a\nb\tc\r"),
        ("caf\udce9", r"caf\udce9"),
        ("\x00\x7f\x85\u202e\u2028", r"\x00\x7f\x85\u202e\u2028"),
    ],
)
def test_unprintable_characters_are_escaped(text: str, shown: str) -> None:
    assert escaping.printable(text) == shown
    shown.encode()


def test_long_text_is_truncated_and_newlines_can_be_kept() -> None:
    assert escaping.printable("x" * 30, longest=10) == "x" * 10 + "… (20 characters more)"
    assert escaping.printable("a\nb\x07", keep="\n") == "a\nb\\x07"


def test_nested_values_are_escaped() -> None:
    assert escaping.printable_values({"a\x1b": ["\udcff", 1, None, {"b": "\n"}]}) == {
        "a\\x1b": ["\\udcff", 1, None, {"b": "\\n"}]
    }


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)"])
def test_a_cell_cannot_be_a_formula(text: str) -> None:
    assert escaping.cell(text) == f"'{text}"
    assert [escaping.cell(value) for value in ("text", "", None, -1, 1.5)] == ["text", "", None, -1, 1.5]
