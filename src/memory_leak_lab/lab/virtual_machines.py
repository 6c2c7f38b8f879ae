"""The driver `qemu`: hosts that are virtual machines of their own, run without root, on KVM where it works."""

from __future__ import annotations

import base64
from pathlib import Path

from memory_leak_lab.lab import acceleration, hosts, images
from memory_leak_lab.lab.hosts import Host

# The command that each tool is found by, and its package on Debian and Ubuntu.
TOOLS = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}
MOST_HOSTS = 20
# The post-quantum key exchange, sshd's default, costs an emulated machine a second.
SSHD_SETTINGS = "KexAlgorithms curve25519-sha256\n"
DESCRIPTION = "virtual machines"


def check(_count: int) -> None:
    """Raise LabError where this driver can't work: there is no such place if its tools are installed."""


def start(directory: Path, machines: list[Host]) -> None:
    """Start machines; they boot on their own. Raises LabError."""
    for machine in machines:
        home = hosts.write(directory, machine, SSHD_SETTINGS)
        backing = ("-F", "raw", "-b", f"{machine.image}/disk.img")
        images.run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(home / "disk.qcow2"))
        # QEMU takes the credential as a string of the virtual firmware's.
        content = base64.b64encode((home / "credentials").read_bytes()).decode()
        (home / "credentials").write_text(f"io.systemd.credential.binary:tmpfiles.extra={content}")
        images.run(*_qemu(home, machine))


def _qemu(home: Path, machine: Host) -> list[str]:
    command_line = (
        f"root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 panic=-1 net.ifnames=0 systemd.hostname={machine.name} "
        # Messages on the console, self-tests and hardening only cost an emulated guest time.
        "loglevel=3 systemd.show_status=false cryptomgr.notests mitigations=off audit=0 lsm= module_blacklist=autofs4"
    )
    network = f"user,id=net,hostfwd=tcp:127.0.0.1:{machine.port}-:22"
    return [
        *("qemu-system-x86_64", *acceleration.options(Path(machine.image) / "kernel"), "-m", str(machine.memory_mib)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-drive", f"if=none,id=disk,file={home}/disk.qcow2,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "nvme,drive=disk,serial=lab"),
        *("-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
        *("-kernel", f"{machine.image}/kernel", "-append", command_line),
        *("-serial", f"file:{home}/console.log", "-smbios", f"type=11,path={home}/credentials"),
        *("-pidfile", f"{home}/pid", "-daemonize"),
    ]


def main_process(pid: int) -> int:
    """Return the PID of the process whose end is the machine's end, given that of QEMU: QEMU itself."""
    return pid


def clean(_home: Path) -> None:
    """Remove what a machine that is gone left outside its directory: nothing."""


def tidy(_directory: Path) -> None:
    """Remove what the machines of a lab shared: nothing."""
