"""Commands run on the host: output and timeout."""

from __future__ import annotations

import subprocess

import pytest

from memory_leak_host import commands

DEAD = subprocess.Popen(["/bin/true"])


DEAD.wait()


def test_a_command_returns_its_status_and_output() -> None:
    script = "echo out; echo err >&2; head -c 200000 /dev/zero; cat; echo $LC_ALL; exit 3"
    status, printed = commands.run("sh", "-c", script)
    assert (status, printed.replace("\0", "")) == (3, "out\nerr\nC\n")
    assert printed.count("\0") == 200000


def test_a_slow_command_is_killed_and_a_missing_one_is_named() -> None:
    with pytest.raises(TimeoutError, match="sleep took longer than 0 s"):
        commands.run("sleep", "30", timeout_s=0.2)
    with pytest.raises(FileNotFoundError, match="there is no no-such-command"):
        commands.run("no-such-command")
