"""The lock that allows one run at a time on a host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from memory_leak_host import lock

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


def test_acquire_waits_for_the_lock_and_release_removes_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "lock"))
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.2)
    (tmp_path / "lock").write_text("")  # left by a killed run
    held = lock.acquire()
    with pytest.raises(TimeoutError, match="another run is still in progress"):
        lock.acquire()
    lock.release(held)
    assert not (tmp_path / "lock").exists()
    lock.release(lock.acquire())


def test_a_command_of_a_killed_run_keeps_the_lock(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "lock"))
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.2)
    held = lock.acquire()
    command = os.posix_spawn("/bin/sleep", ["sleep", "0.6"], {})
    os.close(held)  # simulates a killed run
    with pytest.raises(TimeoutError):
        lock.acquire()
    os.waitpid(command, 0)
    lock.release(lock.acquire())
