"""Find Python processes that run the workload script, parsing command lines like CPython."""

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


def test_find_matches_absolute_and_relative_paths(launch: Launch, script: Path) -> None:
    absolute = launch(PYTHON, str(script))
    relative = launch(PYTHON, "-u", "workload.py", cwd=script.parent)
    assert scripts.find(str(script), b"") == sorted([absolute.pid, relative.pid])


def test_find_ignores_processes_that_only_mention_the_script(launch: Launch, script: Path, tmp_path: Path) -> None:
    launch("tail", "-f", str(script))
    launch(PYTHON, "-c", "import time; time.sleep(60)", str(script))
    other = tmp_path / "other" / "workload.py"
    other.parent.mkdir()
    shutil.copy(script, other)
    shutil.chown(other, 1)
    launch(PYTHON, str(other))
    launch(PYTHON, "workload.py", cwd=other.parent)
    assert scripts.find(str(script), KNOWN) == []


def test_a_copy_owned_by_root_is_found_even_if_the_script_is_missing(
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


def test_cpython_parses_the_options_in_the_same_way(tmp_path: Path) -> None:
    """Compare script_argument with CPython itself."""
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


def test_a_script_in_a_removed_or_renamed_directory_is_found(launch: Launch, tmp_path: Path) -> None:
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


def test_a_user_owned_program_named_python_is_ignored(launch: Launch, script: Path, tmp_path: Path) -> None:
    pretender = tmp_path / "python3"
    shutil.copy("/usr/bin/tail", pretender)
    shutil.chown(pretender, 1)
    launch("python3", str(script), "-f", executable=str(pretender))
    assert scripts.find(str(script), KNOWN) == []
