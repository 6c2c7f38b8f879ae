"""Units in transition."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from helpers import definitions
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


@pytest.mark.parametrize(
    ("said", "tries"),
    [
        (
            [
                "Failed to start transient service unit: Unit memory-leak.service was already loaded or has a fragment file."
            ],
            2,
        ),
        (
            [
                "Unit memory-leak.service failed to load properly, please adjust/correct and reload: Device or resource busy"
            ]
            * 2,
            3,
        ),
        (["Failed to start transient service unit: Unknown assignment: MemorySwapMax=0"], 1),
    ],
    ids=["its file is gone", "its control group is not gone", "another failure"],
)
def test_a_start_waits_until_systemd_has_forgotten_the_dead_unit(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, said: list[str], tries: int
) -> None:
    monkeypatch.setattr(units, "TRANSIENT_DIRECTORY", str(tmp_path))
    (tmp_path / "log").write_text("started\n")
    commands, answers = [], [*((1, text) for text in said), (0, "")]

    def run(*command: str, timeout_s: float = 0) -> tuple[int, str]:
        commands.append(command[:2])
        if command[0] != "systemd-run":
            return 0, "systemd 252"
        assert not (tmp_path / UNIT).exists(), "the failed start's file prevents the next one"
        (tmp_path / UNIT).touch()
        return answers.pop(0)

    monkeypatch.setattr(units, "run", run)
    monkeypatch.setattr(units, "show", lambda _names: unit_state("inactive"))
    definition = definitions.default(log_file=str(tmp_path / "log"))
    if tries == 1:
        with pytest.raises(RuntimeError, match="Unknown assignment"):
            units.start(definition, b"")
    else:
        units.start(definition, b"")
    assert [command for command, *_rest in commands].count("systemd-run") == tries
    assert commands.count(("systemctl", "daemon-reload")) == tries - 1


def test_a_start_leaves_the_file_of_another_running_unit_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(units, "TRANSIENT_DIRECTORY", str(tmp_path))
    monkeypatch.setattr(units, "show", lambda _names: unit_state("active", pid=1))
    monkeypatch.setattr(units, "run", lambda *_command, **_options: (1, "Unit memory-leak.service was already loaded"))
    monkeypatch.setattr(units, "too_old_systemd", lambda: None)
    (tmp_path / UNIT).touch()
    with pytest.raises(RuntimeError, match="already loaded"):
        units.start(definitions.default(), b"")
    assert (tmp_path / UNIT).exists()
