"""Foreign property on a host: files at configured paths, group-writable directories, accounts, shared memory."""

from __future__ import annotations

from typing import Any

import pytest

from helpers.initial_states import LOG, PID_FILE
from memory_leak_lab.lab.fleet import Fleet

COUNT = 2
HOST = 1  # the other host must be unaffected
LOG_DIRECTORY = "/var/log/app"
MEMBERS = f"useradd --groups adm eve; mkdir -p {LOG_DIRECTORY}; chgrp adm {LOG_DIRECTORY}; chmod 0775 {LOG_DIRECTORY}"
REMOVE_MEMBERS = f"userdel --force eve; rm -r {LOG_DIRECTORY}"


def play_on_one(fleet: Fleet, play: Any, operation: str, fails: bool, **variables: str) -> dict[str, Any]:
    """Run a playbook with variables for HOST and return its record. The other host must have the usual outcome."""
    records = play(operation, fails=fails, variables={HOST: {f"memory_leak_{k}": v for k, v in variables.items()}})
    other, found = (records[host.name] for host in fleet.hosts)
    assert other["outcome"] == ("absent" if operation == "cleanup" else "running") or operation == "status"
    record: dict[str, Any] = found
    return record


@pytest.mark.parametrize("operation", ["setup", "reset", "cleanup"])
@pytest.mark.parametrize(
    ("path", "variables"),
    [
        ("/var/log/dpkg.log", {"log_file": "/var/log/dpkg.log"}),
        ("/run/precious.pid", {"pid_file": "/run/precious.pid"}),
        ("/srv/app/workload.py", {"directory": "/srv/app"}),
    ],
)
def test_a_foreign_file_at_a_configured_path_is_kept(
    fleet: Fleet, play: Any, operation: str, path: str, variables: dict[str, str]
) -> None:
    play("cleanup")
    fleet.run(HOST, f"mkdir -p $(dirname {path}); echo precious >{path}")
    try:
        record = play_on_one(fleet, play, operation, fails=True, **variables)
        assert (record["outcome"], path in record["message"]) == ("refused", True), record["message"]
        assert fleet.run(HOST, f"cat {path}").stdout == "precious\n"
        assert play_on_one(fleet, play, "status", fails=False, **variables)["outcome"] == "absent"
    finally:
        fleet.run(HOST, f"rm {path}; rmdir /srv/app")


def test_obstacles_in_tmp_are_replaced_and_not_followed(fleet: Fleet, play: Any) -> None:
    play("cleanup")
    fleet.run(
        HOST, f"useradd eve; echo precious >/root/precious; su eve -c 'ln -s /root/precious {LOG}; mkfifo {PID_FILE}'"
    )
    try:
        assert play_on_one(fleet, play, "setup", fails=False)["outcome"] == "running"
        assert fleet.run(HOST, f"cat /root/precious; stat -c '%U %F' {LOG} {PID_FILE}").stdout.splitlines() == [
            "precious",
            "root regular file",
            "root regular file",
        ]
    finally:
        fleet.run(HOST, "userdel --force eve; rm /root/precious")


@pytest.mark.parametrize("variable", ["log_file", "pid_file"])
def test_a_directory_writable_by_a_group_with_members_is_refused(fleet: Fleet, play: Any, variable: str) -> None:
    play("cleanup")
    fleet.run(HOST, MEMBERS)
    try:
        record = play_on_one(fleet, play, "setup", fails=True, **{variable: f"{LOG_DIRECTORY}/app.out"})
        assert record["outcome"] == "refused"
        assert f"{LOG_DIRECTORY} is writable by group adm, to which eve belongs" in record["message"]
        fleet.run(HOST, "gpasswd --delete eve adm")
        assert (
            play_on_one(fleet, play, "setup", fails=False, **{variable: f"{LOG_DIRECTORY}/app.out"})["outcome"]
            == "running"
        )
        assert play_on_one(fleet, play, "cleanup", fails=False)["outcome"] == "absent"
        assert fleet.run(HOST, f"ls {LOG_DIRECTORY}").stdout == ""
    finally:
        fleet.run(HOST, REMOVE_MEMBERS)


def test_a_unit_named_like_an_account_is_refused(fleet: Fleet, play: Any) -> None:
    play("cleanup")
    for name in ("backup", "root"):
        record = play_on_one(fleet, play, "setup", fails=True, unit=name)
        assert (record["outcome"], "account of this host" in record["message"]) == ("refused", True)


def test_the_users_own_shared_memory_survives_cleanup(fleet: Fleet, play: Any) -> None:
    play("cleanup")
    fleet.run(HOST, "useradd database; su database -s /bin/sh -c 'echo x >/dev/shm/database; ipcmk --shmem 4096'")
    try:
        before = fleet.run(HOST, "ls /dev/shm; ipcs --shmems | grep -c database").stdout
        assert "database" in before
        record = play_on_one(fleet, play, "setup", fails=False, user="database")
        assert fleet.run(HOST, f"stat -c %U /proc/{record['pid']}").stdout == "database\n"
        play("cleanup")
        assert fleet.run(HOST, "ls /dev/shm; ipcs --shmems | grep -c database").stdout == before
    finally:
        fleet.run(HOST, "ipcrm --all=shm; rm /dev/shm/database; userdel --force database")


def test_the_start_record_is_private_to_root_and_removed_by_cleanup(fleet: Fleet, play: Any) -> None:
    play("setup")
    listed = fleet.run(HOST, "stat -c '%a %U %n' /var/lib/session-cache /var/lib/session-cache/*").stdout
    assert listed == "700 root /var/lib/session-cache\n600 root /var/lib/session-cache/memory-leak\n"
    play("cleanup")
    assert fleet.run(HOST, "ls -d /var/lib/session-cache").returncode != 0


# Paths opened by the host program, the unit's hooks or systemd, swapped for a symlink while root works.
SWAPS = {
    "log_file": "/srv/shared/app.log",  # opened by systemd at every start (append:)
    "pid_file": "/srv/shared/app.pid",  # written and removed by the unit's hooks
    "directory": "/srv/shared/app",
}


@pytest.mark.parametrize("variable", SWAPS)
def test_a_path_swapped_for_a_symlink_is_refused(fleet: Fleet, play: Any, variable: str) -> None:
    """A user who owns a parent directory keeps swapping it for a symlink. Root refuses and leaves the target untouched."""
    play("cleanup")
    fleet.run(
        HOST,
        "useradd eve; mkdir -p /srv/target; echo precious >/srv/target/app.log; mkdir /srv/shared; chown eve /srv/shared",
    )
    racer = "cd /srv; while :; do mv -T shared real && ln -sT target shared; rm shared; mv -T real shared; done"
    try:
        fleet.run(HOST, f"chown eve /srv; nohup su eve -c '{racer}' >/dev/null 2>&1 & echo $! >/run/racer")
        for operation in ("setup", "cleanup"):
            record = play_on_one(fleet, play, operation, fails=True, **{variable: SWAPS[variable]})
            assert record["outcome"] == "refused", record
        assert fleet.run(HOST, "cat /srv/target/app.log; ls /srv/target").stdout == "precious\napp.log\n"
    finally:
        fleet.run(
            HOST,
            "pkill -u eve; sleep 0.2; userdel --force eve; chown root /srv; rm -rf /srv/shared /srv/real /srv/target",
        )
