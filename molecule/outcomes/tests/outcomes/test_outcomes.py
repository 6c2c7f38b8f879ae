"""In every state of the workload, status reports it, cleanup removes it, and foreign files stay untouched."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

WORKLOAD = "/mcp/scenarios/memory-leak/workload.py"
LOG, PID_FILE = "/tmp/memory-leak.log", "/tmp/memory-leak.pid"
Operate = Callable[..., dict[str, Any]]


def is_alive(host: Any, pid: int) -> bool:
    """Return whether a process exists."""
    return bool(host.run(f"kill -0 {pid}").succeeded)


@pytest.mark.parametrize(
    ("command", "outcome"),
    [
        ("systemctl stop memory-leak", "stopped"),
        ("kill {pid}; sleep 1", "stopped"),
        ("kill -KILL {pid}; sleep 1", "crashed"),
        ("kill -STOP {pid}", "running"),
        ("systemctl freeze memory-leak", "running"),
    ],
)
def test_cleanup_works_in_every_state_of_the_service(
    host: Any, operate: Operate, running: dict[str, Any], command: str, outcome: str
) -> None:
    host.run_expect([0], command.format(pid=running["pid"]))
    assert operate("status")["outcome"] == outcome
    assert operate("cleanup")["outcome"] == "absent"
    assert not is_alive(host, running["pid"])
    for path in (LOG, PID_FILE, "/mcp"):
        assert not host.file(path).exists
    assert host.check_output("systemctl show --value --property=LoadState memory-leak.service") == "not-found"


def test_setup_restarts_the_service_after_a_crash(host: Any, operate: Operate, running: dict[str, Any]) -> None:
    host.run_expect([0], f"kill -KILL {running['pid']}")
    record = operate("setup")
    assert (record["outcome"], record["changed"]) == ("running", True)
    assert record["pid"] != running["pid"]


def test_a_manual_start_is_found_and_removed_and_an_editor_survives(
    host: Any, operate: Operate, running: dict[str, Any]
) -> None:
    host.run_expect([0], "systemctl stop memory-leak")
    manual = host.check_output(f"cd $(dirname {WORKLOAD}); python3 workload.py >{LOG} 2>&1 & echo $!")
    editor = host.check_output(f"tail -F {WORKLOAD} >/dev/null 2>&1 & echo $!")
    record = operate("status")
    assert (record["outcome"], record["unit"], record["ceiling_bytes"]) == ("running", None, None)
    assert record["pid"] != running["pid"]
    assert record["pid"] == int(manual)
    assert operate("cleanup")["outcome"] == "absent"
    assert not is_alive(host, record["pid"])
    assert is_alive(host, int(editor))
    host.run_expect([0], f"kill {editor}")


@pytest.mark.usefixtures("absent")
def test_a_symlink_and_a_pipe_are_replaced_and_not_followed(host: Any, operate: Operate) -> None:
    host.run_expect([0], f"echo keep >/root/precious; ln -s /root/precious {PID_FILE}; mkfifo {LOG}")
    record = operate("setup")
    assert record["outcome"] == "running"
    assert host.file("/root/precious").content_string == "keep\n"
    assert host.file(PID_FILE).content_string == f"{record['pid']}\n"
    assert not host.file(PID_FILE).is_symlink
    assert host.file(LOG).is_file


@pytest.mark.usefixtures("absent")
def test_a_directory_at_a_configured_path_is_refused_and_nothing_is_touched(host: Any, operate: Operate) -> None:
    host.run_expect([0], f"mkdir {LOG}")
    for operation in ("setup", "reset"):
        record = operate(operation, fails=True)
        assert record["outcome"] == "refused"
        assert LOG in record["message"]
    record = operate("cleanup")
    assert (record["outcome"], record["changed"]) == ("absent", False)
    assert LOG in record["message"]
    assert host.file(LOG).is_directory
    assert not host.file("/mcp").exists
    host.run_expect([0], f"rmdir {LOG}")


@pytest.mark.usefixtures("absent")
def test_a_foreign_unit_with_the_same_name_is_refused(host: Any, operate: Operate) -> None:
    unit = "/etc/systemd/system/memory-leak.service"
    host.run_expect([0], f"printf '[Service]\\nExecStart=/bin/sleep 600\\n' >{unit}; systemctl daemon-reload")
    host.run_expect([0], "systemctl start memory-leak")
    for operation in ("setup", "cleanup"):
        record = operate(operation, fails=True)
        assert record["outcome"] == "refused"
        assert unit in record["message"]
    assert operate("status")["outcome"] == "refused"
    assert host.check_output("systemctl is-active memory-leak") == "active"
    host.run_expect([0], f"systemctl stop memory-leak; rm {unit}; systemctl daemon-reload")


@pytest.mark.usefixtures("absent")
def test_cleanup_finds_the_service_whatever_its_name(host: Any, operate: Operate) -> None:
    names = "memory_leak_unit=cache memory_leak_directory=/srv/cache/app memory_leak_log_file=/var/log/cache.log"
    record = operate("setup", "-e", names, "-e", "memory_leak_pid_file=/run/cache.pid")
    assert (record["outcome"], record["unit"]) == ("running", "cache.service")
    assert operate("status")["pid"] == record["pid"]
    assert operate("cleanup")["outcome"] == "absent"
    for path in ("/srv/cache", "/var/log/cache.log", "/run/cache.pid"):
        assert not host.file(path).exists
    assert host.file("/srv").is_directory
    assert not is_alive(host, record["pid"])


@pytest.mark.usefixtures("absent")
def test_cleanup_keeps_foreign_files(host: Any, operate: Operate) -> None:
    operate("setup")
    host.run_expect([0], "touch /mcp/scenarios/memory-leak/notes.txt")
    record = operate("cleanup")
    assert record["outcome"] == "absent"
    assert "notes.txt" in record["message"]
    assert host.check_output("find /mcp -type f") == "/mcp/scenarios/memory-leak/notes.txt"
    host.run_expect([0], "rm -r /mcp")


def test_setup_fixes_a_wrong_pid_file_without_a_restart(host: Any, operate: Operate, running: dict[str, Any]) -> None:
    host.run_expect([0], f"echo 1 >{PID_FILE}")
    record = operate("setup")
    assert (record["changes"], record["pid"]) == ([f"write {PID_FILE}"], running["pid"])
    assert host.file(PID_FILE).content_string == f"{running['pid']}\n"


def test_cleanup_does_not_trust_the_pid_file(host: Any, operate: Operate) -> None:
    operate("setup")
    bystander = host.check_output("sleep 600 >/dev/null 2>&1 & echo $!")
    host.run_expect([0], f"echo {bystander} >{PID_FILE}")
    assert operate("cleanup")["outcome"] == "absent"
    assert is_alive(host, int(bystander))
    host.run_expect([0], f"kill {bystander}")


@pytest.mark.parametrize(
    "change", ["memory_leak_rate_mib_per_min=45", "memory_leak_memory_max=512M", "memory_leak_log_file=/tmp/other.log"]
)
def test_check_mode_predicts_the_changes_of_another_definition(
    operate: Operate, running: dict[str, Any], change: str
) -> None:
    predicted = operate("setup", "-e", change, "--check")
    assert operate("status")["pid"] == running["pid"]
    record = operate("setup", "-e", change)
    assert predicted["changes"] == record["changes"] != []
    assert (record["outcome"], record["changed"]) == ("running", True)
    assert record["pid"] != running["pid"]
    assert operate("setup", "-e", change)["changed"] is False


def test_a_modified_workload_file_is_restored_and_restarted(
    host: Any, operate: Operate, running: dict[str, Any]
) -> None:
    host.run_expect([0], f"echo '# altered' >>{WORKLOAD}")
    record = operate("setup")
    assert record["changed"] is True
    assert record["pid"] != running["pid"]
    assert "altered" not in host.file(WORKLOAD).content_string


@pytest.mark.parametrize("operation", ["reset", "cleanup"])
def test_check_mode_predicts_reset_and_cleanup(operate: Operate, running: dict[str, Any], operation: str) -> None:
    predicted = operate(operation, "--check")
    assert operate("status")["pid"] == running["pid"]
    record = operate(operation)
    assert predicted["changes"] == record["changes"] != []
    assert predicted["outcome"] == record["outcome"]
    assert record["pid"] != running["pid"]


@pytest.mark.usefixtures("absent")
@pytest.mark.parametrize(
    ("variable", "outcome", "word"),
    [
        ("memory_leak_memory_max=64G", "refused", "memory_leak_memory_max"),
        ("memory_leak_workload_python=/no/such/python3", "failed", "/no/such/python3"),
        ("memory_leak_workload_python=/bin/false", "failed", "could not start memory-leak.service"),
        ("memory_leak_user=nosuchuser", "failed", "nosuchuser"),
        ("ansible_python_interpreter=/no/such/python3", "failed", "/no/such/python3"),
        ("ansible_become=false", "failed", "root"),
    ],
)
def test_a_failed_start_reports_the_cause_and_leaves_nothing(
    host: Any, operate: Operate, variable: str, outcome: str, word: str
) -> None:
    record = operate("setup", "-e", variable, fails=True)
    assert record["outcome"] == outcome
    assert word in record["message"]
    for path in (LOG, PID_FILE, "/mcp"):
        assert not host.file(path).exists
    assert host.check_output("systemctl show --value --property=LoadState memory-leak.service") == "not-found"


@pytest.mark.parametrize(
    ("operation", "outcome"), [("status", "stopped"), ("setup", "running"), ("reset", "running"), ("cleanup", "absent")]
)
@pytest.mark.usefixtures("running")
def test_every_operation_works_after_a_reboot(
    reboot: Callable[[], None], operate: Operate, operation: str, outcome: str
) -> None:
    reboot()
    record = operate(operation)
    assert (record["outcome"], record["changed"]) == (outcome, operation != "status")
