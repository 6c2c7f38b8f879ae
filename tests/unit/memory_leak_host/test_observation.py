"""Inspect a host and classify the outcome."""

from __future__ import annotations

import os
import subprocess

import pytest

from helpers.definitions import DEFINITION
from memory_leak_host import observation, processes, scripts, units

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


UNIT = "memory-leak.service"


def unit_state(active_state: str, pid: int = 0, **more: str) -> dict[str, dict[str, str]]:
    """Return systemd's properties of the managed unit."""
    return {UNIT: {"ActiveState": active_state, "MainPID": str(pid), "Result": "success", **more}}


class FakeHost:
    """A host with one managed unit in the given state and no process."""

    def __init__(self, **state: str) -> None:
        self.units = {"memory-leak.service": DEFINITION}
        self.states = {"memory-leak.service": {"MainPID": "0", "ActiveState": "failed", **state}}

    def running(self) -> None:
        return None

    def files(self) -> list[str]:
        return []

    def empty_directories(self) -> list[str]:
        return []


def test_a_service_killed_during_the_inspection_is_not_reported_as_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    dying = subprocess.Popen(["/bin/sleep", "9"])

    def show(_names: list[str]) -> dict[str, dict[str, str]]:
        if dying.poll() is None:
            return unit_state("active", dying.pid)
        return unit_state("failed", Result="oom-kill")

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(units, "ours", lambda: {UNIT: DEFINITION})
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (UNIT, dying.pid)
    dying.kill()
    dying.wait()
    assert observation.describe(host)["outcome"] == "oom_killed"


def test_a_process_in_the_managed_unit_is_found_without_systemctl(monkeypatch: pytest.MonkeyPatch) -> None:
    def show(_names: list[str]) -> dict[str, dict[str, str]]:
        raise AssertionError("systemctl was called")

    monkeypatch.setattr(units, "show", show)
    monkeypatch.setattr(units, "ours", lambda: {UNIT: DEFINITION})
    monkeypatch.setattr(scripts, "pythons", lambda: [os.getpid()])
    monkeypatch.setattr(processes, "unit_of", lambda pid, _names: UNIT if pid == os.getpid() else None)
    host = observation.Host(DEFINITION, [], b"")
    assert host.running() == (UNIT, os.getpid())
    assert host.started_by_hand == []
    found = observation.describe(host)
    assert (found["outcome"], found["workload"]["unit"], found["workload"]["pid"]) == ("running", UNIT, os.getpid())


# In microseconds, as systemd has them: as long as the expiry.
LIFETIME = {
    "ExecMainStartTimestampMonotonic": "1000000",
    "InactiveEnterTimestampMonotonic": str(1000000 + DEFINITION["runtime_max_s"] * 1000000),
}


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ({"Result": "oom-kill"}, "oom_killed"),
        ({"Result": "timeout", **LIFETIME}, "expired"),
        ({"Result": "timeout", **LIFETIME, "InactiveEnterTimestampMonotonic": "100000000"}, "crashed"),
        ({"Result": "signal"}, "crashed"),
        ({"Result": "exit-code"}, "crashed"),
        ({"Result": "success", "ActiveState": "inactive"}, "stopped"),
        ({"Result": "oom-kill", "ActiveState": "activating", "SubState": "auto-restart"}, "oom_killed"),
    ],
)
def test_outcome_of_an_ended_unit(state: dict[str, str], outcome: str) -> None:
    assert observation.describe(FakeHost(**state))["outcome"] == outcome  # type: ignore[arg-type]
