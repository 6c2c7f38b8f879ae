"""Cleanup leaves nothing on any host."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize("path", ["/tmp/memory-leak.pid", "/tmp/memory-leak.log", "/mcp"])
def test_path_is_gone(host: Any, path: str) -> None:
    assert not host.file(path).exists


def test_no_temporary_file_is_left(host: Any) -> None:
    assert host.check_output("ls -A /tmp | grep -i memory-leak || true") == ""


def test_no_process_runs_the_workload(host: Any) -> None:
    # The brackets keep the command from matching itself.
    assert host.check_output("grep -lsa 'workload[.]py' /proc/[0-9]*/cmdline || true") == ""


def test_unit_is_unknown_to_systemd(host: Any) -> None:
    assert host.check_output("systemctl show --value --property=LoadState memory-leak.service") == "not-found"
    assert host.check_output("systemctl list-units --all --plain --no-legend 'memory-leak*'") == ""
    assert host.check_output("ls -A /run/systemd/transient 2>/dev/null | grep service || true") == ""


def test_second_cleanup_changes_nothing(host: Any, playbook: Any) -> None:
    name = host.backend.host
    record = playbook("cleanup.yml", "--limit", name)[name]
    assert (record["changed"], record["outcome"]) == (False, "absent")
