"""Run playbooks on a pseudo-terminal."""

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
    """Run a playbook and return its exit status and its output without terminal control sequences."""
    command = [str(Path(sys.executable).parent / "ansible-playbook"), f"{name}.yml", *arguments]
    parent_fd, child_fd = pty.openpty()
    fcntl.ioctl(child_fd, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
    environment = os.environ | {"TERM": "xterm-256color"}
    process = subprocess.Popen(command, cwd=PROJECT, env=environment, stdin=child_fd, stdout=child_fd, stderr=child_fd)
    os.close(child_fd)
    output = b""
    while True:
        try:
            part = os.read(parent_fd, 65536)
        except OSError:  # The playbook has exited.
            break
        output += part
    os.close(parent_fd)
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", output.decode())
    return process.wait(), text.replace("\r\n", "\n")
