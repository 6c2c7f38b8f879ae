"""Agents' tools in tests: inventories of hosts that need no lab, servers on them, and calls."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from mcp import Client
from mcp_types import CallToolResult, TextContent

from memory_leak_lab.agent.hosts import Hosts
from memory_leak_lab.agent.session import Session
from memory_leak_lab.agent.tools import Mode, Tools

# What an agent must never be told; "leak" covers the role's name and its variables'.
SECRETS = ("leak", "decoy", "control", "variant", "ground", "truth", "scenario", "exercise", "grade", "grading")
# What 500 tokens hold: in a table of processes, the longest default answer, a token was measured to have 2.44 characters.
MOST_DEFAULT_CHARACTERS = 1200
# Variables that a real inventory may hold, which must neither be told nor repeat a command.
ANSWERS = "memory_leak_variant=decoy memory_leak_blind=true ansible_ssh_retries=3"


def local_inventory(directory: Path, *names: str) -> Path:
    """Write an inventory of names for this computer, reached by Ansible's connection plugin local, and return it."""
    path = directory / "hosts.ini"
    hosts = [f"{name} ansible_connection=local ansible_python_interpreter=/usr/bin/python3 {ANSWERS}" for name in names]
    path.write_text("\n".join(["[memory_leak]", *hosts]) + "\n")
    return path


def inventory_by_ssh(directory: Path, script: str) -> Path:
    """Write an inventory of the host `liar`, reached by a shell script in the place of ssh, and return it."""
    ssh = directory / "ssh"
    ssh.write_text(f"#!/bin/sh\n{script}\n")
    ssh.chmod(0o755)
    path = directory / "hosts.ini"
    path.write_text(f"[memory_leak]\nliar ansible_ssh_executable={ssh} {ANSWERS}\n")
    return path


@asynccontextmanager
async def tools(inventory: Path, reports: Path, mode: Mode = "read") -> AsyncIterator[Client]:
    """Serve the tools on an inventory's hosts in memory, and yield a client of them."""
    server = Tools(Hosts([str(inventory)]), Session(reports), mode).server()
    async with Client(server) as client:
        yield client


def text(result: CallToolResult) -> str:
    """Return what the agent's model reads of an answer."""
    return "\n".join(each.text for each in result.content if isinstance(each, TextContent))


async def answer(client: Client, tool: str, **arguments: Any) -> dict[str, Any]:
    """Return the structured answer of a call, which must succeed."""
    result = await client.call_tool(tool, arguments)
    assert not result.is_error, text(result)
    found: dict[str, Any] = result.structured_content
    return found


async def error(client: Client, tool: str, **arguments: Any) -> str:
    """Return the message of a call, which must fail."""
    result = await client.call_tool(tool, arguments)
    assert result.is_error, text(result)
    return text(result)


def transcript(reports: Path) -> list[dict[str, Any]]:
    """Return the lines of the only transcript."""
    (path,) = (reports / "transcripts").iterdir()
    return [json.loads(line) for line in path.read_text().splitlines()]
