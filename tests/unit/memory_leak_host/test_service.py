"""The properties of the service's unit."""

from __future__ import annotations

import pytest

from helpers import definitions
from memory_leak_host import service


@pytest.mark.parametrize("user", ["", "nobody"])
def test_the_hostname_is_protected_only_where_systemd_247_can(user: str) -> None:
    properties = service.properties(definitions.default(user=user))
    assert "ProcSubset=pid" in properties
    assert ("ProtectHostname=yes" in properties) is ("ProtectKernelTunables=yes" in properties) is bool(user)
