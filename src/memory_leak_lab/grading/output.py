"""The formats in which grades are written: JSON, CSV, JUnit XML and a table for a terminal."""

from __future__ import annotations

import csv
import io
from typing import Any
from xml.etree import ElementTree as ET

from rich.table import Table
from rich.text import Text

from memory_leak_controller.escaping import printable
from memory_leak_lab.grading import rubric, summary
from memory_leak_lab.grading.ground_truth import LEAKER

Record = dict[str, Any]
PASS_FROM = 50  # points; JUnit knows passed and failed only


def data(records: list[Record]) -> dict[str, Any]:
    """Return what grades.json contains."""
    return {"diagnoses": records, "detection": summary.detection(records), "authors": summary.authors(records)}


def csv_text(records: list[Record]) -> str:
    """Return a line for each diagnosis of a host: what was graded, with the points and the basis of each category."""
    file = io.StringIO()
    writer = csv.writer(file)
    names = rubric.CATEGORIES
    columns = ["file", "author", "host", "variant", "verdict", "said", "total", "provisional", "all_clear_points"]
    writer.writerow([*columns, *names, *(f"{name}_basis" for name in names), "deducted_percent"])
    for record in records:
        points = [record["categories"][name]["points"] if record["variant"] == LEAKER else None for name in names]
        bases = [record["categories"][name]["basis"] if record["variant"] == LEAKER else None for name in names]
        deducted = sum(each["percent"] for each in record["deductions"])
        cells = [*(record[column] for column in columns), *points, *bases, deducted]
        writer.writerow([_harmless(cell) for cell in cells])
    return file.getvalue()


def _harmless(cell: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula: file names are their authors' choice."""
    if not isinstance(cell, str):
        return cell
    cell = printable(cell)
    return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell


def junit(records: list[Record], errors: list[str]) -> str:
    """Return JUnit XML: a case for each diagnosis of a host. Below half of the points, or blaming a healthy host, fails."""
    failed = [record for record in records if not _passes(record) and record["verdict"] != rubric.UNGRADED]
    skipped = [record for record in records if record["verdict"] == rubric.UNGRADED]
    counts = {
        "tests": len(records) + len(errors),
        "failures": len(failed),
        "errors": len(errors),
        "skipped": len(skipped),
    }
    suite = ET.Element("testsuite", {"name": "grades", **{name: str(count) for name, count in counts.items()}})
    for record in records:
        case = ET.SubElement(suite, "testcase", {"classname": _xml(record["host"]), "name": _xml(record["file"])})
        if record["verdict"] == rubric.UNGRADED:
            ET.SubElement(case, "skipped", {"message": "ungraded"})
        elif not _passes(record):
            said = record["verdict"] if record["variant"] != LEAKER else f"{record['total']} of 100 points"
            ET.SubElement(case, "failure", {"message": said}).text = _xml(record["evidence"])
        ET.SubElement(case, "system-out").text = "\n".join(
            f"{name}: {each['points']} {each['level']} ({each['basis']}) {_xml(each['evidence'])}"
            for name, each in record["categories"].items()
        )
    for error in errors:
        case = ET.SubElement(suite, "testcase", {"classname": "files", "name": _xml(error.split(":")[0])})
        ET.SubElement(case, "error", {"message": _xml(error)})
    ET.indent(suite)
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(suite, encoding="unicode") + "\n"


def _passes(record: Record) -> bool:
    if record["variant"] != LEAKER:
        return bool(record["verdict"] == "cleared")
    return record["total"] is not None and record["total"] >= PASS_FROM


def _xml(text: str) -> str:
    """Return a text without the characters that XML cannot carry."""
    return printable(text).encode("utf-8", "replace").decode()


def table(records: list[Record]) -> Table:
    """Return the grades as a table, best last. A total in parentheses is provisional."""
    view = Table(box=None, pad_edge=False, header_style="bold")
    names = [name.replace("_", " ") for name in rubric.CATEGORIES]
    for heading in ("file", "host", "total", *names, "deducted", "fix on the host"):
        view.add_column(heading, justify="left" if heading in ("file", "host", "fix on the host") else "right")
    for record in sorted(records, key=lambda each: -1 if each["total"] is None else each["total"]):
        points = ["", "", "", ""]
        if record["variant"] == LEAKER:
            points = [f"{each['points']} {each['level']}" for each in record["categories"].values()]
        total = record["verdict"] if record["total"] is None else str(record["total"])
        if record["provisional"] and record["total"] is not None:
            total = f"({total})"
        deducted = sum(deduction["percent"] for deduction in record["deductions"])
        fix = record["mitigation_on_host"]
        cells = [record["file"], record["host"], total, *points]
        cells += [f"{deducted} %" if deducted else "", fix["effect"] if fix else ""]
        view.add_row(*(Text(printable(cell)) for cell in cells))
    return view


def lines(records: list[Record]) -> list[str]:
    """Return what follows the table: the detection over the fleet, and the authors if there are several."""
    if not records:
        return []
    found = summary.detection(records)
    said = [f"precision {found['precision']:.2f}"] if found["precision"] is not None else []
    said += [f"recall {found['recall']:.2f}"] if found["recall"] is not None else []
    if found["all_clear_points_possible"]:
        said.append(f"all-clears {found['all_clear_points']} of {found['all_clear_points_possible']}")
    text = [f"detection: {', '.join(said)}"] if said else []
    several = summary.authors(records)
    if len(several) > 1:
        text += [
            f"{each['author'] or '(no name)'}: {each['diagnoses']} diagnoses"
            + (f", mean {each['mean_total']}" if each["graded"] else "")
            + (f", standard deviation {each['standard_deviation']}" if each["graded"] > 1 else "")
            for each in several
        ]
    if any(record["provisional"] and record["total"] is not None for record in records):
        text.append("(total): provisional, a category rests on rules alone; --judge lets a language model grade it")
    return text
