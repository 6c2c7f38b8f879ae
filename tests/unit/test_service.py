"""The properties of the service's unit."""

from __future__ import annotations

from typing import Any

import pytest
from host_program import service


@pytest.mark.parametrize("user", ["", "nobody"])
def test_the_hostname_is_protected_only_where_systemd_247_can(user: str) -> None:
    definition: dict[str, Any] = {
        **{"user": user, "pid_file": "/tmp/a.pid", "log_file": "/tmp/a.log", "memory_max_bytes": 1024**3},
        "runtime_max_s": 3600,
    }
    properties = service.properties(definition)
    assert "ProcSubset=pid" in properties
    assert ("ProtectHostname=yes" in properties) is ("ProtectKernelTunables=yes" in properties) is bool(user)
