"""Grade a directory of diagnoses: `memory-leak-grade --help`; playbooks/grade.yml runs it.

Writes grades.json and grades.html and prints a table. Exits 1 if a file could not be graded or a judge failed; the other files
are still graded.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memory_leak_controller import variables
from memory_leak_controller.escaping import printable
from memory_leak_controller.report.records import replace
from memory_leak_lab import version
from memory_leak_lab.grading import files, fleet, grade, ground_truth, page, rubric


def grade_all(
    diagnoses: Path, truths: dict[str, ground_truth.GroundTruth], judge: grade.Judge | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a record for each diagnosis and host, and an error message for each file that could not be graded."""
    records, errors = [], []
    for path in sorted(path for path in diagnoses.iterdir() if path.suffix in files.SUFFIXES):
        hosts = fleet.hosts_of(path, list(truths))
        if not hosts:
            known = ", ".join(truths) or "none"
            errors.append(f"{path.name}: not graded: the ground truth has no host of that name, only {known}")
            continue
        try:
            text = files.read(path)
            parts = fleet.parts(hosts, text) if len(hosts) > 1 else {hosts[0]: text}
            for host, part in parts.items():
                files.check_length(path.name, host, part)
                records.append(_record(path.name, part, truths[host], judge))
        except files.UnreadableError as error:
            errors.append(str(error))
    return records, errors


def _record(name: str, text: str, truth: ground_truth.GroundTruth, judge: grade.Judge | None) -> dict[str, Any]:
    """Return the record of one diagnosis of one host."""
    return {
        **{"file": name, "host": truth.host, "variant": truth.variant},
        **grade.grade(text, truth, judge),
        "mitigation_on_host": asdict(truth.repair) if truth.repair else None,
    }


def table(records: list[dict[str, Any]]) -> Table:
    """Return the grades as a table, best last."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    names = [name.replace("_", " ") for name in rubric.CATEGORIES]
    for heading in ("file", "host", "total", *names, "deducted", "fix on the host"):
        view.add_column(heading, justify="left" if heading in ("file", "host", "fix on the host") else "right")
    for record in sorted(records, key=lambda each: -1 if each["total"] is None else each["total"]):
        points = ["", "", "", ""]
        if record["variant"] == ground_truth.LEAKER:
            points = [f"{each['points']} {each['level']}" for each in record["categories"].values()]
        total = record["verdict"] if record["total"] is None else str(record["total"])
        deducted = sum(deduction["percent"] for deduction in record["deductions"])
        fix = record["mitigation_on_host"]
        cells = [record["file"], record["host"], total, *points]
        cells += [f"{deducted} %" if deducted else "", fix["effect"] if fix else ""]
        view.add_row(*(Text(printable(cell)) for cell in cells))
    return view


def main() -> int:
    """Run from the command line and return the exit status."""
    parser = argparse.ArgumentParser(prog="memory-leak-grade", description=__doc__)
    parser.add_argument(
        "--diagnoses", type=Path, default=Path("reports/diagnoses"), help="directory of HOST.md, HOST.NAME.md, fleet.md"
    )
    parser.add_argument(
        "--ground-truth", type=Path, default=Path("reports/ground_truth"), help="directory of HOST.jsonl"
    )
    parser.add_argument(
        "--report-dir", type=Path, default=Path("reports"), help="directory for grades.json and grades.html"
    )
    parser.add_argument("--judge", action="store_true", help="let a language model judge cause and mitigation")
    parser.add_argument("--variables", action="store_true", help="validate a playbook's variables: JSON on stdin")
    version.add_option(parser)
    chosen = parser.parse_args()
    wrong_version = version.mismatch(chosen.for_version)
    if wrong_version:
        return _complain(wrong_version)
    if chosen.variables:
        problems = _bad_variables(json.load(sys.stdin))
        if problems:
            return _complain("; ".join(problems))
    for directory in (chosen.diagnoses, chosen.ground_truth):
        if not directory.is_dir():
            return _complain(f"{directory} is not a directory")
    try:
        judge = _judge() if chosen.judge else None
    except (ImportError, ValueError) as error:
        return _complain(str(error))
    problems = []
    records, errors = grade_all(chosen.diagnoses, ground_truth.load(chosen.ground_truth, problems), judge)
    errors += problems
    chosen.report_dir.mkdir(parents=True, exist_ok=True)
    graded = json.dumps({"diagnoses": records}, indent=1, allow_nan=False)
    replace(chosen.report_dir / "grades.json", graded + "\n")
    page.write(records, chosen.report_dir / "grades.html")
    Console(highlight=False, width=None if sys.stdout.isatty() else 170).print(table(records))
    errors += [
        f"{each['file']}, host {each['host']}: {name} is ungraded: {category['evidence']}"
        for each in records
        for name, category in each["categories"].items()
        if category["level"] == rubric.UNGRADED
    ]
    if not records and not errors:
        errors.append(f"{chosen.diagnoses} contains no diagnosis: expected HOST.md, HOST.NAME.md or fleet.md (or .txt)")
    for message in errors:
        print(printable(message), file=sys.stderr)
    return 1 if errors else 0


def _bad_variables(values: dict[str, Any]) -> list[str]:
    """Return an error message for each variable of a playbook that is unknown or has an invalid value."""
    from memory_leak_controller import validation  # noqa: PLC0415 # needs ansible-core, which playbooks have

    known = {name: value for name, value in values.items() if name in validation.DEFAULTS}
    return [*variables.unknown(values), *validation.validate(validation.DEFAULTS | known)[2]]


def _judge() -> grade.Judge:
    """Return the judge that the environment configures. Raises ImportError without openai, ValueError if unconfigured."""
    try:
        from memory_leak_lab.grading.judge import Judge  # noqa: PLC0415 # needs packages that grading does not
    except ImportError as error:
        raise ImportError(
            f"--judge needs the package openai: install it with pip install 'CHECKOUT[judge]' ({error})"
        ) from error
    return Judge()


def _complain(message: str) -> int:
    print(message, file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
