"""The table: order, exceptions in a large fleet, time spans."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path

import pytest

from helpers.sample_records import fleet, result
from memory_leak_controller import contract
from memory_leak_controller.report import records, table

NOW = datetime(2026, 11, 23, 1, 2, 3, tzinfo=UTC)


EXCEPTIONS = {"host3", "host7", "host11"}


@pytest.mark.parametrize("host", ["../../x", "web/1", "..", "²", "a b", "x\u202e", "7" * 99])
def test_a_host_name_is_never_used_as_a_path(tmp_path: Path, host: str) -> None:
    directory = tmp_path / "inner" / "ground_truth"
    records.append_ground_truth(directory, "setup", contract.record(host, "running", result()), NOW)
    [file] = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert file.parent == directory
    recorded = records.recorded_setup(directory, host)
    assert recorded and recorded.variant == "leaker"
    records.write(tmp_path / "r", "status", [contract.record(host, "running", result())], NOW)
    assert table.rows([contract.record(host, "running", {})], set())[0][0]["host"] == host


def test_table_lists_the_worst_first_and_counts() -> None:
    listed, summary = table.rows(fleet(12), EXCEPTIONS)
    assert [record["host"] for record in listed[:4]] == ["host7", "host3", "host11", "host1"]
    assert summary == "12 hosts: 1 unreachable, 1 stalled, 1 off_rate, 9 leaking"
    text = table.render(listed, summary)
    assert text.splitlines()[0].split() == [
        "host",
        "outcome",
        "PID",
        "RSS",
        "MiB",
        "MiB/min",
        "ceiling",
        "in",
        "message",
    ]
    assert re.search(r"^host1 +leaking +4711 +115.5 +31.00 ±0.04 +30 min$", text, re.MULTILINE)
    assert text.endswith(summary)


def test_table_of_a_large_fleet_lists_only_exceptions() -> None:
    listed, summary = table.rows(fleet(500), EXCEPTIONS)
    assert [record["host"] for record in listed] == ["host7", "host3", "host11"]
    assert summary.startswith("500 hosts: 1 unreachable, 1 stalled, 1 off_rate, 497 leaking (497 not listed")
    assert len(table.rows(fleet(500), EXCEPTIONS, everything=True)[0]) == 500


def test_a_row_is_one_short_line_of_printable_characters() -> None:
    cells = table.row(contract.record("x\u202e", "failed", result(message="a\nb" + "c" * 2000)))
    assert cells[0] == r"x\u202e"
    assert cells[-1].startswith(r"a\nbccc")
    assert len(cells[-1]) < 400


@pytest.mark.parametrize(("seconds", "text"), [(59, "59 s"), (1800, "30 min"), (19000, "5.3 h")])
def test_time_spans(seconds: float, text: str) -> None:
    assert table.span(seconds) == text
