"""Passages, quantities and series: what a text says, before anything is checked."""

from __future__ import annotations

import time

import pytest

from memory_leak_lab.grading import passages, quantities, series


def sizes(text: str) -> list[float]:
    return [round(size.value, 1) for size in quantities.find(text).sizes]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("RSS went 64 MB → 74 MB → 99 MB", [64, 74, 99]),
        ("64, 79, 94 and 109 MiB", [64, 79, 94, 109]),
        ("from 64 to 99.5 MiB", [64, 99.5]),
        ("164,864 kB, later 195'584 kB, then 226 304 kB", [161, 191, 221]),
        ("164.864 kB", [161]),
        ("161,5 MB and 1.2 GiB", [161.5, 1228.8]),
        ("64 Mo, 99 Mio", [64, 99]),
        ("a hundred and eighty mebibytes", [180]),
        ("26.8 % of the 1 GiB limit, 34.9 % later", [274.4, 357.4]),
        ("from 3.2 % to 9.8 % of its 1 GiB MemoryMax; CPU 5 %, 3 % of a CPU", [32.8, 100.4]),
        ("use of the 1 GiB memory limit rose from 9 percent to 35 percent", [92.2, 358.4]),
        ("from 97 MiB to 360, each step added between 39 and 41, like a clock", [97, 360]),
        ("Der Prozess 38.704 kB, dann 68.008 kB", [37.8, 66.4]),
        ("PID 14321 holds 64 MiB", [64]),
        ("python3[12345], anon-rss:1047552kB", [1023]),
        ("30 MiB per minute, 0.5 MB/s", []),
        ("2026-11-24 15:04:22, 5 minutes, 10 m", []),
        ("It was 180 MiB, then it was at 242, and it had reached 351.", [180, 242, 351]),
    ],
)
def test_sizes_are_found_in_any_notation(text: str, expected: list[float]) -> None:
    assert sizes(passages.normalise(text)) == pytest.approx(expected, abs=0.1)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("PID 1432, pid=977 and python3 (2210)", [1432, 977, 2210]),
        ("/proc/14321/status", [14321]),
        ("the process 22142 grows", [22142]),
        ("process 300 MiB", []),
        ("MainPID=7431", [7431]),
    ],
)
def test_pids_are_found_and_never_taken_for_sizes(text: str, expected: list[int]) -> None:
    assert sorted(int(pid.value) for pid in quantities.find(text).pids) == sorted(expected)


@pytest.mark.parametrize(
    ("text", "clocks", "elapsed"),
    [
        ("at 15:04:22 UTC", [54262], []),
        ("at 3:05 pm", [54300], []),
        ("10.05 Uhr", [36300], []),
        ("à 16 h 12", [58320], []),
        ("at eight minutes past four", [58080], []),
        ("after 30 s, after two minutes", [], [30, 120]),
        ("t+60s, +2 min", [], [60, 120]),
        ("a minute and a quarter later", [], [75]),
        ("at first", [], [0]),
        ("nach knapp drei Minuten, nach rund viereinhalb Minuten", [], [180, 270]),
        ("sessions grow", [], []),
    ],
)
def test_times_are_found(text: str, clocks: list[int], elapsed: list[int]) -> None:
    found = quantities.find(text)
    assert [clock.value for clock in found.clocks] == clocks
    assert [each.value for each in found.elapsed] == elapsed


def points(text: str) -> list[list[tuple[float, float | None, float | None]]]:
    found = series.find(passages.split(text))
    return [[(round(point.size_mib), point.second_of_day, point.elapsed_s) for point in each.points] for each in found]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("161 MiB at 10:05, 311 MiB at 10:10.", [(161, 36300, None), (311, 36600, None)]),
        ("At 10:05 64 MB, two minutes later 124 MB.", [(64, 36300, None), (124, 36420, None)]),
        ("Initially 64 MB, after 60 s 94 MB.", [(64, None, 0), (94, None, 60)]),
        (
            "| time | RSS (kB) |\n|---|---|\n| 10:05:00 | 164,864 |\n| 10:06:00 | 195,584 |",
            [(161, 36300, None), (191, 36360, None)],
        ),
        ("| | t+0 s | t+60 s |\n|---|---|---|\n| RSS (MiB) | 64 | 94 |", [(64, None, 0), (94, None, 60)]),
        ("| after (min:s) | RSS (MB) |\n|---|---|\n| 0:00 | 64 |\n| 1:30 | 109 |", [(64, None, 0), (109, None, 90)]),
        (
            "```\nTue Nov 24 15:05:00 UTC 2026\nVmRSS:\t 164864 kB\nTue Nov 24 15:06:00 UTC 2026\nVmRSS:\t 195584 kB\n```",
            [(161, 54300, None), (191, 54360, None)],
        ),
        ("- 26 s: 38 MiB\n- 72 s: 84 MiB", [(38, None, 26), (84, None, 72)]),
    ],
)
def test_series_are_found_in_prose_tables_and_output(
    text: str, expected: list[tuple[float, float | None, float | None]]
) -> None:
    assert expected in points(text)


def test_a_share_of_a_limit_in_another_sentence_is_a_size() -> None:
    text = "The unit is allowed 1 GiB. At 16:05:28 it used 22.5 percent of that, at 16:09:02 already 36.5 percent."
    assert [(230, 57928, None), (374, 58142, None)] in points(text)


def test_the_spans_of_undated_sizes_are_kept() -> None:
    (found, *_rest) = series.find(passages.split("RSS went 64 MB -> 74 MB -> 99 MB over ~3 min."))
    assert found.spans_s == (180.0,)


def test_output_of_ps_is_read_by_its_heading() -> None:
    text = "```\n15:05:00\n  PID   RSS COMMAND\n 1432 164864 python3\n  977 10240 sshd\n15:06:00\n 1432 195584 python3\n```"
    found = {
        each.pid: [round(point.size_mib) for point in each.points]
        for each in series.find(passages.split(text))
        if each.pid
    }
    assert found[1432] == [161, 191]


def test_headings_labels_and_lists_are_kept_apart() -> None:
    text = "# Report\n\nRuled out:\n- disk\n- swap\n\nFix: add a limit. Restart.\n\n**Cause**\nNo eviction."
    found = [(each.kind, each.text, each.heading) for each in passages.split(text)]
    assert ("sentence", "disk", "Ruled out") in found
    assert ("sentence", "Fix: add a limit.", "Report / Fix") in found
    assert ("sentence", "No eviction.", "Cause") in found


@pytest.mark.parametrize(
    "piece", ["101, 102, 103, ", "1 234 ", "64 -> ", "10:05 161 MiB ", "a hundred and ", "| 10:05 | 161 MiB |\n"]
)
def test_extraction_takes_linear_time(piece: str) -> None:
    def seconds(length: int) -> float:
        quantities.find.cache_clear()
        began = time.process_time()
        series.find(passages.split(piece * (length // len(piece))))
        return time.process_time() - began

    seconds(1000)
    assert seconds(60_000) < 12 * seconds(15_000) + 0.2
