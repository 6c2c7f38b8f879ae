"""One connection to one host: Ansible's connection, become and shell plugins, set up from the inventory's variables.

Ansible's plugins have neither a time-out for a command nor a bound for its output. Both are added where a plugin starts its
client (ssh, say): `ClientProcess` takes the place of `subprocess.Popen` in the plugin's module.
"""

from __future__ import annotations

import io
import os
import shlex
import subprocess
import sys
import threading
from types import ModuleType
from typing import Any

from ansible import constants
from ansible.errors import AnsibleError
from ansible.module_utils.parsing.convert_bool import boolean
from ansible.playbook.play_context import PlayContext
from ansible.playbook.task import Task
from ansible.plugins import loader as plugins
from ansible.plugins.action import ActionBase
from ansible.template import Templar

from memory_leak_controller import transport

READ_BYTES = 65536
MOST_OUTPUT_BYTES = 512 * 1024  # of stdout and of stderr; the programs that are sent bound theirs well below


class OutputTooLargeError(Exception):
    """A host sent more than MOST_OUTPUT_BYTES."""


class Call:
    """A command under way on a host. `end` ends its client from any thread, also one that has not been started yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._client: subprocess.Popen[bytes] | None = None
        self._has_ended = False

    def started(self, client: subprocess.Popen[bytes]) -> None:
        """Note the client that runs the command."""
        with self._lock:
            self._client = client
            if self._has_ended:
                client.kill()

    def end(self) -> None:
        """Kill the client, if it still runs, and any that starts from now on."""
        with self._lock:
            self._has_ended = True
            if self._client:
                self._client.kill()


class _Current(threading.local):
    call: Call | None = None


_current = _Current()


class _Output(io.FileIO):
    """The reading end of a client's output. Raises OutputTooLargeError beyond MOST_OUTPUT_BYTES."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(descriptor)
        self._total_bytes = 0

    def read(self, _size: int | None = -1, /) -> bytes:
        found = super().read(READ_BYTES)
        self._total_bytes += len(found or b"")
        if self._total_bytes > MOST_OUTPUT_BYTES:
            raise OutputTooLargeError
        return found


class ClientProcess(subprocess.Popen[bytes]):
    """A process that a connection plugin starts on the controller, with bounded output and under the control of its call."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        for name in ("stdout", "stderr"):
            stream = getattr(self, name)
            if stream:
                setattr(self, name, _Output(os.dup(stream.fileno())))
                stream.close()
        if _current.call:
            _current.call.started(self)


def _take_control(module: ModuleType) -> None:
    """Make a connection plugin's module start its clients as `ClientProcess`."""
    if getattr(module, "subprocess", None) is subprocess:
        controlled = ModuleType("subprocess")
        controlled.__dict__.update(vars(subprocess), Popen=ClientProcess)
        vars(module)["subprocess"] = controlled


class _Action(ActionBase):  # type: ignore[misc] # Ansible is not typed
    """Ansible's way from a command to a connection: become, shell and encoding as for any task."""

    def run(self, tmp: str | None = None, task_vars: dict[str, Any] | None = None) -> dict[str, Any]:
        """Not used: nothing runs this as a task."""
        raise NotImplementedError


def _load(loader: Any, name: str, *arguments: Any) -> Any:
    """Return a plugin by its name. Raises AnsibleError where there is none."""
    found = loader.get(name, *arguments)
    if found is None:
        raise AnsibleError(f"Ansible has no {loader.type} plugin {name!r}")
    return found


class HostConnection:
    """A connection to a host, for one command at a time. Making one is not thread-safe, running a command is.

    `variables`: all of the host's in the inventory. Raises AnsibleError where they do not make a connection.
    """

    def __init__(self, loader: Any, variables: dict[str, Any]) -> None:
        # A host may have run a command before its connection broke, so no command is ever repeated.
        variables = variables | {"ansible_ssh_retries": 0}
        templar = Templar(loader, variables)

        def value(name: str, default: Any) -> Any:
            found = variables.get(name)
            return default if found is None else templar.template(found)

        def set_options(plugin: Any, kind: str) -> None:
            names = constants.config.get_plugin_vars(kind, plugin._load_name)
            plugin.set_options(var_options={name: value(name, None) for name in names if name in variables})

        context = PlayContext()
        context.executable = value("ansible_shell_executable", constants.DEFAULT_EXECUTABLE)
        connection = _load(plugins.connection_loader, value("ansible_connection", constants.DEFAULT_TRANSPORT), context)
        if not connection.has_pipelining:
            raise AnsibleError(
                f"the connection plugin {connection.transport} can't send data to a command: use ssh or local"
            )
        connection.set_options(var_options=connection._resolve_option_variables(variables, templar))
        set_options(connection._shell, "shell")
        if boolean(value("ansible_become", constants.DEFAULT_BECOME)):
            become = _load(plugins.become_loader, value("ansible_become_method", constants.DEFAULT_BECOME_METHOD))
            connection.set_become_plugin(become)
            set_options(become, "become")
        _take_control(sys.modules[type(connection).__module__])
        self._action = _Action(Task(), connection, context, loader, templar, plugins)
        self._shell = context.executable
        self._command = f"{shlex.quote(transport.interpreter(self._action, variables))} -I -S -"

    def run_program(self, program: bytes, call: Call) -> dict[str, Any]:
        """Run a Python program with the host's Python, in one command; return `rc`, `stdout` and `stderr`.

        Blocks until it has ended, or `call` is. Raises AnsibleError where the connection or the escalation fails, and
        OutputTooLargeError.
        """
        _current.call = call
        try:
            # With the shell named, Ansible does not add a `sleep 0`, a tenth of the time of a short call, which only guards
            # against output lost on terminals.
            answer: dict[str, Any] = self._action._low_level_execute_command(
                self._command, in_data=program, executable=self._shell
            )
        finally:
            _current.call = None
        return answer
