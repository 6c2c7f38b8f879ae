"""Driver `qemu`: virtual machines, run without root, on KVM where it works."""

from __future__ import annotations

import base64
import json
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from memory_leak_lab.lab import acceleration, hosts, images
from memory_leak_lab.lab.drivers.base import Driver
from memory_leak_lab.lab.errors import LabError
from memory_leak_lab.lab.hosts import Host

# sshd's default, a post-quantum key exchange, takes an emulated machine a second.
SSHD_SETTINGS = "KexAlgorithms curve25519-sha256\n"
MONITOR_TIMEOUT_S = 10


class Qemu(Driver):
    """Virtual machines with their own kernel and memory. They need no root."""

    name = "qemu"
    description = "virtual machines"
    max_hosts = 20
    tools: ClassVar = {"qemu-system-x86_64": "qemu-system-x86", "qemu-img": "qemu-utils"}

    def check(self, releases: Sequence[str]) -> None:
        """Accept any computer that has the tools."""

    def start(self, directory: Path, started: Sequence[Host]) -> None:
        """Start the machines and return while they boot."""
        for machine in started:
            home = hosts.write(directory, machine, SSHD_SETTINGS)
            backing = ("-F", "raw", "-b", f"{machine.image}/disk.img")
            images.run("qemu-img", "create", "-q", "-f", "qcow2", *backing, str(home / "disk.qcow2"))
            # QEMU passes the credential as a string of the virtual firmware (SMBIOS).
            content = base64.b64encode((home / "credentials").read_bytes()).decode()
            (home / "credentials").write_text(f"io.systemd.credential.binary:tmpfiles.extra={content}")
            images.run(*_qemu(home, machine))

    def recover(self, home: Path) -> bool:
        """Press the machine's reset button: it reboots from its current disk."""
        reset(home)
        return True


def _qemu(home: Path, machine: Host) -> list[str]:
    command_line = (
        f"root=/dev/nvme0n1 rootfstype=ext4 rw console=ttyS0 panic=-1 net.ifnames=0 systemd.hostname={machine.name} "
        # Self-tests, hardening and messages below warnings only slow down an emulated guest.
        "loglevel=5 systemd.show_status=false cryptomgr.notests mitigations=off audit=0 lsm= module_blacklist=autofs4"
    )
    network = f"user,id=net,hostfwd=tcp:{machine.address}:{machine.port}-:22"
    return [
        *("qemu-system-x86_64", *acceleration.options(Path(machine.image) / "kernel"), "-m", str(machine.memory_mib)),
        *("-nodefaults", "-no-user-config", "-display", "none"),
        *("-drive", f"if=none,id=disk,file={home}/disk.qcow2,format=qcow2,cache=unsafe,discard=unmap"),
        *("-device", "nvme,drive=disk,serial=lab"),
        *("-netdev", network, "-device", "virtio-net-pci,netdev=net,romfile="),
        *("-device", "virtio-rng-pci"),
        *("-kernel", f"{machine.image}/kernel", "-append", command_line),
        *("-serial", f"file:{home}/console.log", "-smbios", f"type=11,path={home}/credentials"),
        *("-qmp", f"unix:{home}/monitor,server=on,wait=off", "-pidfile", f"{home}/pid", "-daemonize"),
    ]


def reset(home: Path) -> None:
    """Press the machine's reset button: it reboots from its current disk. Raises LabError."""
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(MONITOR_TIMEOUT_S)
            connection.connect(str(home / "monitor"))
            with connection.makefile("rw") as monitor:
                for command in ("qmp_capabilities", "system_reset"):
                    monitor.readline()  # the greeting, then the reply to the first command
                    monitor.write(json.dumps({"execute": command}) + "\n")
                    monitor.flush()
                monitor.readline()
    except OSError as error:
        raise LabError(f"could not reset the machine in {home}: {error}") from error
