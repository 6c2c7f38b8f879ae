"""Fixtures of this scenario: operations on its single host, and the host states that tests start from."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from memory_leak_lab.lab import hosts, lifecycle

REBOOT_TIMEOUT_S = 120
BOOT_ID = "cat /proc/sys/kernel/random/boot_id"
Operate = Callable[..., dict[str, Any]]


@pytest.fixture
def operate(playbook: Any) -> Operate:
    """Return a function that runs an operation on the host and returns its record."""

    def run(operation: str, *arguments: str, fails: bool | None = False) -> dict[str, Any]:
        [record] = playbook(f"{operation}.yml", *arguments, fails=fails).values()
        found: dict[str, Any] = record
        return found

    return run


@pytest.fixture
def running(operate: Operate) -> dict[str, Any]:
    """Return the record of a workload running with the default variables."""
    record = operate("setup")
    assert record["outcome"] == "running"
    return record


@pytest.fixture
def absent(operate: Operate) -> Iterator[None]:
    """Clean the host up before and after the test."""
    operate("cleanup")
    yield
    assert operate("cleanup")["outcome"] == "absent"


@pytest.fixture
def lab_up() -> Callable[[], None]:
    """Return a function that waits until the host accepts SSH, and resets it if it hangs."""

    def run() -> None:
        lab = os.environ["MEMORY_LEAK_LAB"]
        [machine] = hosts.running(lab)
        unchanged = (machine.driver, 1, [machine.release], [machine.user], machine.memory_mib)
        lifecycle.up(lab, *unchanged, lambda message: warnings.warn(message, stacklevel=2))

    return run


@pytest.fixture
def reboot(module: Callable[..., str], lab_up: Callable[[], None]) -> Callable[[], None]:
    """Return a function that reboots the host and waits for it. It calls systemd directly: logind is masked in the VM."""

    def run() -> None:
        how = f"reboot_timeout={REBOOT_TIMEOUT_S} reboot_command='systemctl --no-block start reboot.target'"
        before = module("ansible.builtin.command", "memory_leak", BOOT_ID)
        try:
            module("ansible.builtin.reboot", "memory_leak", how)
        except AssertionError:
            lab_up()
        assert module("ansible.builtin.command", "memory_leak", BOOT_ID) != before

    return run
