"""A fleet of local containers for tests and benchmarks: runs plain ssh on it and observes its hosts from outside."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from memory_leak_lab.lab import hosts, lifecycle
from memory_leak_lab.lab.drivers import nspawn

PARALLEL_SSH = 10  # more gained nothing on two cores
UNIT = "memory-leak.service"
INVENTORY = Path(__file__).parents[3] / "inventory" / "lab.py"


class Fleet:
    """A lab of Debian 12 containers. The inventory logs in as `users`, in turn; `run` as root."""

    def __init__(self, count: int, work: Path, name: str = "bench", users: Sequence[str] = ("root",)):
        lifecycle.up(name, "nspawn", count, ["bookworm"], list(users), 2048, print)
        self.name = name
        self.directory = hosts.lab_directory(name)
        self.work = work
        self.hosts = sorted(hosts.running(name), key=lambda host: (len(host.name), host.name))
        answer = subprocess.run(
            [sys.executable, str(INVENTORY)],
            env=os.environ | {"MEMORY_LEAK_LAB": name},
            capture_output=True,
            check=True,
        )
        self.variables: dict[str, dict[str, Any]] = json.loads(answer.stdout)["_meta"]["hostvars"]

    def down(self) -> None:
        """Take the fleet down, with everything that runs on it."""
        self.close_connections()
        lifecycle.down(self.name)

    def inventory(self, count: int, variables: dict[int, dict[str, str]] | None = None) -> Path:
        """Write an inventory of the first `count` hosts and return its path. `variables` adds variables by host number."""
        path = self.work / f"hosts-{count}.ini"
        lines = ["[memory_leak]"]
        for number, host in enumerate(self.hosts[:count]):
            of_host = self.variables[host.name] | (variables or {}).get(number, {})
            settings = (f"{name}={json.dumps(value)}" for name, value in of_host.items())
            lines.append(" ".join([host.name, *settings]))
        path.write_text("\n".join(lines) + "\n")
        return path

    def ssh_options(self, keep_open: bool) -> list[str]:
        """Return the options of plain ssh. With `keep_open` it shares the connections that Ansible keeps open."""
        options = ["-F", "none", "-o", f"UserKnownHostsFile={self.directory}/known_hosts", "-o", "IdentitiesOnly=yes"]
        options += ["-i", f"{self.directory}/key", "-o", "BatchMode=yes"]
        if keep_open:
            options += [
                "-o",
                "ControlMaster=auto",
                "-o",
                "ControlPersist=10m",
                "-o",
                f"ControlPath={self.directory}/%r-%p",
            ]
        return options

    def parallel_ssh(self, script: Path, count: int, keep_open: bool) -> list[str]:
        """Return a command that runs a shell script on the first `count` hosts over plain ssh, PARALLEL_SSH at a time."""
        ports = " ".join(str(host.port) for host in self.hosts[:count])
        options = " ".join(self.ssh_options(keep_open))
        ssh = f"exec ssh {options} -p {{}} root@127.0.0.1 sh -s <{script}"
        return ["sh", "-c", f"printf '%s\\n' {ports} | xargs -P {PARALLEL_SSH} -I{{}} sh -c '{ssh}'"]

    def run_everywhere(self, script: str, count: int) -> None:
        """Run a shell script on hosts, unmeasured, and keep connections open. Raises CalledProcessError if a host fails."""
        path = self.work / "unmeasured.sh"
        path.write_text(script)
        subprocess.run(self.parallel_ssh(path, count, keep_open=True), check=True, capture_output=True)

    def run(self, number: int, script: str, interpreter: str = "sh -s") -> subprocess.CompletedProcess[str]:
        """Run a script on the host with this number, over a connection that is kept open."""
        options = self.ssh_options(keep_open=True)
        command = ["ssh", *options, "-p", str(self.hosts[number].port), "root@127.0.0.1", interpreter]
        return subprocess.run(command, input=script, capture_output=True, text=True, errors="replace", check=False)

    def close_connections(self) -> None:
        """Close all open ssh connections."""

        def close(socket: Path) -> None:
            command = ["ssh", "-F", "none", "-o", f"ControlPath={socket}", "-O", "exit", "fleet"]
            subprocess.run(command, capture_output=True, check=False)

        with ThreadPoolExecutor(PARALLEL_SSH) as pool:
            list(pool.map(close, (path for path in self.directory.iterdir() if path.is_socket())))

    def running(self, count: int) -> int:
        """Return how many of the first `count` hosts run the workload, as seen from outside in their cgroups."""
        return sum(self._runs(self.directory / host.name) for host in self.hosts[:count])

    def _runs(self, home: Path) -> bool:
        groups = (unit for group in nspawn.cgroups(home) for unit in group.rglob(UNIT))
        return any((group / "cgroup.procs").read_text() for group in groups)

    def round_trips(self, count: int) -> list[int]:
        """Return the number of commands and file transfers that each of the first `count` hosts' sshd served since boot."""

        def asked(home: Path) -> int:
            pid = nspawn.Nspawn().main_process(hosts.process(home) or 0)
            enter = ["nsenter", "--target", str(pid), "--mount", "--pid"]
            log = subprocess.run([*enter, "journalctl", "--output=cat", "--unit=ssh"], capture_output=True, check=True)
            return log.stdout.count(b"Starting session: ")

        with ThreadPoolExecutor(PARALLEL_SSH) as pool:
            return list(pool.map(asked, (self.directory / host.name for host in self.hosts[:count])))
