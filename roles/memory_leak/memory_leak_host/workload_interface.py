"""The command line options and log format of files/workload.py that the host program depends on."""

from __future__ import annotations

RATE_OPTION = "--ingest-mib-per-min"
DEFAULT_RATE_MIB_PER_MIN = 30.0
MAX_SESSIONS_OPTION = "--max-sessions"
START_DELAY_OPTION = "--start-delay"
# Integer options, 0 for unset, by their keys in a definition.
OPTIONS = {"max_sessions": MAX_SESSIONS_OPTION, "buffer_mib": "--buffer-mib", "start_delay_s": START_DELAY_OPTION}
REQUESTS_PER_SECOND = 10
REQUEST_RATE_IN_LOG = "requests_per_second="
