"""Reports of a run: the table, the files for programs, the page, and the progress bar."""

from __future__ import annotations

# The callback that makes the reports sets this when Ansible loads it: it does so by itself in a checkout and for a plain role
# that is imported, but a collection's callbacks must be enabled.
is_enabled = False
NOT_ENABLED = (
    "memory_leak makes no report: its callback is not enabled. Set callbacks_enabled = "
    "sre_incidents.memory_leak.memory_leak_report under [defaults] in ansible.cfg"
)
