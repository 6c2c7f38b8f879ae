"""The driver interface: a driver runs the hosts of a lab.

To add one, write a subclass of Driver in a module of this package and register it in `drivers/__init__.py`; nothing else
refers to it. A host's directory (its `home`, see `lab/hosts.py`) holds everything a driver needs to find the host again.

The errors are defined in `lab/errors.py`. Every message says what to do:

LabError
    Something is missing or failed. Any method may raise it.
DriverUnavailableError
    This computer cannot run such hosts: not root, or an unsuitable kernel. Only `check` raises it.
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
    """Runs the hosts of labs. Stateless: all state is in the labs' directories."""

    name: ClassVar[str]  # the value of lab_driver
    description: ClassVar[str]  # plural noun for its hosts, used in messages
    max_hosts: ClassVar[int]
    tools: ClassVar[Mapping[str, str]]  # commands that it runs -> their Debian and Ubuntu packages

    @abstractmethod
    def check(self, releases: Sequence[str]) -> None:
        """Raise DriverUnavailableError if hosts with these releases cannot run here. Changes nothing."""

    @abstractmethod
    def start(self, directory: Path, started: Sequence[Host]) -> None:
        """Start hosts of the lab in `directory` at their endpoints, and return while they boot. Raises LabError."""

    def place(self, placed: Sequence[Host]) -> list[Host]:
        """Return the hosts with the endpoints at which they will accept SSH. Default: a free loopback port each."""
        ports = hosts.free_ports(len(placed))
        return [replace(host, address=hosts.LOOPBACK, port=port) for host, port in zip(placed, ports, strict=True)]

    def recover(self, _home: Path) -> bool:
        """Reset a hung host and keep its disk. Return False if the driver cannot reset hosts. Raises LabError."""
        return False

    def main_process(self, pid: int) -> int:
        """Return the PID of the process whose exit ends the host, given the PID in the home's `pid` file."""
        return pid

    def down(self, home: Path) -> None:
        """Kill the host of a directory, if it is running, and remove what it left elsewhere. Raises LabError."""
        pid = hosts.process(home)
        if pid:
            hosts.kill(home, self.main_process(pid))
        self.clean(home)

    def clean(self, home: Path) -> None:  # noqa: B027 # most drivers have nothing to remove
        """Remove what a dead host left outside its directory. Default: nothing. Raises LabError."""

    def tidy(self, directory: Path) -> None:  # noqa: B027 # likewise
        """Remove what the hosts of a lab shared; all are down. Default: nothing. Raises LabError."""
