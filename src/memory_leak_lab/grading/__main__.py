"""Grade diagnoses: `memory-leak-grade --help`; playbooks/grade.yml runs it.

Writes grades.json, grades.csv and grades.html, and prints a table, JSON or JUnit XML. Exits 0 if everything was graded, 1 if a
file could not be graded or a judge failed (the other files are still graded), 2 if an argument is wrong.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

from rich.console import Console

from memory_leak_controller import variables
from memory_leak_controller.escaping import printable
from memory_leak_controller.report.records import replace
from memory_leak_lab import version
from memory_leak_lab.grading import (
    batch,
    documents,
    files,
    fleet,
    grade,
    ground_truth,
    grounding,
    judge_request,
    output,
    page,
    rubric,
)
from memory_leak_lab.grading.documents import Document
from memory_leak_lab.grading.ground_truth import GroundTruth

DIAGNOSES = Path("reports/diagnoses")


class Submission(NamedTuple):
    """A diagnosis of a host: the file's name, the author that the name tells, and the transcript if there is one."""

    file: str
    author: str
    document: Document
    truth: GroundTruth
    transcript: grounding.Transcript | None


def submissions(
    paths: list[Path], truths: dict[str, GroundTruth], host: str | None = None, transcripts: Path | None = None
) -> tuple[list[Submission], list[str]]:
    """Return the diagnoses in files and directories, and an error message for each file that could not be read."""
    found: list[Submission] = []
    errors: list[str] = []
    for path in _files(paths):
        try:
            found += _of_file(path, truths, host, transcripts)
        except (files.UnreadableError, ValueError) as error:
            errors.append(str(error))
    return found, errors


def _files(paths: list[Path]) -> list[Path]:
    """Return the given files, and those in the given directories whose suffix is that of a diagnosis."""
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(each for each in path.iterdir() if each.suffix in documents.SUFFIXES)
        else:
            found.append(path)
    return found


def _of_file(
    path: Path, truths: dict[str, GroundTruth], host: str | None, transcripts: Path | None
) -> list[Submission]:
    document = documents.read(path)
    named = host or document.host
    hosts = [each for each in truths if each == named] if named else fleet.hosts_of(path, list(truths))
    if not hosts:
        known = ", ".join(truths) or "none"
        wanted = f" ({named})" if named else ""
        raise files.UnreadableError(
            f"{path.name}: not graded: the ground truth has no host of that name{wanted}, only {known}"
        )
    author = fleet.author_of(path, hosts)
    parts = fleet.parts(hosts, document.text) if len(hosts) > 1 else {hosts[0]: document.text}
    found = []
    for each, part in parts.items():
        files.check_length(path.name, each, part)
        transcript = _transcript(author, each, transcripts or path.parent.parent / "transcripts")
        found.append(Submission(path.name, author, document._replace(text=part), truths[each], transcript))
    return found


def _transcript(author: str, host: str, directory: Path) -> grounding.Transcript | None:
    """Return the transcript of the session that filed a diagnosis, if the directory has one of that name."""
    path = directory / f"{author}.jsonl" if author else None
    return grounding.load(path, host) if path and path.is_file() else None


def record(each: Submission, judge: grade.Judge | None = None) -> dict[str, Any]:
    """Return the record of one diagnosis of one host."""
    graded = grade.grade(each.document, each.truth, judge, each.transcript)
    return {
        **{"file": each.file, "author": each.author, "host": each.truth.host, "variant": each.truth.variant},
        **graded,
        "mitigation_on_host": asdict(each.truth.repair) if each.truth.repair else None,
    }


