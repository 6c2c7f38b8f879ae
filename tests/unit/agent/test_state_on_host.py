"""The program that reads a host's state, on every Python that a host may have, and that it leaves itself out."""

from __future__ import annotations

import ast
import os
import subprocess
from typing import Any

import pytest

from helpers.interpreters import PYTHONS, VERSIONS
from memory_leak_lab.agent import programs
from memory_leak_lab.agent.answers import MemoryInfo, ProcessInfo, ProcessList
from memory_leak_lab.agent.hosts import Answer
from memory_leak_lab.agent.on_host import state

FOREIGN = "import time; time.sleep(60)"


def run(version: str, function: str, **arguments: Any) -> Any:
    program = programs.program("state", function, **arguments)
    done = subprocess.run([PYTHONS[version], "-I", "-S", "-"], input=program, capture_output=True, check=False)
    return programs.returned("web1", Answer(done.returncode, done.stdout.decode(), done.stderr.decode()))


@pytest.mark.parametrize("version", VERSIONS)
def test_each_python_reads_the_state(version: str) -> None:
    assert MemoryInfo.of("web1", run(version, "memory")).total_mb > 0
    for order in ("rss", "cpu", "name"):
        assert ProcessList.of("web1", run(version, "process_list", limit=50, sort_by=order)).total > 0
    assert ProcessInfo.of("web1", run(version, "process", pid=1)).pid == 1
    assert run(version, "process", pid=2**30) is None


def test_no_program_needs_a_newer_python_than_hosts_have() -> None:
    for module in ("state", "command"):
        ast.parse(programs.program(module, "run"), feature_version=(3, 9))


def test_processes_come_in_the_order_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    def fields(name: bytes, ticks: int, pages: int) -> list[bytes]:
        found = [b"0"] * 40
        found[0], found[1], found[12], found[22] = name, b"S", b"%d" % ticks, b"%d" % pages
        return found

    known = {10: fields(b"b", 5, 100), 11: fields(b"A", 9, 200), 12: fields(b"c", 1, 300)}
    monkeypatch.setattr(state, "processes", lambda: known)
    monkeypatch.setattr(state, "row", lambda pid, *_rest: {"pid": pid})
    orders = {order: state.process_list(2, order)["processes"] for order in ("rss", "cpu", "name")}
    assert {order: [each["pid"] for each in found] for order, found in orders.items()} == {
        "rss": [12, 11],
        "cpu": [11, 10],
        "name": [11, 10],
    }


def host_with(monkeypatch: pytest.MonkeyPatch, parents: dict[int, int], commands: dict[int, bytes], me: int) -> None:
    """Make /proc show processes by their parents, and this one as one of them."""
    stat = {f"/proc/{pid}/stat": b"%d (x) S %d 0 0" % (pid, parent) for pid, parent in parents.items()}
    files = stat | {f"/proc/{pid}/cmdline": command for pid, command in commands.items()}
    monkeypatch.setattr(os, "getpid", lambda: me)
    monkeypatch.setattr(os, "listdir", lambda _path: [str(pid) for pid in parents])
    monkeypatch.setattr(state, "read", lambda path: files.get(path, b""))


def test_what_takes_part_in_a_call_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    # init, the listener, two sessions; in one of them sudo, this process, and another call's shell.
    parents = {1: 0, 5: 1, 20: 5, 21: 20, 22: 21, 23: 21, 30: 5, 31: 30, 40: 1}
    host_with(monkeypatch, parents, {5: b"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"}, me=22)
    assert set(state.processes()) == {1, 5, 30, 31, 40}
    assert state.process(23) is None


def test_without_a_listener_the_service_of_the_connection_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    host_with(monkeypatch, {1: 0, 20: 1, 21: 20, 40: 1}, {20: b"sshd-session: root@notty"}, me=21)
    assert set(state.processes()) == {1, 40}


def test_a_host_entered_from_outside_has_no_session(monkeypatch: pytest.MonkeyPatch) -> None:
    host_with(monkeypatch, {1: 0, 50: 0, 51: 50, 40: 1}, {}, me=51)
    assert set(state.processes()) == {1, 40}


def test_a_process_that_ends_meanwhile_is_left_out() -> None:
    with subprocess.Popen(["true"]) as ended:
        ended.wait()
        assert state.row(ended.pid, [b"0"] * 40, 1.0, 100) is None
