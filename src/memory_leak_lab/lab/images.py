"""Disk images for the lab's virtual machines, built by mmdebstrap and cached outside the checkout.

An image is a directory with `disk.img` (a bare ext4-mountable file system, sparse, DISK_SIZE_BYTES), `kernel` and
`packages.txt` (what was installed, with versions). Its name holds a digest of the recipe: a new recipe makes a new image.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

RELEASES = {"bookworm": "debian12", "trixie": "debian13"}
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DISK_SIZE_BYTES = 3 * 1024**3
# User names to log in as besides root; both may become root by sudo, the trainer with this password.
SUDO_USER, PASSWORD_USER, PASSWORD = "admin", "trainer", "lab-trainer"

PACKAGES = (
    "dbus",
    "iproute2",
    "linux-image-cloud-amd64",
    "openssh-server",
    "procps",
    "python3",
    "sudo",
    "systemd-sysv",
    "udev",
)
# Units that a guest of minutes can do without; emulated, each costs time at boot.
MASKED_UNITS = (
    "apt-daily-upgrade.timer",
    "apt-daily.timer",
    "console-getty.service",
    "dev-hugepages.mount",
    "dev-mqueue.mount",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "getty@.service",
    "kmod-static-nodes.service",
    "ldconfig.service",
    "modprobe@.service",
    "proc-sys-fs-binfmt_misc.automount",
    "run-lock.mount",
    "serial-getty@.service",
    "sys-fs-fuse-connections.mount",
    "sys-kernel-debug.mount",
    "sys-kernel-tracing.mount",
    "systemd-binfmt.service",
    "systemd-hostnamed.socket",
    "systemd-hwdb-update.service",
    "systemd-journal-catalog-update.service",
    "systemd-journal-flush.service",
    "systemd-logind.service",
    "systemd-modules-load.service",
    "systemd-network-generator.service",
    "systemd-networkd-persistent-storage.service",
    "systemd-pcrphase-sysinit.service",
    "systemd-pcrphase.service",
    "systemd-pstore.service",
    "systemd-random-seed.service",
    "systemd-remount-fs.service",
    "systemd-sysctl.service",
    "systemd-sysusers.service",
    "systemd-timesyncd.service",
    "systemd-udev-load-credentials.service",
    "systemd-udev-trigger.service",
    "systemd-udevd-control.socket",
    "systemd-udevd-kernel.socket",
    "systemd-udevd-varlink.socket",
    "systemd-udevd.service",
    "systemd-update-done.service",
    "systemd-update-utmp-runlevel.service",
    "systemd-update-utmp.service",
)
FILES = {
    # QEMU's user-mode network is always the same, so the guest neither asks for an address nor waits for udev.
    "/etc/systemd/system/lab-network.service": (
        "[Unit]\nDescription=Static network of the lab\nDefaultDependencies=no\nBefore=network.target\n\n"
        "[Service]\nType=oneshot\nRemainAfterExit=yes\n"
        "ExecStart=/sbin/modprobe --all virtio_pci virtio_net virtio_rng\n"
        "ExecStart=/bin/ip link set lo up\n"
        "ExecStart=/bin/ip address add 10.0.2.15/24 dev eth0\n"
        "ExecStart=/bin/ip link set eth0 up\n"
        "ExecStart=/bin/ip route add default via 10.0.2.2\n\n"
        "[Install]\nWantedBy=sysinit.target\n"
    ),
    # The keys themselves arrive at boot, see virtual_machines.
    "/etc/ssh/sshd_config.d/lab.conf": (
        "AuthorizedKeysFile /etc/ssh/lab_authorized_keys\nHostKey /etc/ssh/ssh_host_ed25519_key\nPasswordAuthentication no\nUseDNS no\n"
        "KexAlgorithms curve25519-sha256\n"  # the post-quantum default costs an emulated guest a second
    ),
    "/etc/sudoers.d/lab": f"{SUDO_USER} ALL=(ALL) NOPASSWD: ALL\n{PASSWORD_USER} ALL=(ALL) ALL\n",
}
# The root disk needs no module, so the guests boot without an initrd and none is made.
BEFORE_PACKAGES = (
    'mkdir -p "$1/etc/initramfs-tools" && echo update_initramfs=no > "$1/etc/initramfs-tools/update-initramfs.conf"',
)
AFTER_PACKAGES = (
    f'chroot "$1" useradd --create-home --shell /bin/bash {SUDO_USER}',
    f'chroot "$1" useradd --create-home --shell /bin/bash {PASSWORD_USER}',
    f'echo {PASSWORD_USER}:{PASSWORD} | chroot "$1" chpasswd',
    'rm -f "$1"/etc/ssh/ssh_host_*',
    'chroot "$1" systemctl --quiet enable lab-network.service ssh.service',
    f'chroot "$1" systemctl --quiet mask {" ".join(MASKED_UNITS)}',
    # Unit generators have nothing to do here, and unpacking kernel modules takes an emulated guest seconds.
    'mkdir -p "$1/etc/systemd/system-generators" && for generator in "$1"/usr/lib/systemd/system-generators/*; do '
    'ln -s /dev/null "$1/etc/systemd/system-generators/${generator##*/}"; done',
    'find "$1"/usr/lib/modules/ -name "*.ko.xz" -exec xz --decompress {} + && '
    'for version in "$1"/usr/lib/modules/*; do chroot "$1" depmod "${version##*/}"; done',
    'chroot "$1" dpkg-query --show > "$1/packages.txt"',
)


class LabError(Exception):
    """Something the lab needs is missing or did not work; the message says what, and what to do."""


def tool_path() -> str:
    """Return PATH with the system directories that a user's own may lack."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def run(*command: str) -> None:
    """Run a command to its end. Raises LabError with what it said if it fails."""
    environment = {**os.environ, "PATH": tool_path()}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False)
    if done.returncode:
        raise LabError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")


