"""One run at a time on a host."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from memory_leak_host import lock

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


def test_a_lock_is_waited_for_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "lock"))
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.2)
    (tmp_path / "lock").write_text("")  # left by a run that was killed
    held = lock.acquire()
    with pytest.raises(TimeoutError, match="another run has been at work"):
        lock.acquire()
    lock.release(held)
    assert not (tmp_path / "lock").exists()
    lock.release(lock.acquire())


def test_a_command_of_a_run_that_was_killed_holds_the_lock_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "PATH", str(tmp_path / "lock"))
    monkeypatch.setattr(lock, "TIMEOUT_S", 0.2)
    held = lock.acquire()
    command = os.posix_spawn("/bin/sleep", ["sleep", "0.6"], {})
    os.close(held)  # as when it is killed
    with pytest.raises(TimeoutError):
        lock.acquire()
    os.waitpid(command, 0)
    lock.release(lock.acquire())
