"""Reports of a run: the table, the machine-readable files, report.html, and the progress bar."""

from __future__ import annotations

from pathlib import Path

# The file of the callback that makes the reports, set when Ansible loads it; of several copies, the first is used.
# Ansible loads it automatically in a checkout and for an imported plain role; in a collection it must be enabled.
callback_file = ""
_HOW_TO_ENABLE = (
    "set callbacks_enabled = sre_incidents.memory_leak.memory_leak_report under [defaults] in ansible.cfg"
    if "ansible_collections" in Path(__file__).parts
    else "import the role, with import_role or roles: Ansible loads no callbacks of an included role"
)
NOT_ENABLED = f"memory_leak makes no report, since its callback memory_leak_report is not loaded: {_HOW_TO_ENABLE}"
