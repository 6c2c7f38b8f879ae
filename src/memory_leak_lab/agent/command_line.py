"""Serve tools on the hosts of an inventory to an agent over the Model Context Protocol: memory-leak-mcp.

Over stdio, or over streamable HTTP at http://ADDRESS:PORT/mcp. docs/agents.md tells how to connect an agent.
"""

from __future__ import annotations

import argparse
import logging
import sys
import typing
from pathlib import Path
from typing import Any

from ansible.errors import AnsibleError

from memory_leak_lab.agent import http_access
from memory_leak_lab.agent.hosts import Hosts
from memory_leak_lab.agent.session import Session
from memory_leak_lab.agent.tools import Mode, Tools

PORT = 8765


def arguments() -> argparse.Namespace:
    """Parse the command line."""
    parser = argparse.ArgumentParser(prog="memory-leak-mcp", description=__doc__)
    parser.add_argument(
        "-i", "--inventory", action="append", required=True, help="an Ansible inventory; may be repeated"
    )
    parser.add_argument("-l", "--limit", help="a host pattern: no other host is reached")
    parser.add_argument(
        "--mode",
        choices=typing.get_args(Mode),
        default="read",
        help="read: no bash (the default); shell: bash as an account without privileges; root: bash as root",
    )
    parser.add_argument("--report-dir", type=Path, default=Path("reports"), help="where transcripts/ and diagnoses/ go")
    parser.add_argument("--transport", choices=("stdio", "streamable-http"), default="stdio")
    parser.add_argument("--token-file", type=Path, help="holds the bearer token of streamable-http, which needs one")
    parser.add_argument("--address", default="127.0.0.1", help="the IP address to listen at (127.0.0.1)")
    parser.add_argument("--port", type=int, default=PORT, help=f"the port to listen at ({PORT})")
    parser.add_argument("--allow-remote", action="store_true", help="allow an address that other computers reach")
    parser.add_argument(
        "--server-name",
        action="append",
        default=[],
        help="a name by which other computers call this one; may be repeated",
    )
    return parser.parse_args()


def serve(chosen: argparse.Namespace) -> None:
    """Serve until stdio is closed or a signal comes. Raises AnsibleError, OSError and ValueError for what can't be served."""
    options: dict[str, Any] = {}
    if chosen.transport == "streamable-http":
        if not chosen.token_file:
            raise ValueError("--transport streamable-http needs --token-file")
        if not http_access.is_loopback(chosen.address) and not chosen.allow_remote:
            raise ValueError(f"other computers reach {chosen.address}: --allow-remote allows that")
        options = {"auth": http_access.auth_settings(), "token_verifier": http_access.TokenFile(chosen.token_file)}
    hosts = Hosts(chosen.inventory, chosen.limit)
    if not hosts.names:
        raise ValueError("no hosts: the inventory is empty, or none matches --limit")
    server = Tools(hosts, Session(chosen.report_dir), chosen.mode).server(**options)
    if chosen.transport == "stdio":
        server.run("stdio")
    else:
        security = http_access.transport_security(chosen.address, chosen.port, chosen.server_name)
        server.run("streamable-http", host=chosen.address, port=chosen.port, transport_security=security)


def main() -> int:
    """Run from the command line and return the exit status."""
    logging.basicConfig(stream=sys.stderr, format="%(levelname)s: %(message)s")
    try:
        serve(arguments())
    except (AnsibleError, OSError, ValueError) as error:
        print(f"memory-leak-mcp: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
