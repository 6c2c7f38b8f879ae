"""An agent's tools on containers: as root, by sudo with and without a password, by key and port, many calls at once."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import anyio
import pytest

from helpers.agent_sessions import SECRETS, answer, error, text, tools, transcript
from memory_leak_lab.lab.fleet import Fleet

COUNT = 10
USERS = ("root", "admin", "trainer")  # at once, by sudo, by sudo with a password
HELPERS = ("python3", "sudo", "sshd: root", "sshd: admin", "sshd: trainer", "sh -c", "setpriv")

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    """Run asynchronous tests on asyncio, as the server does."""
    return "asyncio"


@pytest.fixture
def inventory(fleet: Fleet) -> Path:
    """Return an inventory of the whole fleet, written anew: a test may have written another one there."""
    return fleet.inventory(COUNT)


@pytest.mark.parametrize("number", range(len(USERS)))
async def test_each_way_in(fleet: Fleet, inventory: Path, tmp_path: Path, number: int) -> None:
    host = fleet.hosts[number].name
    async with tools(inventory, tmp_path, "root") as client:
        memory = await answer(client, "get_memory_info", host=host)
        assert memory["total_mb"] > memory["available_mb"] > 0
        init = await answer(client, "get_process_info", host=host, pid=1)
        assert (init["name"], init["uid"]) == ("systemd", 0)
        assert init["fd_count"] > 0
        done = await answer(client, "bash_execute", host=host, command="id -u; hostname")
        assert done["output"] == f"0\n{host}\n"


@pytest.mark.parametrize("number", range(len(USERS)))
async def test_shell_investigates_without_privileges(
    fleet: Fleet, inventory: Path, tmp_path: Path, number: int
) -> None:
    host = fleet.hosts[number].name
    command = "id -un; journalctl --quiet -n 1 -o cat | wc -l; ps -e | wc -l; cat /etc/shadow; sudo -n true; kill -9 1"
    async with tools(inventory, tmp_path, "shell") as client:
        output = (await answer(client, "bash_execute", host=host, command=command))["output"]
    assert output.splitlines()[:2] == ["nobody", "1"]
    assert int(output.splitlines()[2]) > 5
    assert output.count("ermitted") + output.count("denied") + output.count("no new privileges") >= 3, output


async def test_a_login_without_root_lends_no_account(fleet: Fleet, tmp_path: Path) -> None:
    inventory = fleet.inventory(COUNT, {1: {"ansible_become": "false"}})
    host = fleet.hosts[1].name
    async with tools(inventory, tmp_path, "shell") as client:
        assert "ansible_become" in await error(client, "bash_execute", host=host, command="id")
        assert (await answer(client, "get_memory_info", host=host))["total_mb"] > 0


async def test_what_serves_the_call_is_not_listed(fleet: Fleet, inventory: Path, tmp_path: Path) -> None:
    async with tools(inventory, tmp_path, "shell") as client:
        for host in fleet.hosts[: len(USERS)]:
            listed: dict[str, Any] = {}

            async def look(name: str, listed: dict[str, Any]) -> None:
                await anyio.sleep(0.5)
                listed |= await answer(client, "list_processes", host=name, limit=50)

            async with anyio.create_task_group() as group:
                group.start_soon(look, host.name, listed)
                await answer(client, "bash_execute", host=host.name, command="sleep 2")
            commands = [each["cmdline"] or each["name"] for each in listed["processes"]]
            assert any("[listener]" in command for command in commands)
            assert not [each for each in commands if any(helper in each for helper in (*HELPERS, "sleep"))], commands


async def test_one_call_is_one_command(fleet: Fleet, inventory: Path, tmp_path: Path) -> None:
    async with tools(inventory, tmp_path, "root") as client:
        before = fleet.round_trips(COUNT)
        for host in fleet.hosts:
            await answer(client, "get_memory_info", host=host.name)
            await answer(client, "list_processes", host=host.name)
            await answer(client, "bash_execute", host=host.name, command="exit 255")
    after = fleet.round_trips(COUNT)
    assert [later - earlier for earlier, later in zip(before, after, strict=True)] == [3] * COUNT


async def test_twenty_calls_on_ten_hosts_at_once(fleet: Fleet, inventory: Path, tmp_path: Path) -> None:
    async with tools(inventory, tmp_path, "root") as client:
        found: list[str] = []

        async def call(host: str) -> None:
            done = await answer(client, "bash_execute", host=host, command="sleep 1; hostname")
            assert done["output"] == f"{host}\n"
            found.append(host)

        began = time.monotonic()
        async with anyio.create_task_group() as group:
            for host in fleet.hosts * 2:
                group.start_soon(call, host.name)
    assert sorted(found) == sorted([host.name for host in fleet.hosts] * 2)
    assert time.monotonic() - began < 15
    assert len(transcript(tmp_path)) == 21


async def test_more_calls_than_a_connection_takes(fleet: Fleet, inventory: Path, tmp_path: Path) -> None:
    async with tools(inventory, tmp_path, "root") as client, anyio.create_task_group() as group:

        async def call() -> None:
            await answer(client, "bash_execute", host=fleet.hosts[0].name, command="sleep 0.2")

        for _ in range(24):
            group.start_soon(call)


@pytest.mark.parametrize("number", range(len(USERS)))
async def test_a_time_out_ends_the_processes(fleet: Fleet, inventory: Path, tmp_path: Path, number: int) -> None:
    host = fleet.hosts[number].name
    command = "sleep 72001 & (setsid sleep 72002 &) ; sleep 72003"
    async with tools(inventory, tmp_path, "shell") as client:
        done = await answer(client, "bash_execute", host=host, command=command, timeout_s=1)
    assert (done["timed_out"], done["all_ended"], done["exit_code"]) == (True, True, None)
    assert fleet.run(number, "pgrep -f 'sleep 7200[123]'").stdout == ""


@pytest.mark.parametrize("number", range(len(USERS)))
async def test_a_cancelled_call_ends_the_processes(fleet: Fleet, inventory: Path, tmp_path: Path, number: int) -> None:
    host = fleet.hosts[number].name
    async with tools(inventory, tmp_path, "root") as client:
        with anyio.move_on_after(3):
            await client.call_tool("bash_execute", {"host": host, "command": "sleep 72004", "timeout_s": 300})
        await anyio.sleep(2)
        assert fleet.run(number, "pgrep -f '^sleep 72004'").stdout == ""
        assert (await answer(client, "get_memory_info", host=host))["host"] == host
    assert transcript(tmp_path)[1]["output"] is None


async def test_a_command_that_ends_its_own_tool_is_an_error(fleet: Fleet, inventory: Path, tmp_path: Path) -> None:
    async with tools(inventory, tmp_path, "root") as client:
        said = await error(client, "bash_execute", host=fleet.hosts[0].name, command="kill -9 $PPID; sleep 5")
        assert "gave no answer" in said
        assert (await answer(client, "list_hosts"))["hosts"]


async def test_a_wrong_password_is_an_error_that_tells_nothing(fleet: Fleet, tmp_path: Path) -> None:
    inventory = fleet.inventory(COUNT, {2: {"ansible_become_password": "wrong"}})
    async with tools(inventory, tmp_path) as client:
        said = await error(client, "get_memory_info", host=fleet.hosts[2].name)
    assert "could not be reached" in said
    assert "password" not in said


async def test_a_host_that_runs_what_is_looked_for_is_read_as_it_is(fleet: Fleet, play: Any, tmp_path: Path) -> None:
    play("setup", "-e", f"memory_leak_ground_truth_dir={tmp_path}/truth", "-e", "memory_leak_blind=true")
    async with tools(fleet.inventory(COUNT), tmp_path) as client:
        result = await client.call_tool("list_processes", {"host": fleet.hosts[0].name})
        assert result.structured_content
        rows = [each for each in result.structured_content["processes"] if each["name"] == "python3"]
        assert len(rows) == 1
        details = await client.call_tool("get_process_info", {"host": fleet.hosts[0].name, "pid": rows[0]["pid"]})
        assert ".service" in text(details)
        for secret in SECRETS:
            assert secret not in (text(result) + text(details)).lower()
    play("cleanup")
