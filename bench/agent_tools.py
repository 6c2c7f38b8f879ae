"""How long an agent's tool calls take on a fleet of containers, and how long their answers are: `python -m bench.agent_tools`.

Hosts are reached as root, by sudo, and by sudo with a password. Connections are open before; then each tool is called on
all hosts in turn, one call after the other, through the SDK's client and server in one process. Plain ssh over shared
connections running `true` is the floor. Needs root.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from mcp import Client
from mcp_types import TextContent
from rich.console import Console
from rich.table import Table

from memory_leak_lab.agent.hosts import Hosts
from memory_leak_lab.agent.session import Session
from memory_leak_lab.agent.tools import Tools
from memory_leak_lab.lab.fleet import Fleet

WAYS_IN = {"root": "as root", "admin": "by sudo", "trainer": "by sudo with a password"}
TOOLS: dict[str, dict[str, Any]] = {
    "get_memory_info": {},
    "list_processes": {},
    "get_process_info": {"pid": 1},
    "bash_execute": {"command": "ps -eo pid,rss,comm --sort=-rss | head"},
}
Measured = dict[tuple[str, str], list[float]]


async def timed(call: Callable[[], Awaitable[Any]], into: list[float]) -> Any:
    """Await a call, add the milliseconds that it took, and return what it returned."""
    began = time.perf_counter()
    found = await call()
    into.append((time.perf_counter() - began) * 1000)
    return found


async def measure(fleet: Fleet, rounds: int, work: Path) -> tuple[Measured, dict[str, int]]:
    """Return the milliseconds of each tool and way in, and the characters of each tool's longest answer."""
    hosts = Hosts([str(fleet.inventory(len(fleet.hosts)))])
    server = Tools(hosts, Session(work), "root").server()
    found: Measured = {(name, user): [] for name in ("plain ssh", *TOOLS) for user in WAYS_IN}
    characters = dict.fromkeys(TOOLS, 0)
    async with Client(server) as client:
        for number, host in enumerate(fleet.hosts):
            await client.call_tool("get_memory_info", {"host": host.name})
            fleet.run(number, "true")
        for _round in range(rounds):
            for number, host in enumerate(fleet.hosts):
                ssh = partial(anyio.to_thread.run_sync, fleet.run, number, "true")
                await timed(ssh, found["plain ssh", host.user])
            for name, arguments in TOOLS.items():
                for host in fleet.hosts:
                    call = partial(client.call_tool, name, {"host": host.name, **arguments})
                    result = await timed(call, found[name, host.user])
                    (text,) = (each.text for each in result.content if isinstance(each, TextContent))
                    if result.is_error:
                        raise RuntimeError(text)
                    characters[name] = max(characters[name], len(text))
    return found, characters


def report(found: Measured, characters: dict[str, int], console: Console) -> None:
    """Print a table: median and 95th percentile in ms of each tool and way in."""
    table = Table(title="Warm tool calls, ms: median / 95th percentile")
    for heading in ("tool", *WAYS_IN.values(), "characters"):
        table.add_column(heading, justify="left" if heading == "tool" else "right")
    for name in ("plain ssh", *TOOLS):
        cells = []
        for user in WAYS_IN:
            took = found[name, user]
            cells.append(f"{statistics.median(took):.1f} / {statistics.quantiles(took, n=20)[-1]:.1f}")
        table.add_row(name, *cells, str(characters.get(name, "")))
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hosts", type=int, default=21, help="how many containers (21)")
    parser.add_argument("--rounds", type=int, default=10, help="calls of each tool on each host (10)")
    parser.add_argument("--lab", default="bench", help="the name of the lab (bench)")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as work:
        fleet = Fleet(chosen.hosts, Path(work), chosen.lab, tuple(WAYS_IN))
        try:
            report(*anyio.run(measure, fleet, chosen.rounds, Path(work)), Console(width=120))
        finally:
            fleet.down()


if __name__ == "__main__":
    main()
