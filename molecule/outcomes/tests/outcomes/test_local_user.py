"""An unprivileged local user cannot exploit setup, the unit or cleanup by preparing the paths that root uses.

Tested with and without the kernel's protections in /tmp (fs.protected_*).
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

LOG, PID_FILE = "/tmp/memory-leak.log", "/tmp/memory-leak.pid"
PROTECTIONS = ("fs.protected_symlinks", "fs.protected_hardlinks", "fs.protected_fifos", "fs.protected_regular")
VICTIM, CREATED = "/var/tmp/victim", "/etc/created"
TIME_LIMIT_S = 90  # far longer than an operation on an emulated VM, shorter than the tasks' timeout
Operate = Callable[..., dict[str, Any]]


@pytest.fixture
def attacker(host: Any, operate: Operate, request: pytest.FixtureRequest) -> Iterator[Callable[[str], str]]:
    """Provide a function that runs a shell script as an unprivileged user. Clean up afterwards.

    The kernel's protections are off unless the fixture's parameter is "protected".
    """
    operate("cleanup")
    values = (1, 1, 1, 2) if getattr(request, "param", "") == "protected" else (0, 0, 0, 0)
    settings = " ".join(f"{name}={value}" for name, value in zip(PROTECTIONS, values, strict=True))
    # The victim is on the same file system, so that a hard link is possible, and is owned by root.
    host.run_expect([0], f"sysctl --quiet --write {settings}; id mallory || useradd --create-home mallory")
    host.run_expect([0], f"echo precious >{VICTIM}; chmod 644 {VICTIM}")

    def run(script: str) -> str:
        output: str = host.check_output(f"runuser --user mallory -- sh -c {shlex.quote(script)}")
        return output

    yield run
    host.run("pkill -KILL -u mallory")
    assert host.file(VICTIM).content_string == "precious\n"
    assert (host.file(VICTIM).user, host.file(VICTIM).mode) == ("root", 0o644)
    assert not host.file(CREATED).exists
    host.run(f"rm -rf {LOG}* {PID_FILE}* /tmp/foreign {VICTIM}")
    assert operate("cleanup")["outcome"] == "absent"


def run_timed(operate: Operate, operation: str, *arguments: str, fails: bool | None = False) -> dict[str, Any]:
    """Run an operation within the time limit and return its record."""
    began = time.monotonic()
    record = operate(operation, *arguments, fails=fails)
    assert time.monotonic() - began < TIME_LIMIT_S
    return record


TRAPS = {
    "symlink": "ln -s {victim} {path}",
    "dangling symlink": "ln -s {created} {path}",
    "symlink to itself": "ln -s {path} {path}",
    "symlink to a directory": "mkdir {path}-d; ln -s {path}-d {path}",
    "hard link": "ln {victim} {path}",
    "pipe": "mkfifo {path}",
    "private file": "echo 1 >{path}; chmod 600 {path}",
    "world-writable file": "echo 1 >{path}; chmod 666 {path}",
    "huge file": "truncate --size=10G {path}",
}
PROTECTED = ("symlink", "pipe", "world-writable file")  # the traps that fs.protected_* covers


@pytest.mark.parametrize(
    ("attacker", "trap"),
    [*(("unprotected", trap) for trap in TRAPS), *(("protected", trap) for trap in PROTECTED)],
    indirect=["attacker"],
)
def test_traps_are_replaced_and_not_followed(
    host: Any, operate: Operate, attacker: Callable[[str], str], trap: str
) -> None:
    for path in (LOG, PID_FILE):
        attacker(TRAPS[trap].format(path=path, victim=VICTIM, created=CREATED))
    assert run_timed(operate, "status")["outcome"] in ("stopped", "absent")
    record = run_timed(operate, "setup")
    assert record["outcome"] == "running"
    for path in (LOG, PID_FILE):
        file = host.file(path)
        assert (file.is_symlink, file.is_file, file.user, file.mode) == (False, True, "root", 0o644)
    assert host.file(PID_FILE).content_string == f"{record['pid']}\n"
    # The files are owned by root: the user can neither change nor replace them.
    attacker(
        f"for path in {LOG} {PID_FILE} /mcp/scenarios/memory-leak/workload.py; do "
        f"rm -f $path; mv $path $path.away; ln -sf {VICTIM} $path; echo x >>$path; done 2>/dev/null; "
        f"kill {record['pid']} 2>/dev/null; true"
    )
    host.run_expect([0], f"kill -0 {record['pid']} && systemctl restart memory-leak")


def test_a_directory_at_a_path_is_refused_and_does_not_block_cleanup(
    operate: Operate, attacker: Callable[[str], str]
) -> None:
    attacker(f"mkdir {LOG} {PID_FILE}")
    for operation in ("setup", "reset"):
        assert run_timed(operate, operation, fails=True)["outcome"] == "refused"
    record = run_timed(operate, "cleanup")
    assert record["outcome"] == "absent"
    assert f"kept {LOG}" in record["message"]


@pytest.mark.parametrize(
    ("preparation", "variable"),
    [
        ("mkdir -p /tmp/foreign/app", "memory_leak_directory=/tmp/foreign/app"),
        ("ln -s /etc /tmp/foreign", "memory_leak_directory=/tmp/foreign/app"),
        ("ln -s /nowhere /tmp/foreign", "memory_leak_log_file=/tmp/foreign/app.log"),
        ("mkdir -m 777 /tmp/foreign", "memory_leak_pid_file=/tmp/foreign/app.pid"),
    ],
)
def test_a_directory_of_another_user_is_refused(
    host: Any, operate: Operate, attacker: Callable[[str], str], preparation: str, variable: str
) -> None:
    attacker(preparation)
    for operation in ("setup", "cleanup"):
        record = run_timed(operate, operation, "-e", variable, fails=True)
        assert record["outcome"] == "refused"
        assert "/tmp/foreign" in record["message"]
    assert not host.file("/etc/app").exists


def test_a_race_for_the_paths_does_not_redirect_root(
    host: Any, operate: Operate, attacker: Callable[[str], str]
) -> None:
    attacker(
        f"(while :; do for path in {LOG} {PID_FILE}; do ln -s {VICTIM} $path; rm -f $path; ln -s {CREATED} $path; "
        "done; done) >/dev/null 2>&1 &"
    )
    for operation in ("setup", "reset", "cleanup"):
        # The race may make the operation fail, with a message, but must not redirect it.
        record = run_timed(operate, operation, fails=None)
        assert record["outcome"] in ("running", "absent", "failed"), record
        assert host.file(VICTIM).content_string == "precious\n"
