"""Disk images for the lab's hosts, built by mmdebstrap and cached outside the checkout.

An image is a directory with `disk.img` (a bare ext4-mountable file system, sparse, DISK_SIZE_BYTES), `kernel` and
`packages.txt` (installed packages with versions). Its name contains a digest of the recipe: a new recipe makes a new image.
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
# ELF note XEN_ELFNOTE_PHYS32_ENTRY: name length, value length, type, name.
PVH_ENTRY = re.compile(b"\x04\0\0\0[\x04\x08\x0c]\0\0\0\x12\0\0\0Xen\0")
RECIPE = Path(__file__).parent / "recipe"

NO_EXPIRY = 'Acquire::Check-Valid-Until "false"'
# Text in the log of a failed build -> what the user can do.
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
    """Package source: a mirror (empty: each release's own), and whether its index may have expired."""

    mirror: str = ""
    allow_expired: bool = False

    def mirror_of(self, release: str) -> str:
        """Return the mirror to use for a release."""
        return self.mirror or RELEASES[release].mirror


DEFAULT_SOURCE = Source()


def tool_path() -> str:
    """Return PATH with the system directories that a user's PATH may lack."""
    return os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"])


def run(*command: str) -> None:
    """Run a command. Raises LabError with its output if it fails."""
    environment = {**os.environ, "PATH": tool_path()}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, env=environment, check=False
    )
    if done.returncode:
        raise LabError(f"{command[0]} failed: {(done.stderr or done.stdout).strip()}")


def cache_directory() -> Path:
    """Return the directory for what can be rebuilt: images and facts about this computer."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memory-leak-lab"


def recipe(release: str) -> list[str]:
    """Return the mmdebstrap options that build an image of a release, without its outputs."""
    # Pass the hooks as text: an unprivileged mmdebstrap may be unable to read the checkout.
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
    """Return the digest of the recipe, which distinguishes the images of a release."""
    parts = [release, source.mirror_of(release), DISK_SIZE_BYTES, recipe(release), "unpacked kernel"]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:12]


def ensure(release: str, report: Callable[[str], None], source: Source = DEFAULT_SOURCE) -> Path:
    """Return the image of a release; build it first if it is not cached. Raises LabError."""
    images = cache_directory() / "images"
    name = f"{release}-{digest(release, source)}"
    if (images / name).is_dir():
        return images / name
    with locked(images / f".{release}.lock"):
        if not (images / name).is_dir():  # otherwise another run has just built it
            report(f"building the image of {release}, once; it takes about a minute")
            # Leftovers of outdated recipes and killed builds.
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
    """Hold an exclusive lock on a file; wait while another process holds it."""
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
        # mmdebstrap leaves its apt options in the image: delete this one there.
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
    """Unpack a kernel in place if QEMU can boot it unpacked: an emulated machine unpacks zstd slowly.

    A kernel that is not packed with zstd, or has no PVH entry point for QEMU, is left unchanged. Raises LabError.
    """
    image = kernel.read_bytes()
    # Header of Linux's x86 boot protocol: offset and length of the packed kernel, whose last 4 bytes hold the unpacked size.
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
    """Return advice if mmdebstrap's log shows a known cause, else an empty string."""
    text = log.read_text(errors="replace")
    return next((f" ({advice})" for sign, advice in ADVICE.items() if sign in text), "")


def _tail(log: Path) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-15:])
