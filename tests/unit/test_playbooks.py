"""Playbooks that contact no host: empty inventories, invalid variables, unreachable hosts."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from helpers.project import PROJECT

PLAYBOOKS = ("setup.yml", "cleanup.yml", "reset.yml", "status.yml")
# Nothing listens on the discard port, so a contacted host is unreachable.
DEAF = "ansible_host=127.0.0.1 ansible_port=9"


def run(tmp_path: Path, playbook: str, inventory: str, *arguments: str) -> tuple[int, str, list[dict[str, Any]]]:
    """Run a playbook from another directory and return its exit status, output and records."""
    (tmp_path / "hosts.ini").write_text(inventory)
    records = tmp_path / "records.json"
    environment = os.environ | {
        "ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"),
        "MEMORY_LEAK_RECORDS_FILE": str(records),
    }
    command = ["ansible-playbook", "-i", "hosts.ini", str(PROJECT / playbook), *arguments]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, json.loads(records.read_text()) if records.exists() else []


@pytest.mark.parametrize("playbook", PLAYBOOKS)
@pytest.mark.parametrize("inventory", ["", "[memory_leak]\n", f"[other]\na {DEAF}\n"])
def test_an_empty_group_is_an_error(tmp_path: Path, playbook: str, inventory: str) -> None:
    status, output, records = run(tmp_path, playbook, inventory)
    assert status != 0
    assert "no host is in the group memory_leak" in " ".join(output.split())
    assert records == []


def test_an_empty_group_is_an_error_with_limit(tmp_path: Path) -> None:
    status, _output, records = run(tmp_path, "setup.yml", f"[other]\na {DEAF}\n", "--limit", "a")
    assert status != 0
    assert records == []


@pytest.mark.parametrize("playbook", PLAYBOOKS)
def test_an_invalid_value_is_refused_before_contacting_hosts(tmp_path: Path, playbook: str) -> None:
    inventory = f"[memory_leak]\na {DEAF}\nb {DEAF}\n"
    status, output, records = run(tmp_path, playbook, inventory, "-e", "memory_leak_rate_mib_per_min=nan")
    assert status != 0
    assert [record["outcome"] for record in records] == ["refused", "refused"]
    assert "memory_leak_rate_mib_per_min is 'nan'" in " ".join(output.split())


def test_an_invalid_value_on_one_host_does_not_stop_the_others(tmp_path: Path) -> None:
    inventory = f"[memory_leak]\na {DEAF} memory_leak_unit=a/b\nb {DEAF}\n"
    status, _output, records = run(tmp_path, "setup.yml", inventory)
    assert status != 0
    assert [(record["host"], record["outcome"]) for record in records] == [("a", "refused"), ("b", "unreachable")]


def test_a_mistyped_variable_is_an_error(tmp_path: Path) -> None:
    status, output, records = run(tmp_path, "setup.yml", f"[memory_leak]\na {DEAF}\n", "-e", "memory_leak_memory_mx=1G")
    assert status != 0
    assert records[0]["outcome"] == "refused"
    assert "did you mean memory_leak_memory_max?" in " ".join(output.split())


def test_the_report_includes_unreachable_hosts(tmp_path: Path) -> None:
    status, output, records = run(tmp_path, "status.yml", f"[memory_leak]\nhost10 {DEAF}\nhost9 {DEAF}\n")
    assert status != 0
    assert [record["host"] for record in records] == ["host9", "host10"]
    assert re.findall(r"^(host\d+) +unreachable", output, re.MULTILINE) == ["host9", "host10"]


def test_an_empty_group_can_be_skipped(tmp_path: Path) -> None:
    for playbook in (*PLAYBOOKS, "playbooks/investigate.yml"):
        status, output, _records = run(tmp_path, playbook, f"[other]\na {DEAF}\n", "-e", "memory_leak_empty_group=skip")
        assert status == 0, output


LOCAL = "ansible_connection=local ansible_python_interpreter=/bin/false"


def test_an_unwritable_report_fails_the_run_but_keeps_the_records(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file, not a directory")
    arguments = ["-e", f"memory_leak_report_dir={tmp_path}/taken"]
    status, output, records = run(tmp_path, "status.yml", f"[memory_leak]\na {LOCAL}\n", *arguments)
    assert status != 0
    assert "could not write the report" in output
    assert [record["host"] for record in records] == ["a"]


SEVERAL = """
- hosts: memory_leak
  gather_facts: false
  ignore_errors: true
  tasks:
    - ansible.builtin.import_role: {{name: memory_leak, tasks_from: {first}, rolespec_validate: false}}
    - ansible.builtin.import_role: {{name: memory_leak, tasks_from: {second}, rolespec_validate: false}}
"""


def test_each_operation_of_a_playbook_has_its_own_table(tmp_path: Path) -> None:
    (tmp_path / "play.yml").write_text(SEVERAL.format(first="status", second="cleanup"))
    reports = ["-e", f"memory_leak_report_dir={tmp_path}/r"]
    _status, output, records = run(
        tmp_path, str(tmp_path / "play.yml"), f"[memory_leak]\na {LOCAL}\nb {LOCAL}\n", *reports
    )
    assert output.count("2 hosts: 2 failed") == 2, output
    assert len(records) == 2
    assert json.loads((tmp_path / "r" / "status.json").read_text())["operation"] == "cleanup"


@pytest.mark.parametrize("bad", ["rate_mib_per_min=0", "seed='{{ nowhere }}'"])
def test_an_invalid_value_does_not_change_the_report_directory(tmp_path: Path, bad: str) -> None:
    inventory = f"[memory_leak]\na {LOCAL} memory_leak_{bad}\n"
    run(tmp_path, "status.yml", inventory, "-e", f"memory_leak_report_dir={tmp_path}/r")
    hosts = json.loads((tmp_path / "r" / "status.json").read_text())["hosts"]
    assert [host["host"] for host in hosts] == ["a"]


LATER = """
from ansible.plugins.callback import CallbackBase

class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_NAME = "zz_later"

    def v2_playbook_on_stats(self, stats):
        print("the later callback has the stats")
"""


def test_a_failing_report_does_not_stop_later_callbacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file, not a directory")
    (tmp_path / "callbacks").mkdir()
    (tmp_path / "callbacks" / "zz_later.py").write_text(LATER)
    monkeypatch.setenv("ANSIBLE_CALLBACK_PLUGINS", str(tmp_path / "callbacks"))
    monkeypatch.setenv("ANSIBLE_CALLBACKS_ENABLED", "zz_later")
    arguments = ["-e", f"memory_leak_report_dir={tmp_path}/taken"]
    _status, output, _records = run(tmp_path, "status.yml", f"[memory_leak]\na {LOCAL}\n", *arguments)
    assert "could not write the report" in output
    assert "the later callback has the stats" in output
