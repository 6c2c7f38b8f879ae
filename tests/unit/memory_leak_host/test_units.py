"""Units that are on their way up or down."""

from __future__ import annotations

import subprocess

import pytest

from memory_leak_host import units

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


OUR_UNIT = "memory-leak.service"


def says(active_state: str, pid: int = 0, **more: str) -> dict[str, dict[str, str]]:
    """Return what systemd says of our unit."""
    return {OUR_UNIT: {"ActiveState": active_state, "MainPID": str(pid), "Result": "success", **more}}


@pytest.mark.parametrize(
    "before",
    [
        [says("deactivating"), says("deactivating")],
        [says("active", DEAD.pid)],
        [says("active", DEAD.pid), says("deactivating")],
    ],
    ids=["on its way down", "killed, and systemd has not noticed", "noticed in between"],
)
def test_a_unit_that_is_about_to_end_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, before: list[dict[str, dict[str, str]]]
) -> None:
    shown = [*before, says("failed")]
    monkeypatch.setattr(units, "show", lambda _names: shown.pop(0))
    assert units.show_settled([OUR_UNIT]) == says("failed")
    assert not shown
