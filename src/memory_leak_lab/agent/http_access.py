"""Streamable HTTP for the server: a bearer token from a file, and requests by the names that the server is known by alone."""

from __future__ import annotations

import hmac
import ipaddress
import stat
from collections.abc import Sequence
from pathlib import Path

from mcp.server.auth.provider import AccessToken
from mcp.server.auth.settings import AuthSettings
from mcp.server.transport_security import TransportSecuritySettings
from pydantic import AnyHttpUrl

SHORTEST_TOKEN = 16
LOOPBACK_NAMES = ("127.0.0.1", "localhost", "[::1]")


class TokenFile:
    """Verifies bearer tokens against the one in a file. Raises ValueError where others may read it, or the token is short.

    `python3 -c 'import secrets; print(secrets.token_urlsafe(32))'` makes one.
    """

    def __init__(self, path: Path) -> None:
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ValueError(f"{path} has mode {mode:04o}: its token is for its owner alone, chmod 0600 {path}")
        self._token = path.read_text(encoding="utf-8").strip().encode()
        if len(self._token) < SHORTEST_TOKEN:
            raise ValueError(f"{path} must hold a token of {SHORTEST_TOKEN} characters or more")

    async def verify_token(self, token: str) -> AccessToken | None:
        """Return what the token allows, or None for another one."""
        if not hmac.compare_digest(token.encode("utf-8", "replace"), self._token):
            return None
        return AccessToken(token=token, client_id="agent", scopes=[])


def auth_settings() -> AuthSettings:
    """Return settings for tokens that no authorization server issues."""
    return AuthSettings(issuer_url=AnyHttpUrl("http://localhost"), resource_server_url=None)


def is_loopback(address: str) -> bool:
    """Tell whether only this computer reaches an IP address. Raises ValueError for what is none."""
    return ipaddress.ip_address(address).is_loopback


def transport_security(address: str, port: int, names: Sequence[str]) -> TransportSecuritySettings:
    """Return which Host and Origin headers are accepted: those of loopback, of the IP address and of `names`, at the port."""
    listening = ipaddress.ip_address(address)
    addresses = [] if listening.is_unspecified else [f"[{address}]" if listening.version == 6 else address]
    hosts = [f"{name}:{port}" for name in (*LOOPBACK_NAMES, *addresses, *names)]
    return TransportSecuritySettings(allowed_hosts=hosts, allowed_origins=[f"http://{host}" for host in hosts])
