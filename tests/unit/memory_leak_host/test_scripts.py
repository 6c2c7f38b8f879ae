"""Find Python processes that run the workload script, parsing command lines like CPython."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from helpers.launching import PYTHON, Launch
from memory_leak_host import scripts

KNOWN = b"import time"


def find(script: str, known: bytes, proven: bool = False) -> list[int]:
    """Return the processes that run a script."""
    return list(scripts.running(scripts.pythons(), [script], known, [script] if proven else []))


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
        ("python3 - workload.py", "-"),
        ("python3 -m workload", "workload.py"),
        ("python3 -mapp.workload --ingest 30", "app/workload.py"),
        ("python3 -cpass workload.py", None),
        ("python3 -c print workload.py", None),
        ("python3 -Im http.server workload.py", "http/server.py"),
        ("python3", "-"),
        ("python3 -u --", "-"),
        ("python3 -m cProfile -s time workload.py --ingest 30", "workload.py"),
    ],
)
def test_script_argument(command: str, expected: str | None) -> None:
    assert scripts.script_argument(command.split()) == expected


def test_find_matches_absolute_and_relative_paths(launch: Launch, script: Path) -> None:
    absolute = launch(PYTHON, str(script))
    relative = launch(PYTHON, "-u", "workload.py", cwd=script.parent)
    assert find(str(script), b"") == sorted([absolute.pid, relative.pid])


def test_find_ignores_processes_that_only_mention_the_script(launch: Launch, script: Path, tmp_path: Path) -> None:
    launch("tail", "-f", str(script))
    launch(PYTHON, "-c", "import time; time.sleep(60)", str(script))
    other = tmp_path / "other" / "workload.py"
    other.parent.mkdir()
    shutil.copy(script, other)
    shutil.chown(other, 1)
    launch(PYTHON, str(other))
    launch(PYTHON, "workload.py", cwd=other.parent)
    assert find(str(script), KNOWN) == []


def test_a_copy_owned_by_root_is_found_even_if_the_script_is_missing(
    launch: Launch, script: Path, tmp_path: Path
) -> None:
    copy = tmp_path / "renamed" / "service.py"
    copy.parent.mkdir()
    shutil.copy(script, copy)
    process = launch(PYTHON, "service.py", cwd=copy.parent)
    assert find(str(script), KNOWN) == [process.pid]
    script.unlink()
    assert find(str(script), KNOWN) == [process.pid]
    assert find(str(script), b"another") == []


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
        assert scripts.script_argument(command) != str(script)


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
            assert find(str(script), KNOWN, proven=True) == sorted([relative.pid, absolute.pid])
        else:
            home.rename(tmp_path / "renamed")
            assert find(str(script), KNOWN, proven=True) == sorted([relative.pid, absolute.pid])
            assert find(str(script), b"another", proven=True) == [absolute.pid]
        for process in (relative, absolute):
            process.kill()
            process.wait()


def test_a_user_owned_program_named_python_is_ignored(launch: Launch, script: Path, tmp_path: Path) -> None:
    pretender = tmp_path / "python3"
    shutil.copy("/usr/bin/tail", pretender)
    shutil.chown(pretender, 1)
    launch("python3", str(script), "-f", executable=str(pretender))
    assert find(str(script), KNOWN) == []


def test_a_module_and_a_script_on_stdin_are_found(launch: Launch, script: Path) -> None:
    module = launch(PYTHON, "-m", "workload", cwd=script.parent)
    with script.open() as file:
        piped = launch(PYTHON, "-u", "-", stdin=file)
    launch(PYTHON, "-c", "import time; time.sleep(60)", "workload.py", cwd=script.parent)
    assert find(str(script), KNOWN) == sorted([module.pid, piped.pid])
    shutil.rmtree(script.parent)
    assert find(str(script), KNOWN, proven=True) == sorted([module.pid, piped.pid])


def test_a_script_below_a_link_is_found_when_it_is_gone(launch: Launch, tmp_path: Path) -> None:
    (tmp_path / "real" / "app").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    script = tmp_path / "link" / "app" / "workload.py"
    script.write_text("import time\ntime.sleep(60)\n")
    (tmp_path / "another").symlink_to(script)
    relative = launch(PYTHON, "workload.py", cwd=script.parent)
    linked = launch(PYTHON, str(tmp_path / "another"))
    shutil.rmtree(tmp_path / "real" / "app")
    assert find(str(script), KNOWN, proven=True) == sorted([relative.pid, linked.pid])


def test_a_pipe_or_device_that_a_command_line_names_is_not_opened(launch: Launch, script: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "sitecustomize.py").write_text("import time; time.sleep(60)")
    launch(PYTHON, str(tmp_path / "pipe"), env={"PYTHONPATH": str(tmp_path)})
    assert find(str(script), KNOWN) == []
    with pytest.raises(OSError, match="No such device or address"):  # nobody has opened it for reading
        os.open(tmp_path / "pipe", os.O_WRONLY | os.O_NONBLOCK)


def test_a_process_that_cannot_be_examined_holds_up_no_other(
    launch: Launch, script: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck, found = sorted(launch(PYTHON, str(script)).pid for _ in range(2))
    examine = scripts._place
    monkeypatch.setattr(scripts, "EXAMINATION_TIMEOUT_S", 0.2)
    monkeypatch.setattr(scripts, "_place", lambda pid, *rest: time.sleep(60) if pid == stuck else examine(pid, *rest))
    assert find(str(script), KNOWN) == [found]
