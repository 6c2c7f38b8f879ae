"""Answers are bounded, and what a host says in them is made printable."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.agent_sessions import MOST_DEFAULT_CHARACTERS
from memory_leak_lab.agent.answers import MOST_TEXT_BYTES, CommandResult, HostList, ProcessList, shortened
from memory_leak_lab.agent.hosts import HostError

RESULT = {
    "exit_code": 0,
    "beginning": "",
    "end": "",
    "cut_bytes": 0,
    "duration_s": 0.1,
    "timed_out": False,
    "all_ended": True,
}


def process(**changes: Any) -> dict[str, Any]:
    known = {"pid": 1, "name": "init", "state": "S", "ppid": 0, "threads": 1, "uid": 0, "vmrss_mb": 1.5, "cpu_s": 0.1}
    return {**known, "elapsed_s": 5.0, "cmdline": "/sbin/init", **changes}


def listed(*processes: dict[str, Any]) -> ProcessList:
    return ProcessList.of("web1", {"total": len(processes), "processes": list(processes)})


def test_a_short_text_stays_as_it_is() -> None:
    assert shortened("short") == "short"


@pytest.mark.parametrize("character", ["x", "é", "\U0001f40d"])
def test_a_long_text_keeps_its_beginning_and_its_end_and_says_what_is_missing(character: str) -> None:
    found = shortened("A" + character * 100_000 + "Z", most_bytes=1000)
    assert found.startswith("A" + character)
    assert found.endswith(character + "Z")
    assert len(found.encode()) < 1200
    assert f"{len(character.encode()) * 100_000 + 2 - 1000} bytes cut" in found


@pytest.mark.parametrize("character", ["x", "\0", "\x1b", "\ufffd", '"'])
def test_no_output_exceeds_its_bound(character: str) -> None:
    half = character * 7000
    result = CommandResult.of("web1", {**RESULT, "beginning": half, "end": half, "cut_bytes": 10**9})
    assert len(result.text().encode()) <= MOST_TEXT_BYTES
    assert "bytes cut" in result.text()


def test_output_is_printable_line_by_line() -> None:
    result = CommandResult.of("web1", {**RESULT, "beginning": "a\tb\n\x1b[2J\r\n", "end": ""})
    assert result.output == "a\tb\n\\x1b[2J\\r\n"


def test_a_time_out_is_told() -> None:
    result = CommandResult.of("web1", {**RESULT, "exit_code": None, "timed_out": True, "all_ended": False})
    assert "timed out after 0.1 s" in result.text()
    assert "could not be ended" in result.text()


def test_a_host_without_root_is_told_with_what_to_do() -> None:
    with pytest.raises(HostError, match="ansible_become"):
        CommandResult.of("web1", {"refused": "not root"})


def test_names_and_commands_are_printable_on_one_line() -> None:
    found = listed(process(name="a\nb", cmdline="x\x1b]0;y\x07\nPID"))
    assert found.processes[0].name == "a\\nb"
    assert len(found.text().splitlines()) == 3


@pytest.mark.parametrize(
    "changes",
    [{"pid": -1}, {"pid": 2**70}, {"name": "x" * 65}, {"vmrss_mb": float("nan")}, {"vmrss_mb": -1.0}, {"uid": "0"}],
)
def test_values_out_of_bounds_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(HostError, match="not valid"):
        listed(process(**changes))


def test_the_longest_list_of_processes_is_bounded() -> None:
    most = listed(*(process(pid=2**31, name="n" * 64, cmdline="é" * 4096) for _ in range(50)))
    assert len(most.text().encode()) <= MOST_TEXT_BYTES
    with pytest.raises(HostError, match="not valid"):
        listed(*(process() for _ in range(51)))


def test_the_longest_default_list_is_short() -> None:
    longest = process(pid=4194303, uid=65534, vmrss_mb=99999.9, cpu_s=99999.0, cmdline="x" * 64)
    found = ProcessList.of("web-frontend-12.example.org", {"total": 9999, "processes": [longest] * 15})
    assert len(found.text()) <= MOST_DEFAULT_CHARACTERS


def test_many_hosts_are_bounded() -> None:
    assert len(HostList(hosts=[f"host{number}" for number in range(10_000)]).text().encode()) < MOST_TEXT_BYTES + 200
