"""Write, remove and read files in directories where other users can write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from memory_leak_host import paths


def test_create_replaces_a_symlink_without_following_it(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("keep")
    link = tmp_path / "memory-leak.log"
    link.symlink_to(precious)
    old_umask = os.umask(0o077)
    try:
        paths.create(str(link), b"new")
    finally:
        os.umask(old_umask)
    assert precious.read_text() == "keep"
    assert not link.is_symlink()
    assert link.read_bytes() == b"new"
    assert link.stat().st_mode & 0o777 == 0o644


def test_create_replaces_a_fifo(tmp_path: Path) -> None:
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    paths.create(str(fifo), b"")
    assert fifo.is_file()


def test_obstacles_are_described(tmp_path: Path) -> None:
    workload, log = str(tmp_path / "a" / "workload.py"), str(tmp_path / "log")
    assert paths.obstacle(workload, [log]) is None
    (tmp_path / "log").mkdir()
    assert paths.obstacle(workload, [log]) == f"a directory is in the way at {log}"
    (tmp_path / "a").write_text("")
    assert paths.obstacle(workload, []) == f"{tmp_path / 'a'} is not a directory"
    assert paths.obstacle(str(tmp_path / "w.py"), ["/no/such/log"]) == "/no/such does not exist"


@pytest.mark.skipif(os.geteuid() != 0, reason="only directories owned by root are removable")
def test_only_empty_directories_are_removable(tmp_path: Path) -> None:
    leaf = tmp_path / "mcp" / "scenarios" / "memory-leak"
    leaf.mkdir(parents=True)
    (tmp_path / "other").write_text("")
    workload = leaf / "workload.py"
    workload.write_text("")
    expected = [str(leaf), str(leaf.parent), str(leaf.parent.parent)]
    assert paths.removable_directories(str(leaf), [str(workload)]) == expected
    (leaf.parent / "neighbour").mkdir()
    assert paths.removable_directories(str(leaf), [str(workload)]) == expected[:1]
    (leaf / "notes").write_text("")
    assert paths.removable_directories(str(leaf), [str(workload)]) == []


def test_content_reads_the_end_of_regular_files_only(tmp_path: Path) -> None:
    file, pipe, link = tmp_path / "file", tmp_path / "pipe", tmp_path / "link"
    file.write_bytes(b"x" * 5000 + b"end")
    os.mkfifo(pipe)
    link.symlink_to(file)
    assert paths.content(str(file), 5) == b"xxend"
    assert paths.content(str(file), 10000) == b"x" * 5000 + b"end"
    assert [paths.content(str(path), 5) for path in (pipe, link, tmp_path, tmp_path / "none")] == [None] * 4


def test_only_mktemp_names_count_as_half_written_files(tmp_path: Path) -> None:
    for name in ("pid", "pid.new-aBcD1234", "pid.new-short", "pid.new-muchtoolong", "pid.backup", "other.new-aBcD1234"):
        (tmp_path / name).write_text("")
    (tmp_path / "pid.new-aLink567").symlink_to("pid")
    expected = [str(tmp_path / "pid.new-aBcD1234")] if os.geteuid() == 0 else []
    assert paths.half_written(str(tmp_path / "pid")) == expected


def test_standard_directories_are_not_removable() -> None:
    assert paths.removable_directories("/srv", []) == []
    assert paths.removable_directories("/usr/local/share", []) == []
