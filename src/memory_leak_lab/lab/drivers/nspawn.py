"""Driver `nspawn`: systemd-nspawn containers, for large fleets on one computer. Needs root.

Each container has its own systemd, cgroups, process tree and sshd on its own loopback port. The root file system is read-only
and shared per release; writes stay in memory. Containers share this computer's network, kernel and kernel log, and `free`
shows the whole computer. On cgroup v1 they also share its memory: no memory limit is enforced.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from memory_leak_lab.lab import hosts, images
from memory_leak_lab.lab.drivers.base import Driver
from memory_leak_lab.lab.errors import DriverUnavailableError, LabError
from memory_leak_lab.lab.hosts import Host
from memory_leak_lab.lab.releases import NEEDS_CGROUP_V2, RELEASES

CGROUP_V2_ONLY = Path("/sys/fs/cgroup/cgroup.controllers")
INOTIFY_LIMIT = Path("/proc/sys/fs/inotify/max_user_instances")
INOTIFY_INSTANCES_PER_HOST = 20
# A container needs its own cgroups: otherwise its systemd would manage, and empty, those of all others.
JOIN_AND_RUN = 'for group in $GROUPS_OF_THE_HOST; do echo $$ >"$group/cgroup.procs" || exit; done; exec "$@"'
PROPAGATE = Path("/run/systemd/nspawn/propagate")  # systemd-nspawn makes a directory for each machine here
REMOVAL_TIMEOUT_S = 5


class Nspawn(Driver):
    """Containers, which share this computer's kernel."""

    name = "nspawn"
    description = "containers"
    max_hosts = 200
    tools: ClassVar = {"systemd-nspawn": "systemd-container", "mount": "mount"}

    def check(self, releases: Sequence[str]) -> None:
        """Require root, and a cgroup version that the hosts' systemd and this computer's systemd-nspawn support."""
        if os.geteuid() != 0:
            raise DriverUnavailableError(
                "lab_driver is 'nspawn', which needs root: run it as root, or use the driver 'qemu'"
            )
        if CGROUP_V2_ONLY.exists():
            return
        unfit = [release for release in releases if RELEASES[release].needs_cgroup_v2]
        if unfit:
            raise DriverUnavailableError(
                f"lab_releases has {', '.join(unfit)}, whose systemd cannot run in a container on this computer: it uses "
                "cgroup v1. Remove the release, or use the driver 'qemu'"
            )
        if _version() >= NEEDS_CGROUP_V2:
            raise DriverUnavailableError(
                f"lab_driver is 'nspawn', but systemd-nspawn {_version()} cannot run containers on this computer: it uses "
                "cgroup v1. Use the driver 'qemu'"
            )

    def start(self, directory: Path, started: Sequence[Host]) -> None:
        """Start the containers and return while they boot."""
        _raise_inotify_limit(sum(1 for _home in hosts.homes(directory)) + len(started))
        for container in started:
            settings = f"Port {container.port}\nListenAddress {container.address}\n"
            home = hosts.write(directory, container, settings)
            root = _mounted_root(directory, container)
            groups = _make_cgroups(home)
            with (home / "console.log").open("wb") as console:
                process = subprocess.Popen(
                    ["sh", "-c", JOIN_AND_RUN, "sh", *_nspawn(home, container, root)],
                    stdin=subprocess.DEVNULL,
                    stdout=console,
                    stderr=console,
                    start_new_session=True,
                    env={"PATH": images.tool_path(), "GROUPS_OF_THE_HOST": " ".join(map(str, groups))},
                )
            (home / "pid").write_text(str(process.pid))

    def main_process(self, pid: int) -> int:
        """Return the PID of the container's systemd, given the PID of its systemd-nspawn.

        When that systemd dies, the kernel kills all processes of the container, and systemd-nspawn cleans up.
        """
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def clean(self, home: Path) -> None:
        """Remove a container's cgroups and kill the processes still in them."""
        for group in cgroups(home):
            _remove_cgroup(group)
        with contextlib.suppress(FileNotFoundError):
            (PROPAGATE / _machine_name(home)).rmdir()

    def tidy(self, directory: Path) -> None:
        """Unmount the root file systems that the containers of a lab shared."""
        for root in directory.glob(".root-*"):
            if root.is_mount():
                images.run("umount", str(root))
            root.rmdir()


def _version() -> int:
    """Return the version of this computer's systemd-nspawn, or 0 if it is not installed."""
    try:
        shown = subprocess.run(["systemd-nspawn", "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return 0
    found = re.match(r"systemd (\d+)", shown)
    return int(found[1]) if found else 0


def _raise_inotify_limit(count: int) -> None:
    """Raise the inotify limit as far as `count` hosts need."""
    needed = count * INOTIFY_INSTANCES_PER_HOST
    if int(INOTIFY_LIMIT.read_text()) < needed:
        INOTIFY_LIMIT.write_text(str(needed))


def _nspawn(home: Path, container: Host, root: Path) -> list[str]:
    return [
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--machine={_machine_name(home)}"),
        *("--volatile=overlay", "--read-only", f"--directory={root}", "--console=read-only"),
        *("--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        f"--load-credential=tmpfiles.extra:{home}/credentials",
        # Arguments of the container's systemd. The second lets Debian 13's systemd run on cgroup v1.
        *(f"systemd.hostname={container.name}", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"),
    ]


def _machine_name(home: Path) -> str:
    return f"memory-leak-lab-{home.parent.name}-{home.name}".replace("_", "-")  # host names cannot contain '_'


def _mounted_root(directory: Path, container: Host) -> Path:
    """Return the read-only mount point of a container's image; mount it once for all containers of the lab."""
    root = directory / f".root-{Path(container.image).name}"
    root.mkdir(exist_ok=True)
    if not root.is_mount():
        images.run("mount", "-t", "ext4", "-o", "loop,ro", f"{container.image}/disk.img", str(root))
    return root


def cgroups(home: Path) -> list[Path]:
    """Return the cgroups of a container, existing or not: one in each mounted hierarchy."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) / _machine_name(home) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def _make_cgroups(home: Path) -> list[Path]:
    groups = cgroups(home)
    for group in groups:
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # cgroup v1 only: nothing can run while these are empty
            with contextlib.suppress(FileNotFoundError):
                if (group / "tasks").exists():
                    (group / name).write_text((group.parent / name).read_text())
    return groups


def _remove_cgroup(group: Path) -> None:
    """Kill all processes in a cgroup and its descendants, and remove them. Retries while the last process exits."""
    deadline = time.monotonic() + REMOVAL_TIMEOUT_S
    while group.exists():
        for processes in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                for pid in processes.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
        try:
            for path, _directories, _files in os.walk(group, topdown=False):
                os.rmdir(path)  # noqa: PTH106 # os.walk yields strings
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"could not remove the cgroup {group}: {error}") from error
            time.sleep(0.02)
