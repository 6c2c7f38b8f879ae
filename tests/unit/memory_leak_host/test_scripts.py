"""Which script a Python runs: as CPython reads a command line, and whether it is the file that we mean."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from helpers.launching import PYTHON, Launch
from memory_leak_host import scripts

KNOWN = b"import time"


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python3 /a/workload.py --ingest 30", "/a/workload.py"),
        ("python3 -u -O workload.py", "workload.py"),
        ("python3 -W ignore -X dev -I workload.py", "workload.py"),
        ("python3 -Xtracemalloc workload.py", "workload.py"),
        ("python3 -Wdefault::X workload.py", "workload.py"),
        ("python3 -uXdev workload.py", "workload.py"),
        ("python3 -uW ignore workload.py", "workload.py"),
        ("python3 --check-hash-based-pycs never workload.py", "workload.py"),
        ("python3 -- -workload.py", "-workload.py"),
        ("python3 - workload.py", None),
        ("python3 -cpass workload.py", None),
        ("python3 -c print workload.py", None),
        ("python3 -Im http.server workload.py", None),
        ("python3", None),
    ],
)
def test_script_argument(command: str, expected: str | None) -> None:
    assert scripts.script_argument(command.split()) == expected


def test_find_knows_the_script_by_absolute_and_relative_path(launch: Launch, script: Path) -> None:
    absolute = launch(PYTHON, str(script))
    relative = launch(PYTHON, "-u", "workload.py", cwd=script.parent)
    assert scripts.find(str(script), b"") == sorted([absolute.pid, relative.pid])


def test_find_spares_what_only_mentions_the_script(launch: Launch, script: Path, tmp_path: Path) -> None:
    launch("tail", "-f", str(script))
    launch(PYTHON, "-c", "import time; time.sleep(60)", str(script))
    other = tmp_path / "other" / "workload.py"
    other.parent.mkdir()
    shutil.copy(script, other)
    shutil.chown(other, 1)
    launch(PYTHON, str(other))
    launch(PYTHON, "workload.py", cwd=other.parent)
    assert scripts.find(str(script), KNOWN) == []


def test_a_copy_of_roots_counts_whether_the_script_is_there_or_not(
    launch: Launch, script: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "renamed" / "service.py"
    copy.parent.mkdir()
    shutil.copy(script, copy)
    process = launch(PYTHON, "service.py", cwd=copy.parent)
    assert scripts.find(str(script), KNOWN) == [process.pid]
    script.unlink()
    assert scripts.find(str(script), KNOWN) == [process.pid]
    assert scripts.find(str(script), b"another") == []


def test_cpython_reads_the_options_in_the_same_way(tmp_path: Path) -> None:
    """Ask CPython itself for each command line that has a script."""
    script = tmp_path / "workload.py"
    script.write_text("print('ran')")
    for options in (
        "-Xtracemalloc",
        "-Wdefault",
        "-uXdev",
        "-uW ignore",
        "--check-hash-based-pycs never",
        "-OO -I",
        "--",
    ):
        command = [sys.executable, *options.split(), str(script)]
        assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "ran\n"
        assert scripts.script_argument(command) == str(script)
    for options in ("-", "-cpass", "-c pass", "-Im this"):
        command = [sys.executable, *options.split(), str(script)]
        assert "ran" not in subprocess.run(command, input="", capture_output=True, text=True, check=True).stdout
        assert scripts.script_argument(command) is None


def test_a_script_whose_directory_is_gone_or_renamed_is_found(launch: Launch, tmp_path: Path) -> None:
    home = tmp_path / "app"
    for change in ("remove", "rename"):
        home.mkdir()
        script = home / "workload.py"
        script.write_text("import time\ntime.sleep(60)\n")
        relative = launch(PYTHON, "workload.py", cwd=home)
        absolute = launch(PYTHON, str(script))
        if change == "remove":
            shutil.rmtree(home)
            assert scripts.find(str(script), KNOWN) == sorted([relative.pid, absolute.pid])
        else:
            home.rename(tmp_path / "renamed")
            assert scripts.find(str(script), KNOWN) == sorted([relative.pid, absolute.pid])
            assert scripts.find(str(script), b"another") == [absolute.pid]
        for process in (relative, absolute):
            process.kill()
            process.wait()


def test_a_program_of_a_users_own_that_is_called_python_is_none(launch: Launch, script: Path, tmp_path: Path) -> None:
    pretender = tmp_path / "python3"
    shutil.copy("/usr/bin/tail", pretender)
    shutil.chown(pretender, 1)
    launch("python3", str(script), "-f", executable=str(pretender))
    assert scripts.find(str(script), KNOWN) == []