def grade_all(
    diagnoses: Path, truths: dict[str, GroundTruth], judge: grade.Judge | None = None
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return a record for each diagnosis and host of a directory, and a message for each file that could not be graded."""
    found, errors = submissions([diagnoses], truths)
    return [record(each, judge) for each in found], errors


class UsageError(Exception):
    """An argument is wrong, or something that it asks for cannot be had."""


def main() -> int:
    """Run from the command line and return the exit status."""
    try:
        return _run(_parser().parse_args())
    except UsageError as error:
        print(printable(str(error)), file=sys.stderr)
        return 2


def _run(chosen: argparse.Namespace) -> int:
    paths = _checked_paths(chosen)
    errors: list[str] = []
    truths = ground_truth.load(chosen.ground_truth, errors)
    if chosen.host and chosen.host not in truths:
        raise UsageError(f"--host is {chosen.host}: the ground truth has only {', '.join(truths) or 'no host'}")
    found, unreadable = submissions(paths, truths, chosen.host, chosen.transcripts)
    errors = unreadable + errors
    if chosen.judge_requests:
        _write_requests(found, chosen)
    else:
        records = _graded(found, errors, chosen)
        _write(records, chosen.report_dir)
        errors += [
            f"{each['file']}, host {each['host']}: {name} is ungraded: {category['evidence']}"
            for each in records
            for name, category in each["categories"].items()
            if category["level"] == rubric.UNGRADED
        ]
        _print(records, errors, chosen.format)
    if not found and not errors:
        errors.append(
            f"{', '.join(map(str, paths))} contains no diagnosis: expected HOST.md, HOST.NAME.md or fleet.md "
            f"(or {', '.join(documents.SUFFIXES[1:])})"
        )
    for message in errors:
        print(printable(message), file=sys.stderr)
    return 1 if errors else 0


def _checked_paths(chosen: argparse.Namespace) -> list[Path]:
    """Return the files and directories of diagnoses. Raises UsageError if an argument is wrong."""
    wrong_version = version.mismatch(chosen.for_version)
    problems = [wrong_version] if wrong_version else _bad_variables(json.load(sys.stdin)) if chosen.variables else []
    if problems:
        raise UsageError("; ".join(problems))
    paths = [*chosen.paths, *([chosen.diagnoses] if chosen.diagnoses else [])] or [DIAGNOSES]
    for path in paths:
        if not path.exists():
            raise UsageError(f"{path}: no such file or directory")
    for directory in filter(None, (chosen.diagnoses, chosen.ground_truth)):
        if not directory.is_dir():
            raise UsageError(f"{directory} is not a directory")
    return paths


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="memory-leak-grade", description=__doc__)
    parser.add_argument(
        "paths",
        nargs="*",
        type=Path,
        metavar="PATH",
        help=f"files, or directories of HOST.md, HOST.NAME.md and fleet.md; default: {DIAGNOSES}",
    )
    parser.add_argument("--diagnoses", type=Path, help="one more directory of diagnoses")
    parser.add_argument("--host", help="the host that the files are about, whatever their names")
    parser.add_argument(
        "--ground-truth",
        type=Path,
        default=Path("reports/ground_truth"),
        help="directory of HOST.jsonl (default: %(default)s)",
    )
    parser.add_argument(
        "--report-dir",
        type=Path,
        default=Path("reports"),
        help="directory for grades.json, .csv and .html (default: %(default)s)",
    )
    parser.add_argument(
        "--format", choices=("table", "json", "junit"), default="table", help="what to print (default: table)"
    )
    parser.add_argument(
        "--transcripts",
        type=Path,
        help="directory of NAME.jsonl: measurements that no tool showed in NAME's session do not count (default: transcripts "
        "beside the directory of a diagnosis)",
    )
    parser.add_argument("--judge", action="store_true", help="let a language model grade what cannot be checked")
    parser.add_argument(
        "--judge-requests",
        type=Path,
        metavar="FILE",
        help="only write the judge's requests, as JSON lines for a batch service",
    )
    parser.add_argument(
        "--judge-responses", type=Path, metavar="FILE", help="read the judge's answers from such a service's output"
    )
    parser.add_argument(
        "--votes", type=int, default=judge_request.VOTES, help="how often the judge is asked (default: %(default)s)"
    )
    parser.add_argument("--variables", action="store_true", help="validate a playbook's variables: JSON on stdin")
    version.add_option(parser)
    return parser


def _graded(found: list[Submission], errors: list[str], chosen: argparse.Namespace) -> list[dict[str, Any]]:
    """Return the records, judged as the arguments say. Raises UsageError if the judge cannot be had."""
    if not chosen.judge_responses:
        judge = _judge(chosen.votes) if chosen.judge else None
        return [record(each, judge) for each in found]
    try:
        responses = batch.Responses(chosen.judge_responses, chosen.votes, errors)
    except OSError as error:
        raise UsageError(f"--judge-responses: {error}") from error
    return [record(each, responses.judge(each.file)) for each in found]


def _write_requests(found: list[Submission], chosen: argparse.Namespace) -> None:
    """Write the requests of all votes. Raises UsageError if the environment names no model."""
    model = judge_request.model_name()
    if not model:
        raise UsageError(f"{judge_request.MODEL_VARIABLE} is not set: set it to the name of the model that judges")
    lines = [
        batch.request(each.file, model, grade.whole(each.document), each.truth, vote)
        for each in found
        for vote in range(chosen.votes)
    ]
    chosen.judge_requests.write_text("".join(f"{line}\n" for line in lines))
    print(f"{chosen.judge_requests}: {len(lines)} requests for {len(found)} diagnoses")


def _write(records: list[dict[str, Any]], directory: Path) -> None:
    directory.mkdir(parents=True, exist_ok=True)
    replace(directory / "grades.json", json.dumps(output.data(records), indent=1, allow_nan=False) + "\n")
    replace(directory / "grades.csv", output.csv_text(records))
    page.write(records, directory / "grades.html")


def _print(records: list[dict[str, Any]], errors: list[str], wanted: str) -> None:
    if wanted == "json":
        print(json.dumps(output.data(records), indent=1, allow_nan=False))
    elif wanted == "junit":
        print(output.junit(records, errors), end="")
    else:
        console = Console(highlight=False, width=None if sys.stdout.isatty() else 170)
        console.print(output.table(records))
        for line in output.lines(records):
            console.print(printable(line), markup=False)


def _bad_variables(values: dict[str, Any]) -> list[str]:
    """Return an error message for each variable of a playbook that is unknown or has an invalid value."""
    from memory_leak_controller import validation  # noqa: PLC0415 # needs ansible-core, which playbooks have

    known = {name: value for name, value in values.items() if name in validation.DEFAULTS}
    return [*variables.unknown(values), *validation.validate(validation.DEFAULTS | known)[2]]


def _judge(votes: int) -> grade.Judge:
    """Return the judge that the environment configures. Raises UsageError without openai, or if nothing is configured."""
    try:
        from memory_leak_lab.grading.judge import Judge  # noqa: PLC0415 # needs packages that grading does not
    except ImportError as error:
        raise UsageError(
            f"--judge needs the package openai: install it with pip install 'CHECKOUT[judge]' ({error})"
        ) from error
    try:
        return Judge(votes)
    except ValueError as error:
        raise UsageError(str(error)) from error


if __name__ == "__main__":
    sys.exit(main())
