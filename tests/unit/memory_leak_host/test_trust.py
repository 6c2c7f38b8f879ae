"""Paths that another user could redirect, and files that root cannot remove."""

from __future__ import annotations

import contextlib
import grp
import os
import pwd
import subprocess
from pathlib import Path

import pytest

from memory_leak_host import paths, trust

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to change owners")


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """Return a directory that tests make writable for others."""
    shared = tmp_path / "shared"
    shared.mkdir()
    return shared


def test_a_directory_controlled_by_another_user_is_not_trusted(shared: Path) -> None:
    path = str(shared / "app" / "log")
    assert trust.path_problem(path) is None  # missing, and only root can create it
    shared.chmod(0o777)
    assert trust.path_problem(path) == f"{shared} is world-writable: a local user could redirect {path}"
    shared.chmod(0o1777)
    assert trust.path_problem(path) is None  # like /tmp
    os.chown(shared, 1, -1)
    assert str(shared) in str(trust.path_problem(path))
    os.chown(shared, 0, -1)
    (shared / "app").symlink_to("/root")
    os.chown(shared / "app", 1, -1, follow_symlinks=False)
    assert f"{shared}/app belongs to user 1, not to root" in str(trust.path_problem(path))


def test_a_group_may_write_only_without_login_users(
    shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def account(name: str, uid: int, gid: int, shell: str) -> pwd.struct_passwd:
        return pwd.struct_passwd((name, "x", uid, gid, "", "/", shell))

    path = str(shared / "log")
    os.chown(shared, 0, 104)
    shared.chmod(0o775)
    members: list[str] = []
    monkeypatch.setattr(grp, "getgrgid", lambda gid: grp.struct_group(("syslog", "x", gid, members)))
    accounts = [account("root", 0, 0, "/bin/bash"), account("syslog", 104, 104, "/usr/sbin/nologin")]
    monkeypatch.setattr(pwd, "getpwall", lambda: accounts)
    assert trust.path_problem(path) is None  # Ubuntu's /var/log
    paths.create(path, b"x")
    accounts.append(account("eve", 1000, 1000, "/bin/bash"))
    assert trust.path_problem(path) is None
    members.append("eve")
    assert f"{shared} is writable by group syslog, to which eve belongs" in str(trust.path_problem(path))
    with pytest.raises(trust.Untrusted, match="to which eve belongs"):
        paths.create(path, b"y")
    assert Path(path).read_bytes() == b"x"
    members.clear()
    accounts.append(account("mallory", 1001, 104, ""))  # her primary group; an empty shell means the default shell
    assert "mallory" in str(trust.path_problem(path))
    accounts.pop()
    members.append("directory-service-user")  # LDAP need not list its accounts
    assert "directory-service-user" in str(trust.path_problem(path))
    members.clear()
    os.chown(shared, 0, 1000)  # a group of users, whoever its members are
    assert "is writable by group 1000" in str(trust.path_problem(path))
    os.chown(shared, 0, 0)
    assert trust.path_problem(path) is None
    members.append("eve")
    assert "to which eve belongs" in str(trust.path_problem(path))
    shared.chmod(0o755)
    assert trust.path_problem(path) is None


def test_a_directory_with_an_acl_is_not_trusted(shared: Path) -> None:
    path = str(shared / "log")
    acl = bytes.fromhex("0200000001000700ffffffff020007000100000004000500ffffffff10000700ffffffff20000500ffffffff")
    try:
        os.setxattr(shared, trust.ACCESS_LIST, acl)
    except OSError:
        pytest.skip("this file system does not support ACLs")
    assert "has an access control list" in str(trust.path_problem(path))


def test_a_symlink_swapped_in_between_check_and_use_is_not_followed(shared: Path, tmp_path: Path) -> None:
    """File operations open each directory on the path. A symlink in its place is an error."""
    target = tmp_path / "target"
    target.mkdir()
    (target / "log").write_text("precious")
    app = shared / "app"
    app.mkdir()
    real = os.path.realpath

    def swapped(path: str) -> str:
        found = real(path)
        if app.is_dir() and not app.is_symlink():
            app.rmdir()
            app.symlink_to(target)
        return found

    for operation in (paths.create, paths.remove, paths.remove_directory):
        if app.is_symlink():
            app.unlink()
            app.mkdir()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os.path, "realpath", swapped)
            with contextlib.suppress(OSError):
                operation(str(app / "log"))
        assert (target / "log").read_text() == "precious"


def test_files_that_root_cannot_remove_are_reported(tmp_path: Path) -> None:
    file = tmp_path / "workload.py"
    file.write_text("")
    assert trust.removal_problem(str(file)) is None
    assert trust.removal_problem(str(tmp_path / "none")) is None
    if subprocess.run(["chattr", "+i", str(file)], capture_output=True, check=False).returncode == 0:
        try:
            assert "immutable" in str(trust.removal_problem(str(file)))
        finally:
            subprocess.run(["chattr", "-i", str(file)], check=True)
    mounted = subprocess.run(["mount", "--bind", str(file), str(file)], capture_output=True, check=False)
    if mounted.returncode == 0:
        try:
            assert trust.removal_problem(str(file)) == f"{file} is a mount point"
        finally:
            subprocess.run(["umount", str(file)], check=True)


def test_a_symlink_of_another_user_is_not_followed_below_a_sticky_directory(shared: Path, tmp_path: Path) -> None:
    """The check before the operation may have seen a directory there."""
    shared.chmod(0o1777)
    target = tmp_path / "target"
    target.mkdir()
    (shared / "app").symlink_to(target)
    paths.create(str(shared / "app" / "log"), b"x")  # root's link is followed
    os.chown(shared / "app", 1, -1, follow_symlinks=False)
    with pytest.raises(trust.Untrusted, match="is a symlink of user 1"):
        paths.create(str(shared / "app" / "log"), b"y")
    assert (target / "log").read_bytes() == b"x"
    (shared / "app").unlink()
    (shared / "app").symlink_to("app")
    with pytest.raises(trust.Untrusted):
        paths.create(str(shared / "app" / "log"), b"y")
