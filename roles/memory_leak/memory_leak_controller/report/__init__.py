"""Reports of a run: the table, the files for programs, the page, and the progress bar."""

from __future__ import annotations

from pathlib import Path

# The file of the callback that makes the reports, set when Ansible loads it; of several copies the first makes the reports.
# Ansible loads it by itself in a checkout and for a plain role that is imported; a collection's must be enabled.
callback_file = ""
_HOW_TO_ENABLE = (
    "set callbacks_enabled = sre_incidents.memory_leak.memory_leak_report under [defaults] in ansible.cfg"
    if "ansible_collections" in Path(__file__).parts
    else "import the role, by import_role or roles: Ansible loads no callback of a role that is included"
)
NOT_ENABLED = f"memory_leak makes no report, since its callback memory_leak_report is not loaded: {_HOW_TO_ENABLE}"
