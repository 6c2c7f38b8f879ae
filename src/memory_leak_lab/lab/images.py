"""Disk images for the lab's virtual machines, built by mmdebstrap and cached outside the checkout.

An image is a directory with `disk.img` (a bare ext4-mountable file system, sparse, DISK_SIZE_BYTES), `kernel` and
`packages.txt` (what was installed, with versions). Its name holds a digest of the recipe: a new recipe makes a new image.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from memory_leak_lab.lab.errors import LabError
from memory_leak_lab.lab.releases import RELEASES

KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
DISK_SIZE_BYTES = 3 * 1024**3
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# The ELF note XEN_ELFNOTE_PHYS32_ENTRY: lengths of its name and its value, its type, its name.
PVH_ENTRY = re.compile(b"\x04\0\0\0[\x04\x08\x0c]\0\0\0\x12\0\0\0Xen\0")
RECIPE = Path(__file__).parent / "recipe"

NO_EXPIRY = 'Acquire::Check-Valid-Until "false"'
# What in the log of a failed build tells its cause, and what the user can do.
ADVICE = {
    "is expired": "the mirror is an old snapshot; lab_allow_expired_mirror=true accepts it",
    "NO_PUBKEY": "the package debian-archive-keyring on this computer is older than the release's keys: upgrade it",
}

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


@dataclass(frozen=True)
class Source:
    """Where packages come from: a mirror, or each release's own where that is empty; may its index have expired?"""

    mirror: str = ""
    allow_expired: bool = False

    def mirror_of(self, release: str) -> str:
        """Return the mirror for a release."""
        return self.mirror or RELEASES[release].mirror


DEFAULT_SOURCE = Source()


def tool_path() -> str:
    """Return PATH with the system directories that a user's own may lack."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def run(*command: str) -> None:
    """Run a command to its end. Raises LabError with what it said if it fails."""
    environment = {**os.environ, "PATH": tool_path()}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise LabError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")


def cache_directory() -> Path:
    """Return the directory for what can be built again: images and what is known about this computer."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memory-leak-lab"


def recipe(release: str) -> list[str]:
    """Return the mmdebstrap options that make an image of a release, without its outputs."""
    # The hooks go as text: an unprivileged mmdebstrap may not read the checkout.
    units = " ".join((RECIPE / "masked-units").read_text().split())
    customize = (RECIPE / "customize.sh").read_text().replace("@MASKED_UNITS@", units)
    hooks = [customize]
    if not RELEASES[release].reads_credentials:
        hooks.append((RECIPE / "read-credentials.sh").read_text())
    return [
        *("--variant=minbase", "--format=ext2", "--architectures=amd64", f"--keyring={KEYRING}"),
        f"--include={','.join(PACKAGES)}",
        '--aptopt=APT::Install-Recommends "false"',
        *("--dpkgopt=force-unsafe-io", "--dpkgopt=force-confold"),
        *(f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in ("doc", "man", "locale")),
        f"--essential-hook={(RECIPE / 'before-packages.sh').read_text()}",
        *(f"--customize-hook={hook}" for hook in hooks),
    ]


def digest(release: str, source: Source = DEFAULT_SOURCE) -> str:
    """Return what tells images of a release apart: a digest of the recipe."""
    parts = [release, source.mirror_of(release), DISK_SIZE_BYTES, recipe(release), "unpacked kernel"]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def ensure(release: str, report: Callable[[str], None], source: Source = DEFAULT_SOURCE) -> Path:
    """Return the image of a release, building it first where it is not in the cache. Raises LabError."""
    images = cache_directory() / "images"
    name = f"{release}-{digest(release, source)}"
    if (images / name).is_dir():
        return images / name
    with locked(images / f".{release}.lock"):
        if not (images / name).is_dir():  # else another run was building it
            report(f"building the image of {release}, which takes about a minute, once")
            # Whatever is left is of an outdated recipe, or of a build that was killed.
            for outdated in [*images.glob(f"{release}-*"), *images.glob(f".{release}-*")]:
                shutil.rmtree(outdated)
            work = images / f".{name}"
            work.mkdir()
            _build(release, source, work)
            work.rename(images / name)
            report(f"the image of {release} is ready")
    return images / name


@contextlib.contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock that a file stands for, waiting for whoever else holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _build(release: str, source: Source, work: Path) -> None:
    disk = work / "disk.img"
    outputs = [
        f"--customize-hook=download /vmlinuz {work}/kernel",
        f"--customize-hook=download /packages.txt {work}/packages.txt",
    ]
    if source.allow_expired:
        # What mmdebstrap tells apt it also leaves in the image.
        options = "/etc/apt/apt.conf.d/99mmdebstrap"
        outputs += [f"--aptopt={NO_EXPIRY}", f"--customize-hook=sed --in-place '/Valid-Until/d' \"$1{options}\""]
    log = work / "build.log"
    with log.open("wb") as output:
        command = ["mmdebstrap", *recipe(release), *outputs, release, str(disk), source.mirror_of(release)]
        built = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, check=False, start_new_session=True
        )
    if built.returncode:
        raise LabError(f"mmdebstrap could not build the image of {release}{_cause(log)}:\n{_tail(log)}")
    os.truncate(disk, DISK_SIZE_BYTES)
    run("resize2fs", str(disk))
    unpack(work / "kernel")


def unpack(kernel: Path) -> None:
    """Unpack a kernel in place where QEMU can start it unpacked: an emulated machine is slow at unpacking zstd.

    A kernel packed otherwise, or without the entry that QEMU starts an unpacked one by, is left as it is. Raises LabError.
    """
    image = kernel.read_bytes()
    # The header of Linux's x86 boot protocol: where the packed kernel begins, and its length with that of the unpacked one.
    offset, length = struct.unpack_from("<II", image, 0x248)
    begin = (image[0x1F1] + 1) * 512 + offset
    packed = image[begin : begin + length - 4]
    if not packed.startswith(ZSTD_MAGIC):
        return
    unpacked = subprocess.run(["zstd", "--decompress", "--stdout"], input=packed, capture_output=True, check=False)
    if unpacked.returncode:
        raise LabError(f"zstd could not unpack {kernel}: {unpacked.stderr.decode()}")
    if PVH_ENTRY.search(unpacked.stdout):
        kernel.write_bytes(unpacked.stdout)


def _cause(log: Path) -> str:
    """Return what the user can do, where the log of mmdebstrap says why it failed."""
    text = log.read_text(errors="replace")
    return next((f" ({advice})" for sign, advice in ADVICE.items() if sign in text), "")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
