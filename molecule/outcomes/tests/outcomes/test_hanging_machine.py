"""A machine of the lab that runs and lets nobody in is reset, once, with its disk as it was."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory_leak_lab.lab import hosts
from memory_leak_lab.lab.drivers import qemu


def test_a_machine_that_lets_nobody_in_is_reset_and_keeps_its_disk(
    host: Any, lab_up: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = host.check_output("cat /proc/sys/kernel/random/boot_id; date > /home/admin/kept; sync")
    host.run("systemctl stop ssh")
    patience, press_button = hosts.BOOT_TIMEOUT_S, qemu.reset

    def reset(home: Path) -> None:  # patience is short before it, and as ever after it
        monkeypatch.setattr(hosts, "BOOT_TIMEOUT_S", patience)
        press_button(home)

    monkeypatch.setattr(hosts, "BOOT_TIMEOUT_S", 5)
    monkeypatch.setattr(qemu, "reset", reset)
    with pytest.warns(UserWarning, match="reset a host that hung: debian12 did not answer ssh within 5 s"):
        lab_up()
    after = host.check_output("cat /proc/sys/kernel/random/boot_id")
    assert after != before
    assert host.file("/home/admin/kept").exists
