"""Detects whether KVM works on this computer, by booting a real kernel."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from memory_leak_lab.lab import images

PROBE_TIMEOUT_S = 5
KVM = ["-accel", "kvm", "-cpu", "host"]
# tb-size: a small translation cache, since guests run little code and the caches of a fleet add up.
# -cx16: QEMU 7.2 sometimes emulates cmpxchg16b with wrong flags, which crashes Linux 6.12 in its memory allocator.
# maxcpus=2: before QEMU 8.1 a guest limited to one CPU runs without memory barriers, although its devices use another thread.
TCG = ["-accel", "tcg,thread=multi,tb-size=128", "-cpu", "qemu64,-cx16", "-smp", "1,maxcpus=2"]


def options(kernel: Path) -> list[str]:
    """Return QEMU's options for the fastest acceleration that works here."""
    return KVM if kvm_works(kernel) else TCG


def kvm_works(kernel: Path) -> bool:
    """Return whether a guest kernel really boots under KVM. The answer is cached until the computer reboots.

    /dev/kvm alone proves nothing: under some hypervisors it exists and even runs a boot sector, but a kernel hangs.
    """
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return False
    boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    answer = images.cache_directory() / f"kvm-{boot_id}"
    if not answer.exists():
        works = _kernel_starts(kernel)
        for outdated in images.cache_directory().glob("kvm-*"):
            outdated.unlink()
        answer.write_text("yes" if works else "no")
    return answer.read_text() == "yes"


def _kernel_starts(kernel: Path) -> bool:
    """Boot the kernel without a root file system and wait for its first line on the serial console."""
    command = [
        "qemu-system-x86_64",
        *KVM,
        "-m",
        "256",
        "-nodefaults",
        "-no-user-config",
        "-display",
        "none",
        "-no-reboot",
    ]
    command += ["-kernel", str(kernel), "-append", "console=ttyS0 earlyprintk=serial panic=-1", "-serial", "stdio"]
    guest = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert guest.stdout
    os.set_blocking(guest.stdout.fileno(), False)
    console = b""
    deadline = time.monotonic() + PROBE_TIMEOUT_S
    try:
        while b"Linux version" not in console and guest.poll() is None and time.monotonic() < deadline:
            console += guest.stdout.read() or b""
            time.sleep(0.05)
        return b"Linux version" in console
    finally:
        guest.kill()
        guest.wait()
