"""The contenders measured on the fleet and their commands: the role, plain ssh, and peers."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import ansible_mitogen

from bench import steps
from memory_leak_lab.lab.fleet import PARALLEL_SSH, Fleet

PEERS = steps.PROJECT / "bench" / "peers"
ANSIBLE_PLAYBOOK = str(Path(sys.executable).parent / "ansible-playbook")
ANSIBLE_CORE_RS = str(steps.PROJECT / ".venv-ansible-core-rs" / "bin" / "ansible")
# Whether the workload runs on every host or on none after an operation. Other operations change nothing.
LEAVES_RUNNING = {"setup": True, "reset": True, "cleanup": False}


@dataclass(frozen=True)
class Contender:
    """One way to do the work: its operations in the order they are run, and the command for each."""

    name: str
    operations: tuple[str, ...]
    command: Callable[[str, int], list[str]]  # (operation, number of hosts) -> command
    kept: tuple[bool, ...]  # connection modes to measure; True: connections are kept open
    environment: Mapping[str, str] = field(default_factory=dict)


def basic(fleet: Fleet) -> list[Contender]:
    """Return the contenders measured at every size: plain ssh with new connections, which is the limit, and the role."""

    def ssh(operation: str, count: int) -> list[str]:
        return fleet.parallel_ssh(_script(fleet, operation), count, keep_open=False)

    def role(operation: str, count: int) -> list[str]:
        playbook = operation.removesuffix(" again")
        return [ANSIBLE_PLAYBOOK, f"{playbook}.yml", "-i", str(fleet.inventory(count))]

    return [
        Contender("parallel ssh", ("setup", "reset", "cleanup"), ssh, (False,)),
        Contender("this role", ("setup", "setup again", "status", "reset", "cleanup"), role, (False, True)),
    ]


def _script(fleet: Fleet, operation: str) -> Path:
    path = fleet.work / f"{operation}.sh"
    path.write_text(steps.scripts()[operation])
    return path


def peers(fleet: Fleet) -> list[Contender]:
    """Return other ways to use ssh, and the setup of an ordinary six-task role under several engines."""
    variables = fleet.work / "peers.json"
    variables.write_text(json.dumps(steps.peer_variables()))
    settings = {"ANSIBLE_CONFIG": str(PEERS / "ansible.cfg")}
    plugins = Path(ansible_mitogen.__file__).parent / "plugins" / "strategy"
    mitogen = {"ANSIBLE_STRATEGY": "mitogen_linear", "ANSIBLE_STRATEGY_PLUGINS": str(plugins)}

    def playbook(engine: list[str], name: str) -> Callable[[str, int], list[str]]:
        def command(_operation: str, count: int) -> list[str]:
            inventory = str(fleet.inventory(count))
            return [*engine, str(PEERS / f"{name}.yml"), "-i", inventory, "-e", f"@{variables}", "-f", "20"]

        return command

    def contender(name: str, engine: list[str], playbook_name: str, environment: dict[str, str]) -> Contender:
        return Contender(name, ("setup",), playbook(engine, playbook_name), (False,), settings | environment)

    def ssh(operation: str, count: int) -> list[str]:
        return fleet.parallel_ssh(_script(fleet, operation), count, keep_open=True)

    def library(operation: str, count: int) -> list[str]:
        program = str(PEERS / "parallel_ssh_library.py")
        ports = [str(host.port) for host in fleet.hosts[:count]]
        script = str(_script(fleet, operation))
        return [sys.executable, program, script, f"{fleet.directory}/key", str(PARALLEL_SSH), *ports]

    return [
        Contender("parallel ssh", ("setup", "reset", "cleanup"), ssh, (True,)),
        Contender("parallel-ssh library", ("setup", "reset", "cleanup"), library, (False,)),
        contender("six tasks", [ANSIBLE_PLAYBOOK], "six_tasks", {}),
        contender("six tasks with facts", [ANSIBLE_PLAYBOOK], "six_tasks_with_facts", {}),
        contender("six tasks, Mitogen", [ANSIBLE_PLAYBOOK], "six_tasks", mitogen),
        contender("six tasks, ansible-core-rs", [ANSIBLE_CORE_RS, "playbook"], "six_tasks", {}),
    ]
