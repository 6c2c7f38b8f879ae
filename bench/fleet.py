"""Wait until this computer is idle, so that what ran before costs nobody who is measured next."""

from __future__ import annotations

import time

import psutil

from memory_leak_lab.lab.fleet import Fleet

SETTLE_TIMEOUT_S = 20
IDLE_BELOW_PERCENT = 25  # a hundred workloads take 15


def settle(fleet: Fleet) -> None:
    """Close all connections and wait until this computer has done with what was started before, so that it costs nobody."""
    fleet.close_connections()
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while psutil.cpu_percent(interval=0.2) > IDLE_BELOW_PERCENT and time.monotonic() < deadline:
        pass
