"""A running lab VM that refuses SSH is reset once and keeps its disk."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from memory_leak_lab.lab import hosts
from memory_leak_lab.lab.drivers import qemu


def test_a_vm_that_refuses_ssh_is_reset_and_keeps_its_disk(
    host: Any, lab_up: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = host.check_output("cat /proc/sys/kernel/random/boot_id; date > /home/admin/kept; sync")
    host.run("systemctl stop ssh")
    boot_timeout_s, real_reset = hosts.BOOT_TIMEOUT_S, qemu.reset

    def reset(home: Path) -> None:  # restore the timeout for the boot after the reset
        monkeypatch.setattr(hosts, "BOOT_TIMEOUT_S", boot_timeout_s)
        real_reset(home)

    monkeypatch.setattr(hosts, "BOOT_TIMEOUT_S", 5)
    monkeypatch.setattr(qemu, "reset", reset)
    with pytest.warns(UserWarning, match="reset a host that hung: debian12 did not answer ssh within 5 s"):
        lab_up()
    after = host.check_output("cat /proc/sys/kernel/random/boot_id")
    assert after != before
    assert host.file("/home/admin/kept").exists
