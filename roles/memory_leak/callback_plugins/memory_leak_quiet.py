"""Callback plugin for stdout: Ansible's default output without what the role's report already shows."""

from __future__ import annotations

from typing import Any

from ansible.plugins.callback.default import CallbackModule as Default

DOCUMENTATION = """
name: memory_leak_quiet
type: stdout
short_description: Ansible's default output without what the report of memory_leak already shows
description:
  - Omits the role's own task, a play that has no other task, and the recap if nothing else was run.
    C(memory_leak_report) shows one line per host instead. With C(-v) it is Ansible's default output.
extends_documentation_fragment:
  - default_callback
  - result_format_callback
"""

ACTIONS = frozenset({"memory_leak", "ansible.legacy.memory_leak", "sre_incidents.memory_leak.memory_leak"})


class CallbackModule(Default):  # type: ignore[misc]
    """Passes everything except the role's own task on to the default output."""

    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "memory_leak_quiet"

    def __init__(self) -> None:
        super().__init__()
        self._play_to_announce: Any = None
        self._others_ran = False

    def _is_silent(self, task: Any) -> bool:
        return (task.resolved_action or task.action) in ACTIONS and self._display.verbosity == 0

    def _announce(self) -> None:
        """Announce the play: deferred, since it may have only the role's task."""
        self._others_ran = True
        if self._play_to_announce is not None:
            super().v2_playbook_on_play_start(self._play_to_announce)
            self._play_to_announce = None

    def v2_playbook_on_play_start(self, play: Any) -> None:
        """Defer the announcement of the play to its first task."""
        self._play_to_announce = play
        if self._display.verbosity:
            self._announce()

    def v2_playbook_on_task_start(self, task: Any, is_conditional: bool) -> None:
        """Announce a task that is not the role's own."""
        if not self._is_silent(task):
            self._announce()
            super().v2_playbook_on_task_start(task, is_conditional)

    def v2_runner_on_start(self, host: Any, task: Any) -> None:
        """Pass on the start of a task."""
        if not self._is_silent(task):
            super().v2_runner_on_start(host, task)

    def v2_runner_on_ok(self, result: Any) -> None:
        """Pass on a success."""
        if not self._is_silent(_task(result)):
            super().v2_runner_on_ok(result)

    def v2_runner_on_failed(self, result: Any, ignore_errors: bool = False) -> None:
        """Pass on a failure."""
        if not self._is_silent(_task(result)):
            super().v2_runner_on_failed(result, ignore_errors)

    def v2_runner_on_unreachable(self, result: Any) -> None:
        """Pass on an unreachable host."""
        if not self._is_silent(_task(result)):
            super().v2_runner_on_unreachable(result)

    def v2_playbook_on_no_hosts_remaining(self) -> None:
        """Pass on that no hosts remain, if anything was announced."""
        if self._others_ran:
            super().v2_playbook_on_no_hosts_remaining()

    def v2_playbook_on_stats(self, stats: Any) -> None:
        """Show the recap if anything else was run."""
        if self._others_ran:
            super().v2_playbook_on_stats(stats)


def _task(result: Any) -> Any:
    """Return a result's task; ansible-core 2.19 made it public and deprecated the old name."""
    return result.task if hasattr(result, "task") else result._task
