"""A lab of QEMU virtual machines on this computer: up, down, and what is known of it.

A lab has a name and a directory, with a key and known host keys of its own (`key`, `key.pub`, `known_hosts`) and a directory
for each machine: `machine.json` (a Machine), `disk.qcow2` (what the guest wrote), `console.log` and `qemu.pid`. Everything
is found again from there, so a run that was killed leaves nothing that the next one can't see.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from memory_leak_lab.lab import acceleration, images
from memory_leak_lab.lab.images import LabError

# The command that each tool is found by, and its package on Debian and Ubuntu.
TOOLS = {
    "qemu-system-x86_64": "qemu-system-x86",
    "qemu-img": "qemu-utils",
    "mmdebstrap": "mmdebstrap",
    "genext2fs": "genext2fs",
    "resize2fs": "e2fsprogs",
    "newuidmap": "uidmap",
    "ssh": "openssh-client",
    "xz": "xz-utils",
}
# Besides root those that recipe/customize.sh makes: both may become root by sudo, the trainer with a password.
USERS = ("root", "admin", "trainer")
BOOT_TIMEOUT_S = 180
STOP_TIMEOUT_S = 10
Report = Callable[[str], None]


@dataclass(frozen=True)
class Machine:
    """One virtual machine of a lab: what it was made from, and how to reach it."""

    name: str
    release: str
    user: str
    memory_mib: int
    image: str
    port: int


def lab_directory(name: str) -> Path:
    """Return the directory of a lab, whether it exists or not. Raises LabError for a name that is none."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,39}", name):
        raise LabError(f"lab_name is {name!r}: it must be up to 40 lower-case letters, digits and '-'")
    state = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state")
    return state / "memory-leak-lab" / name


def up(name: str, count: int, releases: list[str], users: list[str], memory_mib: int, report: Report) -> list[str]:
    """Bring a lab of `count` machines up and return the names of those that had to be started.

    Releases and users are dealt out in turn. A machine that runs as asked for is left alone. Raises LabError.
    """
    directory = lab_directory(name)
    _check(count, releases, users, memory_mib)
    with ThreadPoolExecutor() as pool:
        image_of = dict(zip(releases, pool.map(lambda release: images.ensure(release, report), releases), strict=True))
    accelerator = acceleration.options(next(iter(image_of.values())) / "kernel")
    with _locked(directory):
        _make_key(directory)
        wanted = list(_wanted(count, releases, users, memory_mib, image_of))
        running = {machine.name: machine for machine in machines(name)}
        kept = [machine for machine in running.values() if any(_same(machine, other) for other in wanted)]
        for home in _homes(directory):
            if home.name not in {machine.name for machine in kept}:
                _forget(home)
        started = [machine for machine in wanted if not any(_same(machine, other) for other in kept)]
        began = time.monotonic()
        if started:
            report(
                f"booting {', '.join(machine.name for machine in started)} ({'KVM' if 'kvm' in accelerator else 'emulated'})"
            )
        for machine in started:
            _start(directory, machine, accelerator)
        with ThreadPoolExecutor(max_workers=max(1, count)) as pool:
            for machine in pool.map(lambda machine: _wait_for_login(directory, machine), [*kept, *started]):
                report(f"{machine.name} lets {machine.user} in over ssh after {time.monotonic() - began:.0f} s")
    return [machine.name for machine in started]


def down(name: str) -> list[str]:
    """Stop the machines of a lab, forget all about it, and return the names of those that were there."""
    directory = lab_directory(name)
    if not directory.is_dir():
        return []
    with _locked(directory):
        homes = _homes(directory)
        for home in homes:
            _forget(home)
        shutil.rmtree(directory)
    return [home.name for home in homes]


def machines(name: str) -> list[Machine]:
    """Return the machines of a lab that are running, by name."""
    found = sorted(lab_directory(name).glob("*/machine.json"))
    return [Machine(**json.loads(file.read_text())) for file in found if _process(file.parent)]


def _homes(directory: Path) -> list[Path]:
    """Return the directories of a lab's machines, running or not, by name."""
    return sorted(path for path in directory.iterdir() if path.is_dir())


def _check(count: int, releases: list[str], users: list[str], memory_mib: int) -> None:
    for variable, values, allowed in (("lab_releases", releases, tuple(images.RELEASES)), ("lab_users", users, USERS)):
        if not values or len(set(values)) < len(values) or set(values) - set(allowed):
            raise LabError(
                f"{variable} is {values!r}: it must hold each of {', '.join(allowed)} once at most, and one at least"
            )
    for variable, value, low, high in (("lab_host_count", count, 1, 20), ("lab_memory_mib", memory_mib, 256, 65536)):
        if not low <= value <= high:
            raise LabError(f"{variable} is {value}: it must be from {low} to {high}")
    missing = sorted({package for tool, package in TOOLS.items() if not shutil.which(tool, path=images.tool_path())})
    if not Path(images.KEYRING).exists():
        missing.append("debian-archive-keyring")
    if missing:
        raise LabError(f"the lab needs packages that are not installed: apt-get install {' '.join(missing)}")


@contextlib.contextmanager
def _locked(directory: Path) -> Iterator[None]:
    with images.locked(directory.with_suffix(".lock")):
        directory.mkdir(mode=0o700, exist_ok=True)
        yield


def _make_key(directory: Path) -> None:
    if not (directory / "key.pub").exists():
        (directory / "key").unlink(missing_ok=True)
        images.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", "memory-leak-lab", "-f", str(directory / "key"))


def _wanted(
    count: int, releases: list[str], users: list[str], memory_mib: int, image_of: dict[str, Path]
) -> Iterator[Machine]:
    for number in range(count):
        release = releases[number % len(releases)]
        round_number = number // len(releases)
        name = images.RELEASES[release] + (f"-{round_number + 1}" if round_number else "")
        yield Machine(name, release, users[number % len(users)], memory_mib, str(image_of[release]), port=0)


