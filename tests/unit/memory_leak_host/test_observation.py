"""What is on a host, and what that is called."""

from __future__ import annotations

import os
import subprocess

import pytest

from helpers.definitions import DEFINITION
from memory_leak_host import observation, processes, scripts, units

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


OUR_UNIT = "memory-leak.service"


def says(active_state: str, pid: int = 0, **more: str) -> dict[str, dict[str, str]]:
    """Return what systemd says of our unit."""
    return {OUR_UNIT: {"ActiveState": active_state, "MainPID": str(pid), "Result": "success", **more}}


class FakeHost:
    """A host with one unit of ours, in a given state, and no process."""

    def __init__(self, **state: str) -> None:
        self.units = {"memory-leak.service": DEFINITION}
        self.states = {"memory-leak.service": {"MainPID": "0", "ActiveState": "failed", **state}}

    def running(self) -> None:
        return None

    def files(self) -> list[str]:
        return []

    def empty_directories(self) -> list[str]:
        return []


def test_a_service_that_is_killed_while_we_look_is_no_stopped_one(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = subprocess.Popen(["/bin/sleep", "9"])

    def show(_names: list[str]) -> dict[str, dict[str, str]]:
        if dying.poll() is None:
            return says("active", dying.pid)
        return says("failed", Result="oom-kill")

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(units, "ours", lambda: {OUR_UNIT: DEFINITION})
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (OUR_UNIT, dying.pid)
    dying.kill()
    dying.wait()
    assert observation.describe(host)["outcome"] == "oom_killed"


def test_what_runs_in_our_unit_is_seen_without_asking_systemd(monkeypatch: pytest.MonkeyPatch) -> None:
    def show(_names: list[str]) -> dict[str, dict[str, str]]:
        raise AssertionError("systemd was asked")

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(units, "ours", lambda: {OUR_UNIT: DEFINITION})
    monkeypatch.setattr(scripts, "pythons", lambda: [os.getpid()])
    monkeypatch.setattr(processes, "unit_of", lambda pid, _names: OUR_UNIT if pid == os.getpid() else None)
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (OUR_UNIT, os.getpid())
    assert host.started_by_hand == []
    found = observation.describe(host)
    assert (found["outcome"], found["workload"]["unit"], found["workload"]["pid"]) == ("running", OUR_UNIT, os.getpid())


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ({"Result": "oom-kill"}, "oom_killed"),
        ({"Result": "timeout"}, "expired"),
        ({"Result": "signal"}, "crashed"),
        ({"Result": "exit-code"}, "crashed"),
        ({"Result": "success", "ActiveState": "inactive"}, "stopped"),
        ({"Result": "oom-kill", "ActiveState": "activating", "SubState": "auto-restart"}, "oom_killed"),
    ],
)
def test_outcome_of_a_unit_that_has_ended(state: dict[str, str], outcome: str) -> None:
    assert observation.describe(FakeHost(**state))["outcome"] == outcome  # type: ignore[arg-type]
