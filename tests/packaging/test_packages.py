"""The collection, the wheel and the plain role, each from an empty directory."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml

import memory_leak_controller
from helpers.project import PROJECT, ROLE
from memory_leak_lab.lab import drivers
from memory_leak_lab.lab.errors import DriverUnavailableError
from memory_leak_lab.lab.fleet import Fleet

BIN = Path(sys.executable).parent
DIAGNOSIS = (
    "python3 (PID 1432) grows by 30 MiB per minute: 161 MiB at 10:05, 311 MiB at 10:10. "
    "Its session cache has no eviction. Add a limit."
)
CONFIGURATION = """[defaults]
callbacks_enabled = sre_incidents.memory_leak.memory_leak_report
stdout_callback = sre_incidents.memory_leak.memory_leak_quiet
[ssh_connection]
pipelining = true
"""


def run(*command: object, cwd: Path, fails: bool = False, environment: dict[str, str] | None = None) -> str:
    """Run a command in a directory, with nothing of the checkout in its environment, and return what it printed."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON", "MEMORY_LEAK"))
    }
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept | (environment or {}), capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) is fails, f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def collections(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a collections path into which the collection's tarball was installed."""
    work = tmp_path_factory.mktemp("collection")
    run(BIN / "ansible-galaxy", "collection", "build", "--output-path", work, PROJECT, cwd=work)
    [tarball] = work.glob("sre_incidents-memory_leak-*.tar.gz")
    assert tarball.stat().st_size < 200_000
    run(BIN / "ansible-galaxy", "collection", "install", "--offline", "-p", work / "collections", tarball, cwd=work)
    return work / "collections"


@pytest.fixture(scope="session")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the directory of programs of a fresh environment with nothing but the wheel, its extra and what they need."""
    work = tmp_path_factory.mktemp("wheel")
    # From a copy, since the build leaves its own files beside the source.
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(PROJECT / name, work)
    for name in ("src", "roles"):
        shutil.copytree(PROJECT / name, work / name, ignore=shutil.ignore_patterns("*.egg-info", "__pycache__"))
    run(BIN / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work, ".", cwd=work)
    [wheel] = work.glob("memory_leak_lab-*.whl")
    run(sys.executable, "-m", "venv", work / "venv", cwd=work)
    constraints = PROJECT / "constraints.txt"
    pip = work / "venv" / "bin" / "pip"
    run(pip, "install", "--quiet", "--constraint", constraints, f"{wheel}[reports]", cwd=work)
    return work / "venv" / "bin"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Return a fleet of two containers, where the driver works."""
    try:
        drivers.get("nspawn").check(["bookworm"])
    except DriverUnavailableError as error:
        pytest.skip(str(error))
    fleet = Fleet(2, tmp_path_factory.mktemp("fleet"), "packaging")
    try:
        yield fleet
    finally:
        fleet.down()


def test_the_version_has_one_source() -> None:
    galaxy = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
    assert galaxy["version"] == memory_leak_controller.__version__
    assert memory_leak_controller.__version__ in (PROJECT / "meta" / "ee-requirements.txt").read_text()


def test_the_collection_has_no_development_in_it(collections: Path) -> None:
    root = collections / "ansible_collections" / "sre_incidents" / "memory_leak"
    assert {path.name for path in root.iterdir()} == {
        *(
            "MANIFEST.json",
            "FILES.json",
            "README.md",
            "LICENSE",
            "CHANGELOG.md",
            "files",
            "meta",
            "playbooks",
            "plugins",
            "roles",
        ),
    }
    assert not list(root.rglob("__pycache__"))
    links = [path for path in root.rglob("*") if path.is_symlink()]
    assert links
    assert all(path.resolve().is_relative_to(root.resolve()) and path.exists() for path in links)


def test_ansible_doc_shows_the_plugins_and_the_role(collections: Path, tmp_path: Path) -> None:
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    for kind, name in (("module", "memory_leak"), ("callback", "memory_leak_report"), ("role", "memory_leak")):
        said = run(BIN / "ansible-doc", "-t", kind, f"sre_incidents.memory_leak.{name}", cwd=tmp_path, environment=path)
        assert "memory_leak" in said and "Traceback" not in said


def test_the_wheel_alone_grades(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "diagnoses").mkdir()
    (tmp_path / "diagnoses" / "web1.md").write_text(DIAGNOSIS)
    truth = PROJECT / "tests" / "grading" / "ground_truth"
    grade = [environment / "memory-leak-grade", "--diagnoses=diagnoses", f"--ground-truth={truth}", "--report-dir=out"]
    run(*grade, cwd=tmp_path)
    [record] = json.loads((tmp_path / "out" / "grades.json").read_text())["diagnoses"]
    assert record["total"] == 100
    assert "web1.md" in (tmp_path / "out" / "grades.html").read_text()
    refused = run(*grade, "--for-version=9.9.9", cwd=tmp_path, fails=True)
    assert "the playbook is of version 9.9.9, and the Python package memory-leak-lab of" in refused
    for command in ("memory-leak-watch", "memory-leak-investigate"):
        assert "usage" in run(environment / command, "--help", cwd=tmp_path)


def test_another_copy_of_the_modules_is_used_only_if_it_is_of_the_same_version(tmp_path: Path) -> None:
    """A role whose modules are shadowed by those of another version says so instead of mixing them."""
    other = tmp_path / "roles" / "memory_leak"
    shutil.copytree(ROLE, other)
    memory_leak_controller.require_own_copy(other)
    init = other / "memory_leak_controller" / "__init__.py"
    init.write_text(init.read_text().replace(memory_leak_controller.__version__, "9.9.9"))
    with pytest.raises(ImportError, match="has another version"):
        memory_leak_controller.require_own_copy(other)


def test_an_installed_package_of_another_version_does_not_shadow_the_role(tmp_path: Path) -> None:
    """The role's plugins import their own modules, whatever is installed beside Ansible."""
    shadow = tmp_path / "site" / "memory_leak_controller"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError('the shadow was imported')\n")
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("[memory_leak]\na ansible_host=127.0.0.1 ansible_port=9\n")
    said = run(
        *(
            BIN / "ansible-playbook",
            PROJECT / "status.yml",
            "-i",
            inventory,
            "-e",
            f"memory_leak_report_dir={tmp_path}/r",
        ),
        cwd=tmp_path,
        fails=True,
        environment={"PYTHONPATH": str(tmp_path / "site"), "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg")},
    )
    assert "1 host: 1 unreachable" in said


