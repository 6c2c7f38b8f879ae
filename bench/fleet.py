"""Waits until this computer is idle, so that earlier runs do not affect the next measurement."""

from __future__ import annotations

import time

import psutil

from memory_leak_lab.lab.fleet import Fleet

SETTLE_TIMEOUT_S = 20
IDLE_BELOW_PERCENT = 25  # a hundred workloads take 15


def settle(fleet: Fleet) -> None:
    """Close all connections and wait until this computer is idle, at most SETTLE_TIMEOUT_S."""
    fleet.close_connections()
    deadline = time.monotonic() + SETTLE_TIMEOUT_S
    while psutil.cpu_percent(interval=0.2) > IDLE_BELOW_PERCENT and time.monotonic() < deadline:
        pass
