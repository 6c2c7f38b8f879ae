"""Hosts without a machine: each has a fake Python that ignores the program and prints a given answer."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

from helpers.project import PROJECT
from memory_leak_controller.transport import RESULT_MARK

WORKLOAD = {
    **{
        "unit": "memory-leak.service",
        "pid": 1234,
        "command": "/usr/bin/python3 /mcp/scenarios/memory-leak/workload.py",
    },
    **{"started_at": "2026-11-22T08:07:29Z", "uptime_s": 61.5, "rss_bytes": 43253760, "target_rate_mib_per_min": 30.0},
    **{"cpu_percent": 0.31, "requests_per_s": 10.0, "ceiling_bytes": 1 << 30, "oom_in_s": 1963},
}


def answer(workload: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """Return what a host with a running workload answers, with changes to it and to its workload."""
    return {
        **{"outcome": "running", "workload": {**WORKLOAD, **(workload or {})}, "mem_available_bytes": 1 << 30},
        **{"failed": False, "changed": True, "message": "", "changes": [], "warnings": [], "observation": None},
        **changes,
    }


def observation(**changes: Any) -> dict[str, Any]:
    """Return the observation of a leaking workload over a minute."""
    samples = [[float(second), (40 << 20) + second * (1 << 19), 1 << 30, second * 0.003] for second in range(61)]
    return {"samples": samples, "request_rates": [10.0] * 6, "ended": False, **changes}


def play(tasks: str, hosts: str = "memory_leak", **keywords: Any) -> dict[str, Any]:
    """Return a play that runs operations of the role, such as "setup status"."""
    roles = [
        {"ansible.builtin.import_role": {"name": "memory_leak", "tasks_from": task, "rolespec_validate": False}}
        for task in tasks.split()
    ]
    return {"hosts": hosts, "gather_facts": False, "tasks": roles, **keywords}


class StubHosts:
    """Stub hosts, and playbook runs on them. Reports and ground truth go to `directory`/r."""

    def __init__(self, directory: Path, answers: dict[str, Any], **host_variables: dict[str, str]) -> None:
        self.directory = directory
        hosts = {}
        for number, (name, given) in enumerate(answers.items()):
            text = given if isinstance(given, str) else RESULT_MARK + ascii(given)
            (directory / f"answer{number}").write_text(f"{text}\n")
            python = directory / f"python{number}"
            python.write_text(f"#!/bin/sh\ncat >/dev/null\ncat {directory}/answer{number}\n")
            python.chmod(0o755)
            hosts[name] = {"ansible_connection": "local", "ansible_python_interpreter": str(python)}
            hosts[name] |= host_variables.get(name, {})
        self.inventory = directory / "inventory.json"
        self.inventory.write_text(json.dumps({"memory_leak": {"hosts": hosts}}))

    def run(self, playbook: str | list[dict[str, Any]], *arguments: str, **options: Any) -> tuple[int, str]:
        """Run a playbook of the project, or plays, and return the exit status and the output."""
        path = PROJECT / f"{playbook}.yml" if isinstance(playbook, str) else self.directory / "plays.yml"
        if not isinstance(playbook, str):
            path.write_text(json.dumps(playbook))
        environment = {
            **os.environ,
            **{"ANSIBLE_CONFIG": str(PROJECT / "ansible.cfg"), "ANSIBLE_ROLES_PATH": str(PROJECT / "roles")},
            **options.pop("environment", {}),
        }
        directories = {"memory_leak_report_dir": f"{self.directory}/r"}
        if options.pop("ground_truth", True):
            directories["memory_leak_ground_truth_dir"] = f"{self.directory}/r/truth"
        command = ["ansible-playbook", "-i", str(self.inventory), str(path), "-e", json.dumps(directories), *arguments]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT, **options}
        done = subprocess.run(command, env=environment, text=True, check=False, **pipes)
        return done.returncode, done.stdout or ""

    def status(self) -> dict[str, dict[str, Any]]:
        """Return the records in status.json by host."""
        records = json.loads((self.directory / "r" / "status.json").read_text())["hosts"]
        return {record["host"]: record for record in records}

    def truth(self, host: str, directory: str = "r/truth") -> list[tuple[str, str | None]]:
        """Return event and variant of each line of a host's ground truth."""
        path = self.directory / directory / f"{host}.jsonl"
        lines = map(json.loads, path.read_text().splitlines()) if path.exists() else ()
        return [(line["event"], line["variant"]) for line in lines]
