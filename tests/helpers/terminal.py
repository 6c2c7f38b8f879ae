"""Playbooks run on a terminal, as people run them."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path

from helpers.project import PROJECT

ROWS, COLUMNS = 40, 140


def run_playbook(name: str, *arguments: str) -> tuple[int, str]:
    """Run a playbook and return its status and all that it showed, without the terminal's control sequences."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), f"{name}.yml", *arguments]
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        shown += part
    os.close(ours)
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    return process.wait(), plain.replace("\r\n", "\n")
