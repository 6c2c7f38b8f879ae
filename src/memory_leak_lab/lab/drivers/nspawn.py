"""The driver `nspawn`: hosts that are systemd-nspawn containers, for fleets of many on one computer. Needs root.

Each has its own systemd, cgroups, process tree and sshd on its own loopback port, over one read-only root per release; what it
writes stays in its memory. They share this computer's kernel, network and, where its cgroups are of version 1, its memory:
no ceiling is enforced there, `free` shows the whole computer, and the kernel log is not theirs.
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
# Without cgroups of its own, each host's systemd would manage, and empty, those of all others.
JOIN_AND_RUN = 'for group in $GROUPS_OF_THE_HOST; do echo $$ >"$group/cgroup.procs" || exit; done; exec "$@"'
PROPAGATE = Path("/run/systemd/nspawn/propagate")  # where systemd-nspawn makes a directory for each machine
REMOVAL_TIMEOUT_S = 5


class Nspawn(Driver):
    """Containers. They share this computer's kernel."""

    name = "nspawn"
    description = "containers"
    max_hosts = 200
    tools: ClassVar = {"systemd-nspawn": "systemd-container", "mount": "mount"}

    def check(self, releases: Sequence[str]) -> None:
        """Require root, and cgroups that suit the hosts' systemd and this computer's."""
        if os.geteuid() != 0:
            raise DriverUnavailableError(
                "lab_driver is 'nspawn', which needs root: run it as root, or use the driver 'qemu'"
            )
        if CGROUP_V2_ONLY.exists():
            return
        unfit = [release for release in releases if RELEASES[release].needs_cgroup_v2]
        if unfit:
            raise DriverUnavailableError(
                f"lab_releases has {', '.join(unfit)}, whose systemd cannot run in a container here, since this computer's "
                "cgroups are of version 1: leave it out, or use the driver 'qemu'"
            )
        if _version() >= NEEDS_CGROUP_V2:
            raise DriverUnavailableError(
                f"lab_driver is 'nspawn', but systemd-nspawn {_version()} runs no container here, since this computer's "
                "cgroups are of version 1: use the driver 'qemu'"
            )

    def start(self, directory: Path, started: Sequence[Host]) -> None:
        """Start containers; they boot on their own."""
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
        """Return the PID of the container's systemd, given that of its systemd-nspawn.

        When that systemd dies, the kernel ends all its processes, and systemd-nspawn tidies up after itself.
        """
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return int(children[0]) if children else pid

    def clean(self, home: Path) -> None:
        """Remove a container's cgroups, and whatever still lives there."""
        for group in cgroups(home):
            _remove_cgroup(group)
        with contextlib.suppress(FileNotFoundError):
            (PROPAGATE / _machine_name(home)).rmdir()

    def tidy(self, directory: Path) -> None:
        """Unmount the roots that the containers of a lab shared."""
        for root in directory.glob(".root-*"):
            if root.is_mount():
                images.run("umount", str(root))
            root.rmdir()


def _version() -> int:
    """Return the version of this computer's systemd-nspawn, 0 if there is none."""
    try:
        shown = subprocess.run(["systemd-nspawn", "--version"], capture_output=True, text=True, check=False).stdout
    except FileNotFoundError:
        return 0
    found = re.match(r"systemd (\d+)", shown)
    return int(found[1]) if found else 0


def _raise_inotify_limit(count: int) -> None:
    """Let this computer run that many systemds."""
    needed = count * INOTIFY_INSTANCES_PER_HOST
    if int(INOTIFY_LIMIT.read_text()) < needed:
        INOTIFY_LIMIT.write_text(str(needed))


def _nspawn(home: Path, container: Host, root: Path) -> list[str]:
    return [
        *("systemd-nspawn", "--quiet", "--boot", "--register=no", "--keep-unit", f"--machine={_machine_name(home)}"),
        *("--volatile=overlay", "--read-only", f"--directory={root}", "--console=read-only"),
        *("--link-journal=no", "--resolv-conf=off", "--timezone=off"),
        f"--load-credential=tmpfiles.extra:{home}/credentials",
        # Arguments of the host's systemd. The second lets Debian 13's work on a computer whose cgroups are of version 1.
        *(f"systemd.hostname={container.name}", "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1"),
    ]


def _machine_name(home: Path) -> str:
    return f"memory-leak-lab-{home.parent.name}-{home.name}".replace("_", "-")  # as in the name of a host


def _mounted_root(directory: Path, container: Host) -> Path:
    """Return where the image of a container is mounted, read-only, once for all containers of the lab."""
    root = directory / f".root-{Path(container.image).name}"
    root.mkdir(exist_ok=True)
    if not root.is_mount():
        images.run("mount", "-t", "ext4", "-o", "loop,ro", f"{container.image}/disk.img", str(root))
    return root


def cgroups(home: Path) -> list[Path]:
    """Return the cgroups of a container, there or not: one in each hierarchy that is mounted."""
    mounts = [line.split() for line in Path("/proc/self/mounts").read_text().splitlines()]
    return [Path(fields[1]) / _machine_name(home) for fields in mounts if fields[2] in ("cgroup", "cgroup2")]


def _make_cgroups(home: Path) -> list[Path]:
    groups = cgroups(home)
    for group in groups:
        group.mkdir(exist_ok=True)
        for name in ("cpuset.cpus", "cpuset.mems"):  # of version 1 alone: empty there, and then nothing can run
            with contextlib.suppress(FileNotFoundError):
                if (group / "tasks").exists():
                    (group / name).write_text((group.parent / name).read_text())
    return groups


def _remove_cgroup(group: Path) -> None:
    """End what is in a cgroup and those below it, and remove them; the kernel may take a moment for the last process."""
    deadline = time.monotonic() + REMOVAL_TIMEOUT_S
    while group.exists():
        for processes in group.rglob("cgroup.procs"):
            with contextlib.suppress(OSError):
                for pid in processes.read_text().split():
                    os.kill(int(pid), signal.SIGKILL)
        try:
            for path, _directories, _files in os.walk(group, topdown=False):
                os.rmdir(path)  # noqa: PTH106 # as os.walk gives strings
        except OSError as error:
            if time.monotonic() > deadline:
                raise LabError(f"could not remove the cgroup {group}: {error}") from error
            time.sleep(0.02)
