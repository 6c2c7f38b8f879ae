"""State of a lab's hosts, independent of the driver.

A lab has a name and a directory with its own key and known host keys (`key`, `key.pub`, `known_hosts`) and a directory for each
host: `host.json` (a Host), `host_key`, `credentials` (the files that the host gets at boot), `console.log` and `pid` (of the
process that is the host). All state is read from there, so the next run sees everything that a killed run left behind.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import re
import signal
import socket
import subprocess
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from memory_leak_lab.lab import images
from memory_leak_lab.lab.errors import HostHangsError, LabError

# recipe/customize.sh creates admin (sudo without a password) and trainer (sudo with a password).
USERS = ("root", "admin", "trainer")
LOOPBACK = "127.0.0.1"
# Below Linux's ephemeral ports, so that no outgoing connection takes a port before its host listens there.
PORTS = range(20000, 32768)
BOOT_TIMEOUT_S = 180
STOP_TIMEOUT_S = 10
EXEC_S = 0.05


@dataclass(frozen=True)
class Host:
    """One host of a lab: what it was created from, and how to reach it."""

    name: str
    driver: str
    release: str
    user: str
    memory_mib: int
    image: str
    address: str = ""  # address and port are set when its driver has placed it
    port: int = 0

    def unplaced(self) -> Host:
        """Return this host without its endpoint, to compare hosts by what they were created from."""
        return replace(self, address="", port=0)


def lab_directory(name: str) -> Path:
    """Return the directory of a lab, whether it exists or not. Raises LabError if the name is invalid."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9_-]{0,39}", name):
        raise LabError(f"lab_name is {name!r}: it must be up to 40 lower-case letters, digits, '-' and '_'")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "memory-leak-lab" / name


def homes(directory: Path) -> list[Path]:
    """Return the directories of a lab's hosts, running or not, sorted by name."""
    return sorted(path for path in directory.iterdir() if path.is_dir() and not path.name.startswith("."))


def load(home: Path) -> Host:
    """Return the host that a directory belongs to. Raises LabError if a killed run left no valid host.json."""
    try:
        older: dict[str, Any] = {"address": LOOPBACK}  # not recorded by version 0.1.0
        return Host(**older | json.loads((home / "host.json").read_text()))
    except (OSError, TypeError, ValueError) as error:
        raise LabError(f"{home} contains no valid host.json: {error}") from error


def running(name: str) -> list[Host]:
    """Return the running hosts of a lab, sorted by name."""
    directory = lab_directory(name)
    return [load(home) for home in homes(directory) if process(home)] if directory.is_dir() else []


def process(home: Path) -> int | None:
    """Return the PID of a host, or None. The PID file is not trusted: the command line must name the directory."""
    try:
        pid = int((home / "pid").read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
        if not arguments:  # it has exited, or is about to exec another program
            time.sleep(EXEC_S)
            arguments = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return pid if f"{home}/credentials" in arguments else None


def kill(home: Path, pid: int) -> None:
    """Kill a process of a host and wait until the host is gone. Raises LabError after STOP_TIMEOUT_S."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if process(home):  # otherwise the PID may have been reused
                signal.pidfd_send_signal(handle, signal.SIGKILL)  # no clean shutdown: the disk is discarded
        finally:
            os.close(handle)
    deadline = time.monotonic() + STOP_TIMEOUT_S
    while process(home):
        if time.monotonic() > deadline:
            raise LabError(f"could not stop the host in {home} (PID {pid})")
        time.sleep(0.02)


def make_key(path: Path, comment: str) -> str:
    """Create an SSH key pair unless it exists, and return the public key without its comment."""
    if not path.with_suffix(".pub").exists():
        path.unlink(missing_ok=True)
        images.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", comment, "-f", str(path))
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def free_ports(count: int) -> list[int]:
    """Return `count` free ports of the loopback interface."""
    found: list[int] = []
    for port in random.sample(PORTS, len(PORTS)):
        if len(found) == count:
            break
        with socket.socket() as listener, contextlib.suppress(OSError):
            listener.bind((LOOPBACK, port))
            found.append(port)
    return found


def write(directory: Path, host: Host, sshd_settings: str) -> Path:
    """Create a host's directory with everything that it gets at boot, and return it."""
    home = directory / host.name
    home.mkdir()
    host_key = make_key(home / "host_key", host.name)
    files = (
        ("/etc/ssh/ssh_host_ed25519_key", "0600", (home / "host_key").read_bytes()),
        ("/etc/ssh/lab_authorized_keys", "0644", (directory / "key.pub").read_bytes()),
        ("/etc/ssh/sshd_config.d/driver.conf", "0644", sshd_settings.encode()),
        ("/etc/hosts", "0644", f"127.0.0.1 localhost {host.name}\n".encode()),
    )
    # The host's systemd-tmpfiles writes these files early at boot.
    lines = [f"f+~ {path} {mode} root root - {base64.b64encode(content).decode()}\n" for path, mode, content in files]
    (home / "credentials").write_text("".join(lines))
    (home / "host.json").write_text(json.dumps(asdict(host)))
    with (directory / "known_hosts").open("a") as known_hosts:
        known_hosts.write(f"[{host.address}]:{host.port} {host_key}\n")
    return home


def wait_for_login(directory: Path, host: Host) -> None:
    """Wait until a host accepts its user's login. Raises HostHangsError on timeout, LabError if the host exits."""
    home = directory / host.name
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < deadline and process(home):
        # QEMU accepts connections before the guest listens: wait for sshd's banner.
        with contextlib.suppress(OSError), socket.create_connection((host.address, host.port), timeout=1) as connection:
            if connection.recv(4) == b"SSH-" and _can_log_in(directory, host):
                return
        time.sleep(0.1)
    console = (home / "console.log").read_text(errors="replace").splitlines()[-10:]
    ending = "Its console ends:\n" + "\n".join(console)
    if process(home):
        raise HostHangsError(f"{host.name} did not answer ssh within {BOOT_TIMEOUT_S} s. {ending}")
    raise LabError(f"{host.name} exited during boot. {ending}")


def _can_log_in(directory: Path, host: Host) -> bool:
    """Return whether the user can log in: systemd rejects everyone except root until the host is up."""
    options = [
        f"-oUserKnownHostsFile={directory}/known_hosts",
        f"-i{directory}/key",
        "-oBatchMode=yes",
        "-oConnectTimeout=10",
    ]
    command = ["ssh", "-F", "none", *options, f"-p{host.port}", f"{host.user}@{host.address}", "true"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0
