"""What an agent sees: names, arguments, answers and annotations of the tools, and no word that gives the answer away."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp_types import Tool

from helpers.agent_sessions import MOST_DEFAULT_CHARACTERS, SECRETS, answer, local_inventory, text, tools
from memory_leak_lab.agent.tools import SERVER_NAME, Mode

pytestmark = pytest.mark.anyio

# Of each tool its arguments, those that are required first.
ARGUMENTS = {
    "list_hosts": ([], []),
    "get_memory_info": (["host"], []),
    "list_processes": (["host"], ["limit", "sort_by"]),
    "get_process_info": (["host", "pid"], []),
    "submit_diagnosis": (
        ["host", "affected", "confidence"],
        ["process", "measurements", "root_cause", "mitigation"],
    ),
    "bash_execute": (["host", "command"], ["timeout_s"]),
}
DIAGNOSIS = {
    "affected": True,
    "process": {"pid": 1, "name": "init"},
    "measurements": [{"time": "2026-01-01T00:00:00Z", "rss_mib": 1.5}, {"elapsed_s": 60, "rss_mib": 31.5}],
    "root_cause": "a cache",
    "mitigation": "a limit",
    "confidence": 0.9,
}


async def offered(tmp_path: Path, mode: Mode) -> dict[str, Tool]:
    async with tools(local_inventory(tmp_path, "web1"), tmp_path, mode) as client:
        return {tool.name: tool for tool in (await client.list_tools()).tools}


@pytest.mark.parametrize("mode", ["read", "shell", "root"])
async def test_tools_of_each_mode(tmp_path: Path, mode: Mode) -> None:
    found = await offered(tmp_path, mode)
    assert set(found) == set(ARGUMENTS) - ({"bash_execute"} if mode == "read" else set())
    for name, tool in found.items():
        required, optional = ARGUMENTS[name]
        assert list(tool.input_schema["properties"]) == required + optional
        assert tool.input_schema.get("required", []) == required
        assert tool.output_schema
        assert tool.description


async def test_annotations(tmp_path: Path) -> None:
    found = {name: tool.annotations for name, tool in (await offered(tmp_path, "shell")).items()}
    hints = {name: (each.read_only_hint, each.destructive_hint) for name, each in found.items() if each}
    reads = dict.fromkeys(("list_hosts", "get_memory_info", "list_processes", "get_process_info"), (True, False))
    assert hints == {**reads, "submit_diagnosis": (False, False), "bash_execute": (False, True)}


async def test_answers_fit_their_schemas_and_are_short(tmp_path: Path) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_hosts", {}),
        ("get_memory_info", {"host": "web1"}),
        ("list_processes", {"host": "web1"}),
        ("get_process_info", {"host": "web1", "pid": 1}),
        ("submit_diagnosis", {"host": "web1", **DIAGNOSIS}),
        ("bash_execute", {"host": "web1", "command": "echo hello"}),
    ]
    async with tools(local_inventory(tmp_path, "web1"), tmp_path, "root") as client:
        schemas = {tool.name: tool.output_schema for tool in (await client.list_tools()).tools}
        for name, arguments in calls:
            result = await client.call_tool(name, arguments)
            assert not result.is_error, text(result)
            jsonschema.validate(result.structured_content, schemas[name])
            assert len(text(result)) <= MOST_DEFAULT_CHARACTERS


async def test_list_processes_has_the_fields_that_an_agent_knows(tmp_path: Path) -> None:
    async with tools(local_inventory(tmp_path, "web1"), tmp_path) as client:
        listed = await answer(client, "list_processes", host="web1", limit=2, sort_by="name")
        first = listed["processes"][0]
        assert {"pid", "name", "state", "ppid", "threads", "vmrss_mb", "uid", "cmdline"} <= set(first)
        details = await answer(client, "get_process_info", host="web1", pid=1)
        assert {"fd_count", "limits", "vmsize_mb", "gid"} <= set(details)
        assert (listed["host"], details["host"]) == ("web1", "web1")
        assert listed["time"].endswith("Z")
        memory = await answer(client, "get_memory_info", host="web1")
        assert memory["total_mb"] == round(memory["total_mb"], 1) > memory["available_mb"] > 0


@pytest.mark.parametrize("mode", ["read", "shell", "root"])
async def test_nothing_gives_the_answer_away(tmp_path: Path, mode: Mode) -> None:
    calls: list[tuple[str, dict[str, Any]]] = [
        ("list_hosts", {}),
        ("get_memory_info", {"host": "web1"}),
        ("get_memory_info", {"host": "web2"}),  # unreachable
        ("get_memory_info", {"host": "nowhere"}),
        ("get_process_info", {"host": "web1", "pid": 2**22}),
        ("get_process_info", {"host": "web1", "pid": -1}),
        ("list_processes", {"host": "web1", "sort_by": "size"}),
        ("submit_diagnosis", {"host": "web1", **DIAGNOSIS}),
        ("submit_diagnosis", {"host": "nowhere", **DIAGNOSIS}),
        ("submit_diagnosis", {"host": "web1", **DIAGNOSIS, "confidence": 2}),
        ("no_such_tool", {}),
    ]
    if mode != "read":
        calls.append(("bash_execute", {"host": "web1", "command": "env"}))
    inventory = local_inventory(tmp_path, "web1")
    inventory.write_text(inventory.read_text() + "web2 ansible_host=127.0.0.1 ansible_port=1\n")
    async with tools(inventory, tmp_path, mode) as client:
        said = [str(client.server_info), str(client.instructions)]
        said += [tool.model_dump_json() for tool in (await client.list_tools()).tools]
        for name, arguments in calls:
            said.append((await client.call_tool(name, arguments)).model_dump_json())
        assert client.server_info and client.server_info.name == SERVER_NAME
    for secret in SECRETS:
        assert not [each for each in said if secret in each.lower()], secret


@pytest.mark.skipif(os.geteuid() != 0, reason="bash of an account without privileges needs root")
async def test_shell_has_no_privileges(tmp_path: Path) -> None:
    async with tools(local_inventory(tmp_path, "web1"), tmp_path, "shell") as client:
        found = await answer(
            client, "bash_execute", host="web1", command="id -un; grep -E '^(CapBnd|NoNewPrivs)' /proc/self/status"
        )
    assert found["output"].split() == ["nobody", "CapBnd:", "0" * 16, "NoNewPrivs:", "1"], json.dumps(found)
