"""Install and run the collection, the wheel and the plain role from an empty directory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest
import yaml
from ansible.errors import AnsibleError

import memory_leak_controller
from helpers.project import PROJECT, ROLE
from memory_leak_lab import watch
from memory_leak_lab.lab import drivers
from memory_leak_lab.lab.errors import DriverUnavailableError
from memory_leak_lab.lab.fleet import Fleet

BIN = Path(sys.executable).parent
INSTALLED = "ansible_collections/sre_incidents/memory_leak"
# Leftovers of tools and runs in a checkout. No package may contain them.
LEFTOVERS = (
    ".mypy_cache/3.11/a.json",
    ".pytest_cache/a",
    ".venv/bin/a",
    ".venv-galaxy/a",
    "build/a",
    "reports/status.json",
    "roles/memory_leak/memory_leak_controller/__pycache__/a.cpython-311.pyc",
)
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
    """Run a command in a directory, without the checkout's environment variables, and return its output."""
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("ANSIBLE_", "PYTHON", "MEMORY_LEAK"))
    }
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=kept | (environment or {}), capture_output=True, text=True, check=False
    )
    assert bool(done.returncode) is fails, f"{command} exited {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


@pytest.fixture(scope="session")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a committed copy of the project that also contains untracked leftovers."""
    copy = tmp_path_factory.mktemp("source") / "checkout"
    names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", cwd=PROJECT).split("\0")
    for name in filter(None, names):
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        if (PROJECT / name).is_symlink() or (PROJECT / name).exists():
            shutil.copy2(PROJECT / name, copy / name, follow_symlinks=False)
    run("git", "init", "--quiet", cwd=copy)
    run("git", "add", "--all", cwd=copy)
    run("git", "-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "--quiet", "-m", "All", cwd=copy)
    for name in LEFTOVERS:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text("left by work\n")
    return copy


@pytest.fixture(scope="session")
def collections(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a collections path with the collection installed from its tarball."""
    work = tmp_path_factory.mktemp("collection")
    run(BIN / "ansible-galaxy", "collection", "build", "--output-path", work, checkout, cwd=work)
    [tarball] = work.glob("sre_incidents-memory_leak-*.tar.gz")
    assert tarball.stat().st_size < 150_000
    run(BIN / "ansible-galaxy", "collection", "install", "--offline", "-p", work / "collections", tarball, cwd=work)
    return work / "collections"


