"""Read files with the permissions of a process's owner."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from memory_leak_host import owner_access, proc

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to switch users")
OWN = (os.geteuid(), os.getegid(), [os.getegid()])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return a world-readable file in world-searchable directories."""
    for directory in (tmp_path, *tmp_path.parents):
        if directory.is_relative_to("/tmp/pytest-of-root") and directory != Path("/tmp"):
            directory.chmod(0o755)
    path = tmp_path / "file"
    path.write_bytes(b"0123456789")
    path.chmod(0o644)
    return path


def test_read_supports_offsets_from_the_start_and_the_end(file: Path) -> None:
    for of in (OWN, owner_access.NOBODY):
        assert owner_access.read(str(file), 100, of) == b"0123456789"
        assert owner_access.read(str(file), 3, of, offset=2) == b"234"
        assert owner_access.read(str(file), 100, of, offset=-3) == b"789"
        assert owner_access.read(str(file), 100, of, offset=-300) == b"0123456789"


def test_files_that_the_owner_cannot_read_are_not_read(file: Path, tmp_path: Path) -> None:
    file.chmod(0o600)
    assert owner_access.read(str(file), 100, owner_access.NOBODY) is None
    assert owner_access.read("/etc/shadow", 100, owner_access.NOBODY) is None
    file.chmod(0o640)  # group root, which the child must have dropped
    assert owner_access.read(str(file), 100, owner_access.NOBODY) is None
    assert owner_access.read(str(file), 100, OWN) == b"0123456789"
    file.chmod(0o644)
    tmp_path.chmod(0o700)
    assert owner_access.read(str(file), 100, owner_access.NOBODY) is None


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    began = time.monotonic()
    for path in (tmp_path / "pipe", Path("/dev/zero"), tmp_path, tmp_path / "none"):
        assert owner_access.read(str(path), 100, OWN) is None
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("flags", [os.O_PATH, os.O_WRONLY])
def test_a_descriptor_of_an_unreadable_file_is_not_read(file: Path, flags: int) -> None:
    """A user's process may hold a file descriptor of a root-owned file."""
    file.chmod(0o622)
    descriptor = os.open(file, flags)
    process = subprocess.Popen(["sleep", "30"], stdout=descriptor, user=65534, group=65534, extra_groups=[])
    try:
        owner = owner_access.owner(process.pid)
        assert owner
        assert owner[0] == 65534
        assert owner_access.read(owner_access.stdout(process.pid), 100, owner) is None
        file.chmod(0o644)
        file.unlink()  # once deleted, it is only readable through the descriptor
        assert owner_access.read(owner_access.stdout(process.pid), 100, owner) == b"0123456789"
    finally:
        process.kill()
        process.wait()
        os.close(descriptor)


def test_a_blocking_read_times_out(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(owner_access, "TIMEOUT_S", 0.3)
    monkeypatch.setattr(owner_access, "_copy", lambda *_arguments: time.sleep(30))
    began = time.monotonic()
    assert owner_access.read(str(file), 100, OWN) is None
    assert time.monotonic() - began < 5


def test_an_ended_process_has_no_owner() -> None:
    assert owner_access.owner(2**22 + 1) is None
    found: Any = owner_access.owner(os.getpid())
    assert found[:2] == (os.geteuid(), os.getegid())


def test_a_path_is_resolved_in_the_root_of_the_process(file: Path, tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    inner = tmp_path / "root" / file.name
    inner.write_bytes(b"inside")
    assert owner_access.read(f"/{file.name}", 100, owner_access.NOBODY, root=str(tmp_path / "root")) == b"inside"
    (tmp_path / "root" / "link").symlink_to("/etc/passwd")
    assert owner_access.read("/link", 100, OWN, root=str(tmp_path / "root")) is None


@pytest.mark.parametrize(
    ("users", "groups", "expected"),
    [
        ("1000 1000 1000 1000", "100 100 100 100", (1000, 100, [100, 4])),
        ("1000 0 0 0", "100 0 0 0", (1000, 100, [100, 4])),  # setuid: the caller controls the arguments
        ("0 0 0 0", "0 0 0 0", (0, 0, [100, 4])),
    ],
)
def test_the_owner_is_the_user_who_started_the_process(
    monkeypatch: pytest.MonkeyPatch, users: str, groups: str, expected: owner_access.Owner
) -> None:
    status = f"Name:\tx\nUid:\t{users}\nGid:\t{groups}\nGroups:\t100 4\n"
    monkeypatch.setattr(proc, "text", lambda _path: status)
    assert owner_access.owner(1) == expected
