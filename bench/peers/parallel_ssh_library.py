"""Run a shell script on many hosts with the library parallel-ssh: `parallel_ssh_library.py SCRIPT KEY PARALLEL PORT…`."""

from __future__ import annotations

import sys
from pathlib import Path

from pssh.clients import ParallelSSHClient
from pssh.config import HostConfig


def main(script: str, key: str, parallel: str, *ports: str) -> int:
    """Return 0 if the script exits 0 on every host."""
    client = ParallelSSHClient(
        ["127.0.0.1"] * len(ports),
        user="root",
        pkey=key,
        identity_auth=False,
        allow_agent=False,
        pool_size=int(parallel),
        host_config=[HostConfig(port=int(port)) for port in ports],
    )
    output = client.run_command(Path(script).read_text())
    client.join(output)
    return int(any(host.exit_code for host in output))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
