"""Units in transition."""

from __future__ import annotations

import subprocess

import pytest

from memory_leak_host import units

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


UNIT = "memory-leak.service"


def unit_state(active_state: str, pid: int = 0, **more: str) -> dict[str, dict[str, str]]:
    """Return systemd's properties of the managed unit."""
    return {UNIT: {"ActiveState": active_state, "MainPID": str(pid), "Result": "success", **more}}


@pytest.mark.parametrize(
    "before",
    [
        [unit_state("deactivating"), unit_state("deactivating")],
        [unit_state("active", DEAD.pid)],
        [unit_state("active", DEAD.pid), unit_state("deactivating")],
    ],
    ids=["deactivating", "killed, not yet noticed", "killed, noticed during the wait"],
)
def test_show_settled_waits_for_an_ending_unit(
    monkeypatch: pytest.MonkeyPatch, before: list[dict[str, dict[str, str]]]
) -> None:
    shown = [*before, unit_state("failed")]
    monkeypatch.setattr(units, "show", lambda _names: shown.pop(0))
    assert units.show_settled([UNIT]) == unit_state("failed")
    assert not shown


def test_an_alias_is_shown_by_the_requested_name(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = "Id=ssh.service\nActiveState=active\n\nId=cron.service\nActiveState=inactive\n"
    monkeypatch.setattr(units, "run", lambda *_command: (0, shown))
    found = units.show(["sshd.service", "cron.service"])
    assert found["sshd.service"] == {"Id": "ssh.service", "ActiveState": "active"}
    assert found["cron.service"]["ActiveState"] == "inactive"
