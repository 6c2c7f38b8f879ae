"""Faulty hosts: down, hanging, disconnecting, or failing setup. Checks the outcome, the message and the cleanup."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from typing import Any

import pytest

from helpers.host_runs import run
from memory_leak_lab.lab import hosts
from memory_leak_lab.lab.drivers import nspawn
from memory_leak_lab.lab.fleet import Fleet

COUNT = 3
BROKEN = 1  # the faulty host
# Time limit for a playbook when a host does not answer: the SSH timeouts, plus a margin for a busy machine.
TIME_LIMIT_S = 60


def others(fleet: Fleet) -> list[str]:
    """Return the names of the healthy hosts."""
    return [host.name for number, host in enumerate(fleet.hosts) if number != BROKEN]


def container(fleet: Fleet) -> int:
    """Return the PID of the faulty host's systemd."""
    return nspawn.Nspawn().main_process(hosts.process(fleet.directory / fleet.hosts[BROKEN].name) or 0)


def check_unreachable(fleet: Fleet, play: Any, operation: str) -> None:
    """Run a playbook. It must succeed on the healthy hosts, report the faulty one as unreachable, and fail in time."""
    began = time.monotonic()
    records = play(operation, fails=True)
    assert time.monotonic() - began < TIME_LIMIT_S
    assert records[fleet.hosts[BROKEN].name]["outcome"] == "unreachable"
    assert records[fleet.hosts[BROKEN].name]["message"]
    outcome = "absent" if operation == "cleanup" else "running"
    assert {records[name]["outcome"] for name in others(fleet)} == {outcome}


@pytest.mark.parametrize("operation", ["setup", "cleanup"])
def test_a_host_whose_sshd_hangs_is_unreachable(fleet: Fleet, play: Any, operation: str) -> None:
    fleet.run(BROKEN, "kill -STOP $(systemctl show --value --property=MainPID ssh)")
    fleet.close_connections()
    try:
        check_unreachable(fleet, play, operation)
    finally:
        subprocess.run(
            ["nsenter", "--target", str(container(fleet)), "--mount", "--pid", "pkill", "-CONT", "sshd"], check=True
        )


def processes(fleet: Fleet) -> list[int]:
    """Return the PIDs of all processes of the faulty host."""
    found = []
    for group in nspawn.cgroups(fleet.directory / fleet.hosts[BROKEN].name):
        for file in group.rglob("cgroup.procs"):
            found += [int(line) for line in file.read_text().split()]
    return sorted(set(found))


def test_a_host_that_hangs_with_an_open_connection_is_unreachable(fleet: Fleet, play: Any) -> None:
    play("setup")
    stopped = processes(fleet)
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        check_unreachable(fleet, play, "status")
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


FULL = (
    "mkdir -p {path}; mount -t tmpfs -o size=8k tmpfs {path}; dd if=/dev/zero of={path}/filler bs=1k 2>/dev/null; true"
)
READ_ONLY = "mkdir -p {path}; mount --bind {path} {path}; mount -o remount,bind,ro {path}"
OLD_PYTHON = """cat >/usr/local/bin/python-3.6 <<'END'
#!/bin/sh
exec /usr/bin/python3 -c 'import sys; sys.version_info = (3, 6, 9); exec(sys.stdin.read())'
END
chmod +x /usr/local/bin/python-3.6"""
OLD_SYSTEMD = """cat >/usr/local/sbin/systemctl <<'END'
#!/bin/sh
[ "$1" = --version ] && echo 'systemd 245 (245.4-4ubuntu3)' || exec /usr/bin/systemctl "$@"
END
cat >/usr/local/sbin/systemd-run <<'END'
#!/bin/sh
echo 'Unknown assignment: ProtectProc=invisible' >&2
exit 1
END
chmod +x /usr/local/sbin/systemctl /usr/local/sbin/systemd-run"""
NEW_SYSTEMD = "rm /usr/local/sbin/systemctl /usr/local/sbin/systemd-run"