@pytest.fixture(scope="session")
def environment(checkout: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin directory of a fresh virtual environment with only the wheel and its dependencies."""
    work = tmp_path_factory.mktemp("wheel")
    run(BIN / "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", work, checkout, cwd=work)
    run(sys.executable, "-m", "venv", work / "venv", cwd=work)
    [wheel] = work.glob("memory_leak_lab-*.whl")
    install(work / "venv" / "bin", wheel)
    return work / "venv" / "bin"


@pytest.fixture(scope="session")
def ansible_environment(environment: Path) -> Path:
    """Return the same environment with Ansible and the `reports` extra added."""
    [wheel] = environment.parents[1].glob("memory_leak_lab-*.whl")
    install(environment, f"{wheel}[reports]", ansible_core())
    return environment


@pytest.fixture(scope="session")
def bare_ansible(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the bin directory of a fresh virtual environment with only Ansible."""
    work = tmp_path_factory.mktemp("ansible")
    run(sys.executable, "-m", "venv", work / "venv", cwd=work)
    install(work / "venv" / "bin", ansible_core())
    return work / "venv" / "bin"


def install(programs: Path, *requirements: object) -> None:
    """Install packages into a virtual environment."""
    constraints = PROJECT / "constraints.txt"
    run(programs / "pip", "install", "--quiet", "--constraint", constraints, *requirements, cwd=programs)


def ansible_core() -> str:
    """Return the requirement for the ansible-core version that runs the tests."""
    return f"ansible-core=={version('ansible-core')}"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fleet]:
    """Provide a fleet of two containers. Skip where the nspawn driver is unavailable."""
    try:
        drivers.get("nspawn").check(["bookworm"])
    except DriverUnavailableError as error:
        pytest.skip(str(error))
    work = tmp_path_factory.mktemp("fleet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(work / "state"))
        fleet = Fleet(2, work, "packaging")
        try:
            yield fleet
        finally:
            fleet.down()


def test_the_collection_and_package_versions_match() -> None:
    galaxy = yaml.safe_load((PROJECT / "galaxy.yml").read_text())
    assert galaxy["version"] == memory_leak_controller.__version__


def test_the_execution_environment_requires_the_reports_extra() -> None:
    """Requirements must be on a package index. Others would break every build that includes the collection."""
    definition = yaml.safe_load((PROJECT / "meta" / "execution-environment.yml").read_text())
    required = (PROJECT / definition["dependencies"]["python"]).read_text().split()
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    reports = {*project["dependencies"], *project["optional-dependencies"]["reports"]}
    assert {"plotly", "rich"} == {requirement.partition(">")[0] for requirement in required}
    assert set(required) <= reports


def test_the_collection_contains_no_development_files(collections: Path) -> None:
    root = collections / INSTALLED
    assert {path.name for path in root.iterdir()} == {
        *(
            "MANIFEST.json",
            "FILES.json",
            "README.md",
            "LICENSE",
            "CHANGELOG.md",
            "SECURITY.md",
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
    assert not [path for path in root.rglob("*") if path.is_file() and path.read_bytes() == b"left by work\n"]


def test_the_plugins_are_symlinks_to_all_role_plugins() -> None:
    for kind, directory in (("action", "action_plugins"), ("callback", "callback_plugins"), ("modules", "library")):
        links = list((PROJECT / "plugins" / kind).iterdir())
        assert all(link.is_symlink() for link in links)
        assert {link.resolve() for link in links} == set((PROJECT / "roles").glob(f"*/{directory}/*.py"))


def test_installing_from_git_gives_the_same_collection(checkout: Path, collections: Path, tmp_path: Path) -> None:
    source = f"git+file://{checkout}"
    run(BIN / "ansible-galaxy", "collection", "install", "--no-deps", "-p", tmp_path, source, cwd=tmp_path)
    assert contents(tmp_path / INSTALLED) == contents(collections / INSTALLED)


def contents(root: Path) -> dict[str, str]:
    """Return the text of each file (or the target of each symlink) below a directory, by relative path."""
    return {
        str(path.relative_to(root)): str(path.readlink()) if path.is_symlink() else path.read_text()
        for path in root.rglob("*")
        if not path.is_dir() and path.suffix not in (".json", ".pyc")
    }


def test_ansible_doc_shows_the_plugins_and_the_role(collections: Path, tmp_path: Path) -> None:
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    for kind, name in (("module", "memory_leak"), ("callback", "memory_leak_report"), ("role", "memory_leak")):
        output = run(
            BIN / "ansible-doc", "-t", kind, f"sre_incidents.memory_leak.{name}", cwd=tmp_path, environment=path
        )
        assert "memory_leak" in output and "Traceback" not in output


def test_the_wheel_grades_without_ansible(environment: Path, tmp_path: Path) -> None:
    (tmp_path / "diagnoses").mkdir()
    (tmp_path / "diagnoses" / "web1.md").write_text(DIAGNOSIS)
    truth = PROJECT / "tests" / "grading" / "ground_truth"
    grade = [environment / "memory-leak-grade", "--diagnoses=diagnoses", f"--ground-truth={truth}", "--report-dir=out"]
    run(*grade, cwd=tmp_path)
    [record] = json.loads((tmp_path / "out" / "grades.json").read_text())["diagnoses"]
    assert record["total"] == 100
    assert "web1.md" in (tmp_path / "out" / "grades.html").read_text()
    assert not (environment / "ansible-playbook").exists()
    refused = run(*grade, "--for-version=9.9.9", cwd=tmp_path, fails=True)
    assert "the playbook has version 9.9.9, but the Python package memory-leak-lab has version" in refused
    for command in ("memory-leak-watch", "memory-leak-investigate"):
        assert "usage" in run(environment / command, "--help", cwd=tmp_path)


def test_another_copy_of_the_modules_must_have_the_same_version(tmp_path: Path) -> None:
    """A role whose modules are shadowed by another version reports that instead of mixing them."""
    other = tmp_path / "roles" / "memory_leak"
    shutil.copytree(ROLE, other)
    memory_leak_controller.require_own_copy(other)
    init = other / "memory_leak_controller" / "__init__.py"
    init.write_text(init.read_text().replace(memory_leak_controller.__version__, "9.9.9"))
    with pytest.raises(AnsibleError, match="has another version"):
        memory_leak_controller.require_own_copy(other)


def test_a_callback_of_another_version_is_reported_without_a_traceback(collections: Path, tmp_path: Path) -> None:
    """An older copy of the role, whose callback is loaded first, stops the run before any host is contacted."""
    older = tmp_path / "memory_leak"
    shutil.copytree(ROLE, older)
    controller = older / "memory_leak_controller"
    init = controller / "__init__.py"
    init.write_text(init.read_text().replace(memory_leak_controller.__version__, "0.0.9"))
    (controller / "assignment.py").unlink()
    (tmp_path / "hosts.ini").write_text("[memory_leak]\na ansible_host=127.0.0.1 ansible_port=9\n")
    command = [BIN / "ansible-playbook", "sre_incidents.memory_leak.status", "-i", "hosts.ini"]
    variables = {
        "ANSIBLE_COLLECTIONS_PATH": str(collections),
        "ANSIBLE_CALLBACK_PLUGINS": str(older / "callback_plugins"),
    }
    output = run(*command, cwd=tmp_path, fails=True, environment=variables)
    assert f"the modules memory_leak_controller of version 0.0.9 in {older} are loaded already" in output
    assert "Traceback" not in output and "bug" not in output and "UNREACHABLE" not in output


def test_two_copies_of_the_callback_write_one_report(collections: Path, tmp_path: Path) -> None:
    """The collection's callback is enabled, and a play uses the plain role, which brings the same callback."""
    shutil.copytree(ROLE, tmp_path / "roles" / "memory_leak")
    (tmp_path / "play.yml").write_text(USERS_PLAY.format(role="memory_leak"))
    (tmp_path / "hosts.ini").write_text("[memory_leak]\na memory_leak_unit=a/b\n")
    (tmp_path / "ansible.cfg").write_text(CONFIGURATION)
    command = [BIN / "ansible-playbook", "play.yml", "-i", "hosts.ini"]
    output = run(*command, cwd=tmp_path, fails=True, environment={"ANSIBLE_COLLECTIONS_PATH": str(collections)})
    assert output.count("1 host: 1 refused") == 1
    assert "makes no report" not in output


def test_an_installed_package_of_another_version_does_not_shadow_the_role(tmp_path: Path) -> None:
    """The role's plugins import their own modules, whatever is installed next to Ansible."""
    shadow = tmp_path / "site" / "memory_leak_controller"
    shadow.mkdir(parents=True)
    (shadow / "__init__.py").write_text("raise ImportError('the shadow was imported')\n")
    inventory = tmp_path / "hosts.ini"
    inventory.write_text("[memory_leak]\na ansible_host=127.0.0.1 ansible_port=9\n")
    output = run(
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
    assert "1 host: 1 unreachable" in output


def test_the_collection_needs_only_ansible(fleet: Fleet, collections: Path, bare_ansible: Path, tmp_path: Path) -> None:
    """Run setup, status, reset and cleanup without the Python package and its dependencies."""
    (tmp_path / "ansible.cfg").write_text(CONFIGURATION)
    for name, counts in (("setup", "running"), ("status", "running"), ("reset", "running"), ("cleanup", "absent")):
        command = [bare_ansible / "ansible-playbook", f"sre_incidents.memory_leak.{name}", "-i", fleet.inventory(2)]
        output = run(*command, cwd=tmp_path, environment={"ANSIBLE_COLLECTIONS_PATH": str(collections)})
        assert f"2 hosts: 2 {counts}" in output
        assert json.loads((tmp_path / "reports" / "status.json").read_text())["operation"] == name
    assert {path.name for path in tmp_path.iterdir()} == {"ansible.cfg", "reports"}
    assert not list((collections / INSTALLED).rglob("reports"))


def test_the_collection_runs_from_an_empty_directory(
    fleet: Fleet, collections: Path, ansible_environment: Path, tmp_path: Path
) -> None:
    """Run setup, status, investigate, brief, grade and cleanup with the collection and the wheel."""
    (tmp_path / "ansible.cfg").write_text(CONFIGURATION)
    inventory = str(fleet.inventory(2))
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    playbook = ansible_environment / "ansible-playbook"

    def play(name: str, *arguments: str) -> str:
        command = [playbook, f"sre_incidents.memory_leak.{name}", "-i", inventory, *arguments]
        return run(*command, cwd=tmp_path, environment=path)

    assert "2 hosts: 2 running" in play("setup")
    assert "2 hosts: 2 running" in play("status")
    play("investigate", "-e", "memory_leak_observe_seconds=20")
    assert {"status.json", "ground_truth", "investigation"} <= {path.name for path in (tmp_path / "reports").iterdir()}
    play("brief")
    play("grade")
    grades = json.loads((tmp_path / "reports" / "grades.json").read_text())["diagnoses"]
    assert [record["total"] for record in grades] == [100, 100]
    assert "2 hosts: 2 absent" in play("cleanup")
    assert not list((collections / INSTALLED).rglob("reports"))


USERS_PLAY = """
- hosts: memory_leak
  gather_facts: false
  roles: [{role}]
"""
INCLUDING_PLAY = """
- hosts: memory_leak
  gather_facts: false
  tasks:
    - ansible.builtin.include_role: {name: memory_leak}
"""


def test_a_custom_play_runs_the_role_and_is_told_how_to_enable_the_report(
    fleet: Fleet, collections: Path, tmp_path: Path
) -> None:
    (tmp_path / "play.yml").write_text(USERS_PLAY.format(role="sre_incidents.memory_leak.memory_leak"))
    command = [BIN / "ansible-playbook", "play.yml", "-i", fleet.inventory(2)]
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections), "ANSIBLE_PIPELINING": "true"}
    output = " ".join(run(*command, cwd=tmp_path, environment=path).split())
    assert output.count("memory_leak makes no report") == 1
    assert "set callbacks_enabled = sre_incidents.memory_leak.memory_leak_report" in output
    assert output.count("failed=0") == 2
    watch = [BIN / "memory-leak-watch", "--inventory", fleet.inventory(2), "--seconds", "1"]
    assert " running " in run(*watch, cwd=tmp_path, environment=path)
    (tmp_path / "ansible.cfg").write_text(CONFIGURATION)
    output = run(*command, cwd=tmp_path, environment=path)
    assert "makes no report" not in output
    assert "2 hosts: 2 running" in output
    assert (tmp_path / "reports" / "status.json").exists()


def test_the_plain_role_works(fleet: Fleet, checkout: Path, tmp_path: Path) -> None:
    """Install the role's subtree with Git, as its README describes."""
    run("git", "subtree", "split", "-q", "--prefix", "roles/memory_leak", "--branch", "role", cwd=checkout)
    source = f"git+file://{checkout},role,memory_leak"
    run(BIN / "ansible-galaxy", "role", "install", "-p", "roles", source, cwd=tmp_path)
    pipelining = {"ANSIBLE_PIPELINING": "true"}
    (tmp_path / "play.yml").write_text(USERS_PLAY.format(role="memory_leak"))
    command = [BIN / "ansible-playbook", "play.yml", "-i", fleet.inventory(2)]
    output = run(*command, cwd=tmp_path, environment=pipelining)
    assert "2 hosts: 2 running" in output
    assert (tmp_path / "reports" / "status.json").exists()
    (tmp_path / "play.yml").write_text(INCLUDING_PLAY)
    output = " ".join(run(*command, cwd=tmp_path, environment=pipelining).split())
    assert "memory_leak makes no report, since its callback memory_leak_report is not loaded: import the role" in output


@pytest.mark.parametrize("playbook", ["grade", "investigate", "lab_down"])
def test_a_playbook_without_the_package_explains_what_to_install(
    playbook: str, collections: Path, bare_ansible: Path, tmp_path: Path
) -> None:
    output = play_without_contact(playbook, bare_ansible, collections, tmp_path)
    assert "the Python package memory-leak-lab is not installed" in output
    assert "pip install 'CHECKOUT[reports]'" in output


@pytest.mark.parametrize("playbook", ["grade", "investigate"])
def test_a_playbook_refuses_a_package_of_another_version(
    playbook: str, collections: Path, ansible_environment: Path, tmp_path: Path
) -> None:
    shutil.copytree(collections, tmp_path / "collections", symlinks=True)
    init = tmp_path / "collections" / INSTALLED / "roles" / "memory_leak" / "memory_leak_controller" / "__init__.py"
    init.write_text(init.read_text().replace(memory_leak_controller.__version__, "9.9.9"))
    output = play_without_contact(playbook, ansible_environment, tmp_path / "collections", tmp_path)
    installed = memory_leak_controller.__version__
    assert f"the playbook has version 9.9.9, but the Python package memory-leak-lab has version {installed}" in output


def play_without_contact(playbook: str, programs: Path, collections: Path, work: Path) -> str:
    """Run a collection playbook that fails before contacting its host, and return the output."""
    (work / "hosts.ini").write_text("[memory_leak]\na ansible_host=127.0.0.1 ansible_port=9\n")
    command = [programs / "ansible-playbook", f"sre_incidents.memory_leak.{playbook}", "-i", "hosts.ini"]
    path = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
    output = " ".join(run(*command, cwd=work, fails=True, environment=path).split())
    assert "UNREACHABLE" not in output and "Traceback" not in output
    return output


def test_watch_without_ansible_explains_what_to_install(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_arguments, **_options: None)
    monkeypatch.setattr(sys, "argv", ["memory-leak-watch", "--seconds", "1"])
    monkeypatch.chdir(tmp_path)
    assert watch.main() == 1
    assert "install it with pip install ansible-core" in capsys.readouterr().err


def test_watch_ignores_playbooks_of_other_projects(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "status.yml").touch()
    monkeypatch.chdir(tmp_path)
    playbooks = []

    def fake(command: list[str], **_options: object) -> subprocess.CompletedProcess[str]:
        playbooks.append(command[1])
        return subprocess.CompletedProcess(command, 4, "", "")

    monkeypatch.setattr(subprocess, "run", fake)
    with pytest.raises(subprocess.CalledProcessError):
        watch.ask("inventory")
    assert playbooks == ["sre_incidents.memory_leak.status"]