def test_the_collection_runs_from_an_empty_directory(
    fleet: Fleet, collections: Path, environment: Path, tmp_path: Path
) -> None:
    """Setup, status, investigate, grade and cleanup with the collection, and the wheel for what needs it."""
    (tmp_path / "ansible.cfg").write_text(CONFIGURATION + "[defaults]\n" if False else CONFIGURATION)
    inventory = str(fleet.inventory(2))
    run(
        environment / "pip",
        "install",
        "--quiet",
        "--constraint",
        PROJECT / "constraints.txt",
        ansible_core(),
        cwd=tmp_path,
    )

    def play(name: str, *arguments: str, fails: bool = False) -> str:
        command = [environment / "ansible-playbook", f"sre_incidents.memory_leak.{name}", "-i", inventory, *arguments]
        return run(*command, cwd=tmp_path, fails=fails, environment={"ANSIBLE_COLLECTIONS_PATH": str(collections)})

    assert "2 hosts: 2 running" in play("setup")
    assert "2 hosts: 2 running" in play("status")
    play("investigate", "-e", "memory_leak_observe_seconds=20")
    assert {"status.json", "ground_truth", "investigation"} <= {path.name for path in (tmp_path / "reports").iterdir()}
    play("brief")
    play("grade")
    grades = json.loads((tmp_path / "reports" / "grades.json").read_text())["diagnoses"]
    assert [record["total"] for record in grades] == [100, 100]
    assert "2 hosts: 2 absent" in play("cleanup")
    installed = collections / "ansible_collections" / "sre_incidents" / "memory_leak"
    assert not list(installed.rglob("reports"))


def ansible_core() -> str:
    """Return the requirement of the ansible-core that the tests run with."""
    return f"ansible-core=={version('ansible-core')}"


USERS_PLAY = """
- hosts: memory_leak
  gather_facts: false
  roles: [{role}]
"""


def test_a_users_own_play_takes_the_role_and_is_told_of_the_report(
    fleet: Fleet, collections: Path, tmp_path: Path
) -> None:
    (tmp_path / "play.yml").write_text(USERS_PLAY.format(role="sre_incidents.memory_leak.memory_leak"))
    command = [BIN / "ansible-playbook", "play.yml", "-i", fleet.inventory(2)]
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_PIPELINING": "true"}
    said = " ".join(run(*command, cwd=tmp_path, environment=path).split())
    assert len(re.findall(r"memory_leak makes no report: its callback is not enabled", said)) == 1
    assert said.count("failed=0") == 2
    (tmp_path / "ansible.cfg").write_text(CONFIGURATION)
    said = run(*command, cwd=tmp_path, environment=path)
    assert "makes no report" not in said
    assert "2 hosts: 2 running" in said
    assert (tmp_path / "reports" / "status.json").exists()


def test_the_plain_role_works(fleet: Fleet, tmp_path: Path) -> None:
    shutil.copytree(ROLE, tmp_path / "roles" / "memory_leak")
    (tmp_path / "play.yml").write_text(USERS_PLAY.format(role="memory_leak"))
    command = [BIN / "ansible-playbook", "play.yml", "-i", fleet.inventory(2)]
    said = run(*command, cwd=tmp_path, environment={"ANSIBLE_PIPELINING": "true"})
    assert "2 hosts: 2 running" in said
    assert (tmp_path / "reports" / "status.json").exists()


def test_without_the_package_a_playbook_says_what_to_install(collections: Path, tmp_path: Path) -> None:
    run(sys.executable, "-m", "venv", tmp_path / "venv", cwd=tmp_path)
    programs = tmp_path / "venv" / "bin"
    run(
        programs / "pip",
        "install",
        "--quiet",
        "--constraint",
        PROJECT / "constraints.txt",
        ansible_core(),
        cwd=tmp_path,
    )
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    said = run(
        programs / "ansible-playbook", "sre_incidents.memory_leak.grade", cwd=tmp_path, fails=True, environment=path
    )
    assert "pip install 'memory-leak-lab[reports]'" in " ".join(said.split())
