"""The server as a process of its own, over stdio and over streamable HTTP, with the SDK's client."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from ansible.parsing.vault import VaultLib, VaultSecret
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client

from helpers.agent_sessions import answer, local_inventory, transcript
from memory_leak_lab.agent.http_access import TokenFile, transport_security
from memory_leak_lab.lab.hosts import free_ports

pytestmark = pytest.mark.anyio

COMMAND = [sys.executable, "-m", "memory_leak_lab.agent"]
TOKEN = "a-token-of-tests-alone"  # noqa: S105 # it opens nothing
START_S = 60


def stdio(tmp_path: Path, *arguments: str, inventory: Path | None = None, **environment: str) -> StdioServerParameters:
    where = str(inventory or local_inventory(tmp_path, "web1"))
    command = [*COMMAND[1:], "-i", where, "--report-dir", str(tmp_path), *arguments]
    return StdioServerParameters(command=COMMAND[0], args=command, env=os.environ | environment)


async def test_stdio(tmp_path: Path) -> None:
    async with Client(stdio(tmp_path, "--mode", "root")) as client:
        assert len((await client.list_tools()).tools) == 6
        found = await answer(client, "bash_execute", host="web1", command="echo hello; exit 3")
        assert (found["output"], found["exit_code"]) == ("hello\n", 3)
    assert [line["event"] for line in transcript(tmp_path)] == ["start", "call"]


async def test_vaulted_variables_are_read(tmp_path: Path) -> None:
    secret = VaultSecret(b"opener")
    vaulted = VaultLib([("default", secret)]).encrypt("/usr/bin/python3", secret).decode().replace("\n", "\n          ")
    inventory = tmp_path / "hosts.yml"
    inventory.write_text(
        "all:\n  hosts:\n    web1:\n      ansible_connection: local\n"
        f"      ansible_python_interpreter: !vault |\n          {vaulted}\n"
    )
    (tmp_path / "opener").write_text("opener\n")
    parameters = stdio(tmp_path, inventory=inventory, ANSIBLE_VAULT_PASSWORD_FILE=str(tmp_path / "opener"))
    async with Client(parameters) as client:
        assert (await answer(client, "get_memory_info", host="web1"))["total_mb"] > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "db*"], "no hosts"),
        (["--transport", "streamable-http"], "needs --token-file"),
        (["--transport", "streamable-http", "--token-file", "/dev/null"], "has mode 0666"),
        (["--transport", "streamable-http", "--token-file", "token", "--address", "0.0.0.0"], "--allow-remote"),  # noqa: S104
    ],
)
def test_what_is_not_served(tmp_path: Path, arguments: list[str], message: str) -> None:
    command = [*COMMAND, "-i", str(local_inventory(tmp_path, "web1")), "--report-dir", str(tmp_path), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S)
    assert done.returncode == 1
    assert message in done.stderr


def test_without_the_extra_one_line_says_so() -> None:
    script = "import sys; sys.modules['mcp'] = None; from memory_leak_lab.agent.__main__ import main; sys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert "[mcp]" in done.stderr


def test_a_token_is_private_and_long(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("short\n")
    path.chmod(0o600)
    with pytest.raises(ValueError, match="16 characters"):
        TokenFile(path)


@pytest.mark.parametrize(
    ("address", "accepted"),
    [
        ("127.0.0.1", ["127.0.0.1:80", "localhost:80", "[::1]:80", "lab:80"]),
        ("192.0.2.7", ["127.0.0.1:80", "localhost:80", "[::1]:80", "192.0.2.7:80", "lab:80"]),
        ("2001:db8::7", ["127.0.0.1:80", "localhost:80", "[::1]:80", "[2001:db8::7]:80", "lab:80"]),
        ("0.0.0.0", ["127.0.0.1:80", "localhost:80", "[::1]:80", "lab:80"]),  # noqa: S104
    ],
)
def test_hosts_that_are_accepted(address: str, accepted: list[str]) -> None:
    assert list(dict.fromkeys(transport_security(address, 80, ["lab"]).allowed_hosts)) == accepted


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    """Serve over HTTP and return where."""
    (port,) = free_ports(1)
    token = tmp_path / "token"
    token.write_text(f"{TOKEN}\n")
    token.chmod(0o600)
    command = [*COMMAND, "-i", str(local_inventory(tmp_path, "web1")), "--report-dir", str(tmp_path)]
    command += ["--transport", "streamable-http", "--token-file", str(token), "--port", str(port)]
    with subprocess.Popen(command) as server:
        try:
            deadline = time.monotonic() + START_S
            while time.monotonic() < deadline:
                assert server.poll() is None
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    time.sleep(0.1)
            yield f"http://127.0.0.1:{port}/mcp"
        finally:
            server.terminate()


def http_client(**headers: str) -> httpx2.AsyncClient:
    return httpx2.AsyncClient(headers=headers, timeout=30)


async def test_http(url: str, tmp_path: Path) -> None:
    async with (
        http_client(Authorization=f"Bearer {TOKEN}") as web,
        Client(streamable_http_client(url, http_client=web)) as client,
    ):
        assert (await answer(client, "list_hosts"))["hosts"] == ["web1"]
        assert (await answer(client, "get_memory_info", host="web1"))["host"] == "web1"
    assert [line["event"] for line in transcript(tmp_path)] == ["start", "call", "call"]


async def test_http_refuses_what_is_not_for_it(url: str) -> None:
    token = {"Authorization": f"Bearer {TOKEN}"}
    ask: dict[str, Any] = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
    refusals = {
        "no token": ({}, 401),
        "another token": ({"Authorization": f"Bearer {TOKEN}x"}, 401),
        "another host name": ({**token, "Host": "rebound.example"}, 421),
        "a page's origin": ({**token, "Origin": "http://rebound.example"}, 403),
    }
    async with http_client() as web:
        for name, (headers, status) in refusals.items():
            got = await web.post(url, json=ask, headers={"Accept": "application/json, text/event-stream", **headers})
            assert got.status_code == status, (name, got.text)
