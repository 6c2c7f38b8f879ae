"""Allow one run at a time on this host. The kernel releases the lock when its holder and all its commands have exited."""

from __future__ import annotations

import fcntl
import os
import time

# Only root can create or open a file here, so no other user can block a run.
PATH = "/run/session-cache.lock"
TIMEOUT_S = 100  # shorter than the controller's timeout, so that the host can still report why


def acquire() -> int:
    """Wait for the lock and return its file descriptor. Raises TimeoutError if another run holds it for TIMEOUT_S."""
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        descriptor = os.open(PATH, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        if _is_taken_by(descriptor):
            # Commands inherit it: if this run is killed, the next one also waits for its commands to exit.
            os.set_inheritable(descriptor, True)
            return descriptor
        os.close(descriptor)
        if time.monotonic() > deadline:
            raise TimeoutError(f"another run is still in progress on this host after {TIMEOUT_S} s")
        time.sleep(0.05)


def _is_taken_by(descriptor: int) -> bool:
    """Lock the file if it is free. Return False if it is not, or if its last holder has removed it from PATH."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(os.fstat(descriptor), os.lstat(PATH))
    except (BlockingIOError, FileNotFoundError):
        return False


def release(descriptor: int) -> None:
    """Remove the file and release the lock."""
    os.unlink(PATH)
    os.close(descriptor)
