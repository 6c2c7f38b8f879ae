"""One run at a time on this host. The kernel releases the lock when its holder, and the commands it started, have ended."""

from __future__ import annotations

import fcntl
import os
import time

# In a directory where only root can make or open it: nobody else can hold us up.
PATH = "/run/session-cache.lock"
TIMEOUT_S = 100  # less than the controller waits for an answer, so that the host still says why


def acquire() -> int:
    """Wait for the lock and return its descriptor. Raises TimeoutError if another run holds it for too long."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        descriptor = os.open(PATH, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if _is_taken_by(descriptor):
            # Our commands inherit it: if we are killed, the next run waits until they have ended too.
            os.set_inheritable(descriptor, True)
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise TimeoutError(f"another run has been at work on this host for {TIMEOUT_S} s")
        time.sleep(0.05)


def _is_taken_by(descriptor: int) -> bool:
    """Tell whether we hold the lock now: that of the file at the path, not of one that its last holder has removed."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.lstat(PATH))
    except (BlockingIOError, FileNotFoundError):
        return False


def release(descriptor: int) -> None:
    """Remove the file and let the next run go on."""
    os.unlink(PATH)
    os.close(descriptor)
