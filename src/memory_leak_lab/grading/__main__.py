"""Grade a directory of diagnoses: `python -m memory_leak_lab.grading --help`; playbooks/grade.yml calls it.

Writes grades.json and shows a table. Ends with status 1 if a file could not be graded; the others are graded all the same.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from memory_leak_lab.grading import grade, truth

SUFFIXES = (".md", ".txt")
FLEET = "fleet"  # fleet.md is a diagnosis of every host


def hosts_of(path: Path, known: list[str]) -> list[str]:
    """Return the hosts that a file is about: HOST.md, HOST.NAME.md or, for all, fleet.md. Empty for no host that is known."""
    if path.stem == FLEET:
        return known
    named = [host for host in known if path.stem == host or path.stem.startswith(f"{host}.")]
    return [max(named, key=len)] if named else []


def grade_all(diagnoses: Path, ground_truth: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a record for each diagnosis, and a message for each file that could not be graded."""
    truths = truth.load(ground_truth)
    records, errors = [], []
    for path in sorted(path for path in diagnoses.iterdir() if path.suffix in SUFFIXES):
        hosts = hosts_of(path, list(truths))
        if not hosts:
            errors.append(
                f"{path.name}: the ground truth knows no host of that name, only {', '.join(truths) or 'none'}"
            )
        for host in hosts:
            try:
                graded = grade.grade(path.read_text(), truths[host])
            except UnicodeDecodeError as error:
                errors.append(f"{path.name}: {error}")
                break
            records.append({"file": path.name, "host": host, **graded})
    return records, errors


def table(records: list[dict[str, Any]]) -> Table:
    """Return the grades as a table, the best last."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("file", "host", "total", *(name.replace("_", " ") for name in grade.CATEGORIES), "deducted"):
        view.add_column(heading, justify="left" if heading in ("file", "host") else "right")
    for record in sorted(records, key=lambda each: each["total"]):
        points = [f"{category['points']} {category['level']}" for category in record["categories"].values()]
        deducted = sum(deduction["percent"] for deduction in record["deductions"])
        view.add_row(record["file"], record["host"], str(record["total"]), *points, f"{deducted} %" if deducted else "")
    return view


def main() -> int:
    """Run from the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m memory_leak_lab.grading", description=__doc__)
    parser.add_argument("--diagnoses", type=Path, required=True, help="directory of HOST.md, HOST.NAME.md, fleet.md")
    parser.add_argument("--ground-truth", type=Path, required=True, help="directory of HOST.jsonl")
    parser.add_argument("--report-dir", type=Path, required=True, help="where grades.json goes")
    chosen = parser.parse_args()
    for directory in (chosen.diagnoses, chosen.ground_truth):
        if not directory.is_dir():
            print(f"{directory} is no directory", file=sys.stderr)
            return 1
    records, errors = grade_all(chosen.diagnoses, chosen.ground_truth)
    chosen.report_dir.mkdir(parents=True, exist_ok=True)
    (chosen.report_dir / "grades.json").write_text(json.dumps({"diagnoses": records}, indent=1) + "\n")
    Console(highlight=False, width=None if sys.stdout.isatty() else 150).print(table(records))
    for error in errors:
        print(error, file=sys.stderr)
    return 1 if errors or not records else 0


if __name__ == "__main__":
    sys.exit(main())
