"""How the workload is told what to do and what it logs: what files/workload.py defines and the host program must know of it."""

from __future__ import annotations

RATE_OPTION = "--ingest-mib-per-min"
DEFAULT_RATE_MIB_PER_MIN = 30.0
MAX_SESSIONS_OPTION = "--max-sessions"
START_DELAY_OPTION = "--start-delay"
# Options that are whole numbers, 0 for none, by their keys in a definition.
OPTIONS = {"max_sessions": MAX_SESSIONS_OPTION, "buffer_mib": "--buffer-mib", "start_delay_s": START_DELAY_OPTION}
REQUESTS_PER_SECOND = 10
REQUEST_RATE_IN_LOG = "requests_per_second="
