"""Processes for tests to start."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

PYTHON = "/usr/bin/python3"  # the system's: a Python of a user's own is not taken for one that runs the workload
Launch = Callable[..., subprocess.Popen[bytes]]
