"""Run commands and capture their output. Importing subprocess would take longer than the commands themselves."""

from __future__ import annotations

import os
import select
import time

DIRECTORIES = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
ENVIRONMENT = {"PATH": ":".join(DIRECTORIES), "LC_ALL": "C"}


def run(*command: str, timeout_s: float = 60) -> tuple[int, str]:
    """Run a command in the C locale and return its exit status and output (stdout and stderr together).

    Raises FileNotFoundError if the command does not exist. Kills it and raises TimeoutError after `timeout_s`.
    """
    read_end, write_end = os.pipe()
    try:
        pid = os.posix_spawn(
            _path(command[0]),
            command,
            ENVIRONMENT,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                (os.POSIX_SPAWN_DUP2, write_end, 1),
                (os.POSIX_SPAWN_DUP2, write_end, 2),
            ],
        )
    finally:
        os.close(write_end)
    with open(read_end, "rb", buffering=0) as output:
        printed = _read(output.fileno(), time.monotonic() + timeout_s)
    if printed is None:
        os.kill(pid, 9)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    if printed is None:
        raise TimeoutError(f"{command[0]} took longer than {timeout_s:.0f} s")
    return status, printed.decode(errors="replace")


def _path(name: str) -> str:
    for directory in DIRECTORIES:
        path = f"{directory}/{name}"
        if os.access(path, os.X_OK):
            return path
    raise FileNotFoundError(f"there is no {name} on this host")


def _read(descriptor: int, deadline: float) -> bytes | None:
    """Read a pipe until its other end is closed. Return None if the deadline expires first."""
    received = b""
    while select.select([descriptor], [], [], max(0, deadline - time.monotonic()))[0]:
        part = os.read(descriptor, 65536)
        if not part:
            return received
        received += part
    return None