def _same(one: Machine, other: Machine) -> bool:
    return asdict(one) | {"port": 0} == asdict(other) | {"port": 0}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def _start(directory: Path, machine: Machine, accelerator: list[str]) -> None:
    """Start a machine; another port is tried where one is taken between the look and the start."""
    home = directory / machine.name
    home.mkdir()
    images.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", machine.name, "-f", str(home / "host_key"))
    images.run(
        "qemu-img",
        "create",
        "-q",
        "-f",
        "qcow2",
        "-F",
        "raw",
        "-b",
        f"{machine.image}/disk.img",
        str(home / "disk.qcow2"),
    )
    (home / "credentials").write_text(_credentials(directory, home))
    host_key = " ".join((home / "host_key.pub").read_text().split()[:2])
    for attempt in (1, 2, 3):
        machine = Machine(**asdict(machine) | {"port": _free_port()})
        (home / "machine.json").write_text(json.dumps(asdict(machine)))
        with (directory / "known_hosts").open("a") as known_hosts:
            known_hosts.write(f"[127.0.0.1]:{machine.port} {host_key}\n")
        try:
            images.run(*_qemu(home, machine, accelerator))
        except LabError as error:
            if attempt == 3 or "host forwarding" not in str(error):
                raise
        else:
            break


def _credentials(directory: Path, home: Path) -> str:
    """Return an SMBIOS string from which the guest's systemd-tmpfiles writes its ssh keys and its name, early at boot."""
    files = (
        ("/etc/ssh/ssh_host_ed25519_key", "0600", (home / "host_key").read_bytes()),
        ("/etc/ssh/lab_authorized_keys", "0644", (directory / "key.pub").read_bytes()),
        ("/etc/hosts", "0644", f"127.0.0.1 localhost {home.name}\n".encode()),
    )
    lines = [f"f+~ {path} {mode} root root - {base64.b64encode(content).decode()}\n" for path, mode, content in files]
    return "io.systemd.credential.binary:tmpfiles.extra=" + base64.b64encode("".join(lines).encode()).decode()


def _qemu(home: Path, machine: Machine, accelerator: list[str]) -> list[str]:
    command_line = (
        f"root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 panic=-1 net.ifnames=0 systemd.hostname={machine.name} "
        # Messages on the console, self-tests and hardening only cost an emulated guest time.
        "loglevel=3 systemd.show_status=false cryptomgr.notests mitigations=off audit=0 lsm="
    )
    return [
        *("qemu-system-x86_64", *accelerator, "-m", str(machine.memory_mib)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *("-drive", f"if=none,id=disk,file={home}/disk.qcow2,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "nvme,drive=disk,serial=lab"),
        *(
            "-netdev",
            f"user,id=net,hostfwd=tcp:127.0.0.1:{machine.port}-:22",
            "-device",
            "virtio-net-pci,netdev=net,romfile=",
        ),
        *("-device", "virtio-rng-pci"),
        *("-kernel", f"{machine.image}/kernel", "-append", command_line),
        *("-serial", f"file:{home}/console.log", "-smbios", f"type=11,path={home}/credentials"),
        *("-pidfile", f"{home}/qemu.pid", "-daemonize"),
    ]


def _wait_for_login(directory: Path, machine: Machine) -> Machine:
    """Wait until the machine lets its user in, and return it with its port. Raises LabError with the console's end."""
    home = directory / machine.name
    machine = Machine(**json.loads((home / "machine.json").read_text()))
    deadline = time.monotonic() + BOOT_TIMEOUT_S
    while time.monotonic() < deadline and _process(home):
        # QEMU accepts connections before the guest listens: wait for the server's own greeting.
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", machine.port), timeout=1) as connection,
        ):
            if connection.recv(4) == b"SSH-" and _can_log_in(directory, machine):
                return machine
        time.sleep(0.1)
    console = (home / "console.log").read_text(errors="replace").splitlines()[-10:]
    raise LabError(
        f"{machine.name} did not answer ssh within {BOOT_TIMEOUT_S} s. Its console ends:\n" + "\n".join(console)
    )


def _can_log_in(directory: Path, machine: Machine) -> bool:
    """Tell whether the user gets in: systemd turns all but root away until the guest is up."""
    options = [
        f"-oUserKnownHostsFile={directory}/known_hosts",
        f"-i{directory}/key",
        "-oBatchMode=yes",
        "-oConnectTimeout=10",
    ]
    command = ["ssh", "-F", "none", *options, f"-p{machine.port}", f"{machine.user}@127.0.0.1", "true"]
    return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def _process(home: Path) -> int | None:
    """Return the PID of a machine's QEMU, or None. The PID file alone proves nothing: the command line must name the disk."""
    try:
        pid = int((home / "qemu.pid").read_text())
        arguments = Path(f"/proc/{pid}/cmdline").read_text()
    except (OSError, ValueError):
        return None
    return pid if f"file={home}/disk.qcow2," in arguments else None


def _forget(home: Path) -> None:
    """Stop a machine, wait until it is gone, and remove its directory."""
    pid = _process(home)
    if pid:
        handle = os.pidfd_open(pid)
        try:
            if _process(home) == pid:
                signal.pidfd_send_signal(handle, signal.SIGKILL)  # its disk is thrown away
                deadline = time.monotonic() + STOP_TIMEOUT_S
                while _process(home) and time.monotonic() < deadline:
                    time.sleep(0.02)
        finally:
            os.close(handle)
        if _process(home):
            raise LabError(f"could not stop the virtual machine in {home} (PID {pid})")
    shutil.rmtree(home)
