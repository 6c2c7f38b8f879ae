"""Whether this computer can run guests on KVM, found by booting a real kernel."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from memory_leak_lab.lab import images

PROBE_TIMEOUT_S = 5
KVM = ["-accel", "kvm", "-cpu", "host"]
# A small translation cache: the guests run little code, and a fleet's caches add up. Without cx16, since QEMU 7.2 emulates
# cmpxchg16b with wrong flags now and then, at which a Linux 6.12 guest dies in its memory allocator. With room for a second
# processor, which never comes: before QEMU 8.1 a guest that can have only one runs without its memory barriers, though its
# devices work in a thread beside it.
TCG = ["-accel", "tcg,thread=multi,tb-size=128", "-cpu", "qemu64,-cx16", "-smp", "1,maxcpus=2"]


def options(kernel: Path) -> list[str]:
    """Return QEMU's options for the fastest acceleration that works here."""
    return KVM if kvm_works(kernel) else TCG


def kvm_works(kernel: Path) -> bool:
    """Tell whether a guest kernel really starts under KVM. The answer is kept until the computer reboots.

    The device alone says too little: under some hypervisors /dev/kvm is there, and even runs a boot sector, but a kernel hangs.
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
    """Boot the kernel with no root file system and look for its first line on the serial console."""
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
