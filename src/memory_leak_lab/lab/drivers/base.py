"""What a driver is: a way of running the hosts of a lab.

To add one, write a subclass of Driver in a module of this package and register it in `drivers/__init__.py`; nothing else
names it. A host's directory (its `home`, see `lab/hosts.py`) holds all that a driver must know to find the host again.

The errors are those of `lab/errors.py`, and every message says what to do:

LabError
    Something is missing or did not work. Any method may raise it.
DriverUnavailableError
    This computer cannot run such hosts: no root, or a kernel that does not suit them. Only `check` raises it.
HostHangsError
    A host runs but accepts no login. `lifecycle` raises it if `recover` did not help.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import ClassVar

from memory_leak_lab.lab import hosts
from memory_leak_lab.lab.hosts import Host


class Driver(ABC):
    """Runs the hosts of labs. It keeps no state: all of it is in the directories of the labs."""

    name: ClassVar[str]  # the value of lab_driver
    description: ClassVar[str]  # what its hosts are, in the plural
    max_hosts: ClassVar[int]
    tools: ClassVar[Mapping[str, str]]  # the commands that it runs, and their packages on Debian and Ubuntu

    @abstractmethod
    def check(self, releases: Sequence[str]) -> None:
        """Raise DriverUnavailableError if hosts with these releases cannot run here. Changes nothing."""

    @abstractmethod
    def start(self, directory: Path, started: Sequence[Host]) -> None:
        """Start hosts of the lab in a directory, at the endpoints they have, and return while they boot. Raises LabError."""

    def place(self, placed: Sequence[Host]) -> list[Host]:
        """Return hosts with the endpoint at which each will accept ssh: by default a free port of the loopback interface."""
        ports = hosts.free_ports(len(placed))
        return [replace(host, address=hosts.LOOPBACK, port=port) for host, port in zip(placed, ports, strict=True)]

    def recover(self, _home: Path) -> bool:
        """Reset a host that hangs, keeping its disk. Return False if such hosts cannot be reset. Raises LabError."""
        return False

    def main_process(self, pid: int) -> int:
        """Return the PID of the process whose end is the host's end, given the one that the home's `pid` names."""
        return pid

    def down(self, home: Path) -> None:
        """Kill the host of a directory and remove what it left elsewhere. A host that is gone is no error. Raises LabError."""
        pid = hosts.process(home)
        if pid:
            hosts.kill(home, self.main_process(pid))
        self.clean(home)

    def clean(self, home: Path) -> None:  # noqa: B027 # most drivers have nothing to remove
        """Remove what a dead host left outside its directory, by default nothing. Raises LabError."""

    def tidy(self, directory: Path) -> None:  # noqa: B027 # likewise
        """Remove what the hosts of a lab shared, by default nothing. All of them are down. Raises LabError."""