@pytest.mark.parametrize(
    ("fault", "repair", "variables", "words"),
    [
        *(
            (FULL.format(path=path), f"umount {path}", {}, ["disk is full", path])
            for path in ("/tmp", "/mcp/scenarios")
        ),
        *(
            (READ_ONLY.format(path=path), f"umount {path}", {}, ["read-only", path])
            for path in ("/tmp", "/mcp/scenarios")
        ),
        (READ_ONLY.format(path="/run"), "umount /run", {}, ["Read-only file system", "/run"]),
        (
            "mv /usr/bin/python3 /usr/bin/python3.away",
            "mv /usr/bin/python3.away /usr/bin/python3",
            {},
            ["/usr/bin/python3", "no result"],
        ),
        (
            OLD_PYTHON,
            "rm /usr/local/bin/python-3.6",
            {"ansible_python_interpreter": "/usr/local/bin/python-3.6"},
            ["Python 3.6", "3.9"],
        ),
        (
            "mv /run/systemd/system /run/systemd/system.away",
            "mv /run/systemd/system.away /run/systemd/system",
            {},
            ["does not run systemd"],
        ),
        (OLD_SYSTEMD, NEW_SYSTEMD, {}, ["systemd 245", "247"]),
        (
            "useradd plain",
            "userdel --force plain",
            {"ansible_user": "plain", "ansible_become": "true"},
            ["password"],
        ),
        ("true", "true", {"ansible_user": "trainer", "ansible_become": "true"}, ["password"]),
        (
            "true",
            "true",
            {"ansible_user": "trainer", "ansible_become": "true", "ansible_become_password": "wrong"},
            ["password"],
        ),
        ("true", "true", {"ansible_user": "admin"}, ["not root", "ansible_become"]),
    ],
    ids=[
        *("/tmp full", "/mcp full", "/tmp read-only", "/mcp read-only", "/run read-only", "no python", "old python"),
        *("no systemd", "old systemd", "no sudo", "sudo without password", "sudo wrong password", "no become"),
    ],
)
def test_a_failed_setup_reports_the_cause_and_leaves_nothing(
    fleet: Fleet, play: Any, fault: str, repair: str, variables: dict[str, str], words: list[str]
) -> None:
    play("cleanup")
    try:
        broken = fleet.run(BROKEN, fault)
        assert broken.returncode == 0, broken.stderr
        records = play("setup", fails=True, variables={BROKEN: variables})
        record = records[fleet.hosts[BROKEN].name]
        assert record["outcome"] == "failed"
        assert [word for word in words if word not in record["message"]] == [], record["message"]
        assert "\n" not in record["message"].strip()
        assert {records[name]["outcome"] for name in others(fleet)} == {"running"}
        assert (
            fleet.run(BROKEN, "pgrep -f workload.py || ls /tmp/memory-leak.* /mcp/scenarios/memory-leak").stdout == ""
        )
    finally:
        repaired = fleet.run(BROKEN, repair)
    assert repaired.returncode == 0, repaired.stderr
    run(fleet, BROKEN, "setup")


def test_check_mode_reports_an_old_systemd(fleet: Fleet, play: Any) -> None:
    play("cleanup")
    fleet.run(BROKEN, OLD_SYSTEMD)
    try:
        record = play("setup", "--check", fails=True)[fleet.hosts[BROKEN].name]
    finally:
        fleet.run(BROKEN, NEW_SYSTEMD)
    assert (record["outcome"], "systemd 245" in record["message"]) == ("failed", True)
    run(fleet, BROKEN, "setup")


def test_a_host_that_disconnects_during_an_operation_is_unreachable(fleet: Fleet, play: Any) -> None:
    home = fleet.directory / fleet.hosts[BROKEN].name
    play("setup")
    # systemctl blocks, so the host is killed while the host program waits for it.
    fleet.run(
        BROKEN,
        "printf '#!/bin/sh\\ntouch /run/waiting; sleep 999\\n' >/usr/local/sbin/systemctl; chmod +x /usr/local/sbin/systemctl",
    )
    pid = container(fleet)

    def drop() -> None:
        while fleet.run(BROKEN, "ls /run/waiting").returncode:
            time.sleep(0.1)
        hosts.kill(home, pid)

    dropper = threading.Thread(target=drop)
    dropper.start()
    check_unreachable(fleet, play, "reset")
    dropper.join()


@pytest.mark.parametrize("operation", ["setup", "status", "reset", "cleanup"])
def test_a_host_that_is_down_is_unreachable(fleet: Fleet, play: Any, operation: str) -> None:
    home = fleet.directory / fleet.hosts[BROKEN].name
    if hosts.process(home):
        hosts.kill(home, container(fleet))
    if operation == "status":
        play("setup", fails=True)
    check_unreachable(fleet, play, operation)
