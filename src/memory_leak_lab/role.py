"""The modules of the role that run on the controller, for the package's own use: `from memory_leak_lab.role import growth`."""

from __future__ import annotations

import sys
from pathlib import Path

PROJECT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(PROJECT / "roles" / "memory_leak"))

from memory_leak_controller import growth, table  # noqa: E402

__all__ = ["PROJECT", "growth", "table"]
