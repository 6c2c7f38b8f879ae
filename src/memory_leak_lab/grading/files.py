"""Diagnoses as files: regular ones, of a bounded size. Whoever writes them may not be trusted."""

from __future__ import annotations

import os
import stat
from pathlib import Path

SUFFIXES = (".md", ".txt")
MOST_BYTES = 16 * 1024**2
MOST_CHARACTERS = 400_000  # of what is graded as one diagnosis


class UnreadableError(Exception):
    """A file is not graded; the message says why."""


def read(path: Path) -> str:
    """Return the text of a file. Raises UnreadableError for a link, a pipe, a device, and what is too large or no UTF-8.

    A link could lead to the answer key, and a pipe would hold everything up.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError as error:
        reason = "it is a link" if path.is_symlink() else str(error.strerror)
        raise UnreadableError(f"{path.name}: not graded: {reason}") from error
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise UnreadableError(f"{path.name}: not graded: it is no regular file")
    with os.fdopen(descriptor, "rb") as file:
        if status.st_size > MOST_BYTES:
            raise UnreadableError(
                f"{path.name}: not graded: it has {status.st_size} bytes, at most {MOST_BYTES} are graded"
            )
        try:
            return file.read(MOST_BYTES).decode()
        except UnicodeDecodeError as error:
            raise UnreadableError(f"{path.name}: not graded: {error}") from error


def check_length(name: str, host: str, text: str) -> None:
    """Raise UnreadableError for what is too long to be a diagnosis of one host, such as a log that was pasted."""
    if len(text) > MOST_CHARACTERS:
        raise UnreadableError(
            f"{name}: not graded: it has {len(text)} characters about {host}, at most {MOST_CHARACTERS} are graded"
        )
