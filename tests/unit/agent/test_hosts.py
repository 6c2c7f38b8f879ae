"""Programs on hosts: what becomes of time-outs, lost connections, and hosts that lie."""

from __future__ import annotations

import os
import time
from pathlib import Path

import anyio
import pytest

from helpers.agent_sessions import SECRETS, error, inventory_by_ssh, local_inventory, tools
from memory_leak_lab.agent.hosts import HostError, Hosts, HostTimeoutError, HostUnreachableError, UnknownHostError

pytestmark = pytest.mark.anyio

PROGRAM = b"import os; print(os.getpid(), flush=True)"


def reached_by(directory: Path, script: str) -> Hosts:
    return Hosts([str(inventory_by_ssh(directory, script))])


async def test_it_returns_what_a_program_printed_and_its_status(tmp_path: Path) -> None:
    found = Hosts([str(local_inventory(tmp_path, "web1"))])
    answer = await found.run("web1", b"import sys; print('hello'); sys.exit(3)", 30)
    assert (answer.status, answer.stdout) == (3, "hello\n")


async def test_limit(tmp_path: Path) -> None:
    inventory = str(local_inventory(tmp_path, "web1", "web2", "db1"))
    assert Hosts([inventory]).names == ["web1", "web2", "db1"]
    limited = Hosts([inventory], "web*:!web2")
    assert limited.names == ["web1"]
    with pytest.raises(UnknownHostError, match="list_hosts"):
        await limited.run("db1", PROGRAM, 30)


async def test_a_lost_connection_is_an_error_and_no_second_run(tmp_path: Path) -> None:
    found = reached_by(tmp_path, f"echo run >>{tmp_path}/runs; cat >/dev/null; echo partial; exit 255")
    with pytest.raises(HostUnreachableError):
        await found.run("liar", PROGRAM, 30)
    assert (tmp_path / "runs").read_text() == "run\n"


async def test_why_a_connection_failed_is_logged_but_not_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    inventory = inventory_by_ssh(tmp_path, "echo 'no such key: /lab/secret' >&2; exit 255")
    async with tools(inventory, tmp_path) as client:
        said = await error(client, "get_memory_info", host="liar")
    assert "liar could not be reached" in said
    assert "/lab/secret" not in said
    assert "/lab/secret" in caplog.text


@pytest.mark.parametrize(
    ("variable", "reason"),
    [("ansible_connection=nonsense", "nonsense"), ("ansible_become=yes ansible_become_method=nonsense", "nonsense")],
)
async def test_variables_that_make_no_connection_are_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, variable: str, reason: str
) -> None:
    inventory = tmp_path / "hosts.ini"
    inventory.write_text(f"web1 {variable}\n")
    with pytest.raises(HostUnreachableError):
        await Hosts([str(inventory)]).run("web1", PROGRAM, 30)
    assert reason in caplog.text


async def test_a_time_out_kills_the_client(tmp_path: Path) -> None:
    found = reached_by(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 60")
    began = time.monotonic()
    with pytest.raises(HostTimeoutError, match="1 s"):
        await found.run("liar", PROGRAM, 1)
    assert time.monotonic() - began < 10
    await anyio.sleep(0.5)
    pid = int((tmp_path / "pid").read_text())
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_call_that_is_cancelled_kills_the_client(tmp_path: Path) -> None:
    found = reached_by(tmp_path, f"echo $$ >{tmp_path}/pid; exec sleep 60")
    with anyio.move_on_after(1):
        await found.run("liar", PROGRAM, 60)
    await anyio.sleep(0.5)
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


async def test_a_host_that_sends_without_end_is_cut_off(tmp_path: Path) -> None:
    found = reached_by(tmp_path, "exec yes")
    began = time.monotonic()
    with pytest.raises(HostError, match="cut off"):
        await found.run("liar", PROGRAM, 60)
    assert time.monotonic() - began < 30


async def test_no_host_runs_more_than_eight_programs_at_once(tmp_path: Path) -> None:
    counting = (
        f"mkdir -p {tmp_path}/at_once; touch {tmp_path}/at_once/$$; ls {tmp_path}/at_once | wc -l >>{tmp_path}/counts"
    )
    found = reached_by(tmp_path, f"{counting}; sleep 0.3; rm {tmp_path}/at_once/$$; cat >/dev/null")
    async with anyio.create_task_group() as group:
        for _ in range(20):
            group.start_soon(found.run, "liar", PROGRAM, 60)
    counts = [int(line) for line in (tmp_path / "counts").read_text().split()]
    assert len(counts) == 20
    assert 1 < max(counts) <= 8


LIES = {
    "nothing": "",
    "no literal": "answer: no_literal()",
    "another type": "answer: [1, 2]",
    "a key that can't be hashed": "answer: {[]: 1}",
    "fields missing": "answer: {}",
    "a field too many": "answer: {'host': 'web1', 'more': 1}",
    "a size that is no number": "answer: {'total_mb': 'much'}",
    "an infinite size": "answer: {'total_mb': 1e999}",
    "deep nesting": "answer: " + "[" * 5000,
    "a long number": "answer: " + "9" * 20000,
    "another host's name": "answer: {'host': 'other', 'total_mb': 1.0}",
}


@pytest.mark.parametrize("lie", LIES)
async def test_a_lie_is_an_error_and_the_server_goes_on(tmp_path: Path, lie: str) -> None:
    (tmp_path / "lie").write_text(LIES[lie])
    inventory = inventory_by_ssh(tmp_path, f"cat >/dev/null; cat {tmp_path}/lie")
    async with tools(inventory, tmp_path, "root") as client:
        for tool, arguments in (
            ("get_memory_info", {}),
            ("list_processes", {}),
            ("get_process_info", {"pid": 1}),
            ("bash_execute", {"command": "true"}),
        ):
            said = await error(client, tool, host="liar", **arguments)
            assert said.startswith(f"Error executing tool {tool}: liar ")
            assert len(said) < 300
            assert not [secret for secret in SECRETS if secret in said]
