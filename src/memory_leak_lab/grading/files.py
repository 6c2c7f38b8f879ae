"""Reads diagnoses from regular files of limited size. Their authors are not trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

MOST_BYTES = 16 * 1024**2
MOST_CHARACTERS = 400_000  # of one diagnosis of one host


class UnreadableError(Exception):
    """A file cannot be graded; the message says why."""


def read(path: Path) -> str:
    """Return the text of a file. Raises UnreadableError for symlinks, FIFOs, devices, oversized files and invalid UTF-8.

    A symlink could point to the answer key, and a FIFO would block.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "it is a symlink" if path.is_symlink() else str(error.strerror)
        raise UnreadableError(f"{path.name}: not graded: {reason}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnreadableError(f"{path.name}: not graded: it is not a regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MOST_BYTES:
            raise UnreadableError(f"{path.name}: not graded: it has {status.st_size} bytes; the limit is {MOST_BYTES}")
        try:
            return file.read(MOST_BYTES).decode()
        except UnicodeDecodeError as error:
            raise UnreadableError(f"{path.name}: not graded: {error}") from error


def check_length(name: str, host: str, text: str) -> None:
    """Raise UnreadableError for a text too long to be a diagnosis of one host, such as a pasted log."""
    if len(text) > MOST_CHARACTERS:
        raise UnreadableError(
            f"{name}: not graded: it has {len(text)} characters about {host}; the limit is {MOST_CHARACTERS}"
        )
