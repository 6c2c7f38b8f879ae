"""The hosts of an inventory, and programs run on many of them at once."""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import cache
from typing import Any, NamedTuple

import anyio
from ansible import constants
from ansible.cli import CLI
from ansible.errors import AnsibleError
from ansible.inventory.manager import InventoryManager
from ansible.parsing.dataloader import DataLoader
from ansible.plugins.loader import init_plugin_loader
from ansible.vars.manager import VariableManager

from memory_leak_controller.escaping import LONGEST_MESSAGE, printable
from memory_leak_lab.agent.connection import Call, HostConnection, OutputTooLargeError

MOST_COMMANDS_PER_HOST = 8  # sshd's MaxSessions is 10 by default, and others may share the connection
MOST_COMMANDS = 64
CONNECTION_LOST = 255  # ssh's own exit status; a program that is sent never ends with it

logger = logging.getLogger(__name__)


class HostError(Exception):
    """A host did not do what was asked of it; the message says what to do, and quotes neither the host nor the inventory."""


class UnknownHostError(HostError):
    """No host of that name is in the inventory, or it is beyond the limit."""


class HostUnreachableError(HostError):
    """The connection failed or was lost. What was sent may have run, once at most."""


class HostTimeoutError(HostError):
    """The host gave no answer in time."""


class Answer(NamedTuple):
    """What a program on a host printed, and its exit status."""

    status: int
    stdout: str
    stderr: str


@cache
def _vault_secrets() -> Any:
    """Set Ansible up, once for the process, and return the vault secrets that its configuration names. Raises AnsibleError."""
    init_plugin_loader()  # which finds the plugins of collections
    return CLI.setup_vault_secrets(DataLoader(), list(constants.DEFAULT_VAULT_IDENTITY_LIST), auto_prompt=False)


class _Host:
    """One host: the connections that are free for a command, and how many may be in use."""

    def __init__(self, of_inventory: Any) -> None:
        self.of_inventory = of_inventory
        self.slots = anyio.Semaphore(MOST_COMMANDS_PER_HOST)
        self.free: list[HostConnection] = []


class Hosts:
    """The hosts of inventories, reached as Ansible reaches them. Raises AnsibleError for inventories that can't be read.

    `limit` is a host pattern. Vault passwords come from where ansible.cfg and the environment say.
    """

    def __init__(self, inventories: Sequence[str], limit: str | None = None) -> None:
        self._loader = DataLoader()
        self._loader.set_vault_secrets(_vault_secrets())
        inventory = InventoryManager(self._loader, sources=list(inventories))
        inventory.subset(limit)
        self._variables = VariableManager(self._loader, inventory)
        self._hosts = {host.name: _Host(host) for host in inventory.get_hosts()}
        self._making = threading.Lock()  # Ansible's plugin loaders and templates are not thread-safe
        self._threads = anyio.CapacityLimiter(MOST_COMMANDS)

    @property
    def names(self) -> list[str]:
        """The names of the hosts, in the inventory's order."""
        return list(self._hosts)

    async def run(self, name: str, program: bytes, timeout_s: float) -> Answer:
        """Run a Python program with a host's Python, in one command that is never repeated, and return what it printed.

        Raises HostError. At the time-out, or when it is cancelled, the client on the controller is killed; a program that
        may run for long must itself notice that, or end by itself.
        """
        host = self._hosts.get(name)
        if host is None:
            raise UnknownHostError(f"there is no host {printable(name, 100)!r}: list_hosts returns the names")
        call = Call()
        async with host.slots:
            try:
                with anyio.fail_after(timeout_s):
                    return await anyio.to_thread.run_sync(
                        self._run, name, host, program, call, abandon_on_cancel=True, limiter=self._threads
                    )
            except TimeoutError:
                raise HostTimeoutError(
                    f"{name} gave no answer in {timeout_s:.0f} s: it may be overloaded, frozen or down; try again, or look "
                    "at another host meanwhile"
                ) from None
            finally:
                call.end()

    def _run(self, name: str, host: _Host, program: bytes, call: Call) -> Answer:
        """Run a program, in a thread. Raises HostError."""
        try:
            connection = self._connection(host)
            try:
                found = connection.run_program(program, call)
            finally:
                host.free.append(connection)
        except OutputTooLargeError:
            raise HostError(f"{name} sent more than any answer holds, and was cut off") from None
        except AnsibleError as error:
            self._log(name, str(error))
            raise HostUnreachableError(
                f"{name} could not be reached, or the connection was lost. A command that was sent may have run. Try again, "
                "or look at another host meanwhile"
            ) from None
        if found["rc"] == CONNECTION_LOST:
            self._log(name, found["stderr"])
            raise HostUnreachableError(
                f"the connection to {name} was lost. What was sent may have run; look before you repeat it"
            )
        return Answer(found["rc"], found["stdout"], found["stderr"])

    def _connection(self, host: _Host) -> HostConnection:
        try:
            return host.free.pop()
        except IndexError:
            with self._making:
                variables = self._variables.get_vars(host=host.of_inventory, include_hostvars=False)
                return HostConnection(self._loader, variables)

    def _log(self, name: str, reason: str) -> None:
        """Tell the operator, and not the agent: the reason names the inventory's files and accounts."""
        logger.warning("%s: %s", name, printable(reason, LONGEST_MESSAGE))
