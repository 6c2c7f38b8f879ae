"""The rules that read what cannot be checked against the ground truth."""

from __future__ import annotations

import pytest

from memory_leak_lab.grading import passages, reader, series


def verdict(text: str) -> str:
    parts = passages.split(text)
    return reader.verdict(parts, series.find(parts)).level


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Looks fine to me at the moment. From one look I can't say whether it grows.", "unclear"),
        ("Looks fine to me. RSS was 42.0 MiB at 16:02:10, 42.0 MiB at 16:03:10 and 42.0 MiB at 16:05:10.", "cleared"),
        ("It held 26.7 MiB at first and the very same amount four minutes later. I see no leak.", "cleared"),
        ("I can't say whether the disk grows, but the cache leaks: nothing is ever removed from it.", "blamed"),
    ],
)
def test_a_single_look_clears_nobody(text: str, expected: str) -> None:
    assert verdict(text) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("It might be the cache. Perhaps entries are kept. One could add a limit.", True),
        ("The cache keeps every entry. It grows by 30 MiB a minute. It might need a limit.", False),
    ],
)
def test_a_text_of_mere_possibilities_is_hedged(text: str, expected: bool) -> None:
    assert reader.is_hedged(passages.split(text)) is expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("systemd gives the result as `oom-kill`.", True),
        ("It was killed by the kernel.", True),
        ("There was no OOM kill.", False),
        ("Was it killed by the OOM killer?", False),
    ],
)
def test_a_kill_is_claimed_not_denied(text: str, expected: bool) -> None:
    assert reader.says_killed(passages.split(text)) is expected
