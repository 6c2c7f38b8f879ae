"""Write evidence and diagnoses from snapshots of hosts: `python -m memory_leak_lab.investigation`.

playbooks/investigate.yml runs it. Reads a JSON object from stdin: for each host the list of its two snapshots, or null if one
is missing. Exits 1 if a host could not be inspected, after writing the others.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memory_leak_controller.escaping import printable
from memory_leak_lab import version
from memory_leak_lab.investigation import render
from memory_leak_lab.investigation.analysis import KIB_PER_MIB, Finding

NOT_INSPECTED = "not inspected: see the error above"


def row(finding: Finding) -> tuple[str, ...]:
    """Return the cells of a host's row: finding, PID, name, RSS, rate and note."""
    if finding.leak:
        leak = finding.leak
        cells = (str(leak.pid), leak.name, f"{leak.samples[-1][1]:.0f} MiB", f"{leak.rate_mib_per_min:.2f} MiB/min")
        return finding.verdict, *cells, f"R² {leak.r_squared:.4f}"
    if finding.oom_kills:
        kill = finding.oom_kills[-1]
        return (
            finding.verdict,
            str(kill["pid"]),
            kill["name"],
            f"{kill['rss_kib'] / KIB_PER_MIB:.0f} MiB",
            "",
            "when killed",
        )
    if finding.large:
        pid, name, size, change = finding.large[0]
        return finding.verdict, str(pid), name, f"{size:.0f} MiB", "", f"large, but {change:+.1f} MiB"
    return finding.verdict, "", "", "", "", ""


def main() -> int:
    """Run from the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="memory-leak-investigate", description=__doc__)
    parser.add_argument("--report-dir", type=Path, required=True, help="directory for investigation/ and diagnoses/")
    version.add_option(parser)
    chosen = parser.parse_args()
    wrong_version = version.mismatch(chosen.for_version)
    if wrong_version:
        print(wrong_version, file=sys.stderr)
        return 1
    view = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("host", "finding", "PID", "process", "RSS", "rate", "note"):
        view.add_column(heading, justify="right" if heading in ("PID", "RSS", "rate") else "left")
    snapshots = json.load(sys.stdin)
    failed = False
    for host, pair in snapshots.items():
        cells: tuple[str, ...] = (NOT_INSPECTED,)
        try:
            if pair:
                cells = tuple(map(str, row(render.write(host, pair[0], pair[1], chosen.report_dir))))
        except Exception as error:  # a malformed answer from one host does not affect the others
            cells = (f"could not be written: {type(error).__name__}: {error}",)
        failed |= len(cells) == 1
        # Text, not str: a process name may look like markup.
        view.add_row(*(Text(printable(cell)) for cell in (host, *cells)))
    Console(highlight=False, width=None if sys.stdout.isatty() else 150).print(view)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