def cache_directory() -> Path:
    """Return the directory for what can be built again: images and what is known about this computer."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memory-leak-lab"


def recipe(release: str) -> list[str]:
    """Return the mmdebstrap options that make an image of a release, without its outputs."""
    options = ["--variant=minbase", "--format=ext2", "--architectures=amd64", f"--keyring={KEYRING}"]
    options.append(f"--include={','.join(PACKAGES)}")
    options.append('--aptopt=APT::Install-Recommends "false"')
    options += ["--dpkgopt=force-unsafe-io", "--dpkgopt=force-confold"]
    options += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")]
    options += [f"--essential-hook={hook}" for hook in BEFORE_PACKAGES]
    for path, content in FILES.items():
        mode = "0440" if "sudoers" in path else "0644"
        options.append(f"--customize-hook=printf %s {_quoted(content)} > \"$1{path}\" && chmod {mode} \"$1{path}\"")
    options += [f"--customize-hook={hook}" for hook in AFTER_PACKAGES]
    return options


def _quoted(text: str) -> str:
    return "'" + text + "'"


def digest(release: str) -> str:
    """Return what tells images of a release apart: a digest of the recipe."""
    parts = [release, MIRROR, DISK_SIZE_BYTES, recipe(release)]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def ensure(release: str, report: Callable[[str], None]) -> Path:
    """Return the image of a release, building it first where it is not in the cache. Raises LabError."""
    images = cache_directory() / "images"
    image = images / f"{release}-{digest(release)}"
    if image.is_dir():
        return image
    report(f"building the image of {release}, which takes about a minute, once")
    images.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{release}-", dir=images) as work:
        _build(release, Path(work))
        try:
            os.rename(work, image)
        except OSError:
            if not image.is_dir():  # else another run was faster
                raise
        else:
            Path(work).mkdir()  # for the clean-up of TemporaryDirectory
    for outdated in images.glob(f"{release}-*"):
        if outdated != image:
            shutil.rmtree(outdated)
    report(f"the image of {release} is ready")
    return image


def _build(release: str, work: Path) -> None:
    disk = work / "disk.img"
    outputs = [f"--customize-hook=download /vmlinuz {work}/kernel", f"--customize-hook=download /packages.txt {work}/packages.txt"]
    log = work / "build.log"
    with log.open("wb") as output:
        command = ["mmdebstrap", *recipe(release), *outputs, release, str(disk), MIRROR]
        built = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, start_new_session=True)
    if built.returncode:
        raise LabError(f"mmdebstrap could not build the image of {release}:\n{_tail(log)}")
    os.truncate(disk, DISK_SIZE_BYTES)
    run("resize2fs", str(disk))
    work.chmod(0o755)


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
