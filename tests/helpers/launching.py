"""Constants and types for tests that start processes."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

PYTHON = "/usr/bin/python3"  # the system's: a user-owned Python is not recognised as running the workload
Launch = Callable[..., subprocess.Popen[bytes]]
