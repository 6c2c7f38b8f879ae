"""Writes the evidence of an investigation and the resulting diagnosis as Markdown and JSON files for each host."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from jinja2 import Environment, PackageLoader

from memory_leak_controller.escaping import printable, printable_values
from memory_leak_controller.report.records import make_directory, replace
from memory_leak_lab.investigation import analysis, source
from memory_leak_lab.investigation.analysis import KIB_PER_MIB, Finding, Snapshot

# They start with a word of limited length: otherwise a log of one long word takes quadratic time.
RATE_IN_LOG = re.compile(r"\b(\w{0,40}per_second)=(\d{1,9}(?:\.\d{1,9})?)")
COUNT_IN_LOG = re.compile(r"\b(\w{0,40}entries)=(\d{1,15})")
SYSTEMD_TIME = "%a %Y-%m-%d %H:%M:%S %Z"
UNLIMITED = "infinity"
LATEST = 5  # of the rates in a log: the first ones are from a service that has just started


def code(text: str) -> str:
    """Return a host's text as a Markdown code span that it cannot break out of."""
    return f"`{printable(text).replace('`', chr(39))}`"


environment = Environment(
    loader=PackageLoader("memory_leak_lab.investigation", "."),
    autoescape=False,  # noqa: S701 # Markdown, not HTML
    keep_trailing_newline=True,
)
environment.filters["code"] = code


def clock(unix_time: float) -> str:
    """Return the time of day in UTC."""
    return datetime.fromtimestamp(unix_time, UTC).strftime("%H:%M:%S")


def write(host: str, first: Snapshot, second: Snapshot, report_directory: Path) -> Finding:
    """Write a host's evidence to investigation/HOST.{md,json} and its diagnosis to diagnoses/HOST.reference.md."""
    first, second = _safe(first), _safe(second)
    finding = analysis.analyse(first, second)
    evidence, diagnoses = report_directory / "investigation", report_directory / "diagnoses"
    for directory in (evidence, diagnoses):
        make_directory(directory)
    name = quote(host, safe="")  # a host name must not act as a path
    replace(diagnoses / f"{name}.reference.md", diagnosis(host, first, finding))
    text = environment.get_template("evidence.md.j2").render(
        host=host, first=first, second=second, finding=finding, clock=clock
    )
    # Private: evidence contains command lines and logs of the host's processes.
    replace(evidence / f"{name}.md", text, private=True)
    record = {"host": host, **asdict(finding), "snapshots": [first, second]}
    replace(evidence / f"{name}.json", json.dumps(record, indent=1, allow_nan=False) + "\n", private=True)
    return finding


def _safe(snapshot: Snapshot) -> Snapshot:
    """Return a snapshot that is safe to show: no control characters except newline and tab, no end of a code block."""
    text = json.dumps(printable_values(snapshot, keep="\n\t")).replace("```", "'''")
    found: Snapshot = json.loads(text)
    return found


def diagnosis(host: str, first: Snapshot, finding: Finding) -> str:
    """Return the diagnosis of a host in Markdown."""
    facts = _leak_facts(finding) if finding.leak else _kill_facts(first, finding) if finding.oom_kills else {}
    text = environment.get_template("diagnosis.md.j2").render(host=host, finding=finding, clock=clock, **facts)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _leak_facts(finding: Finding) -> dict[str, Any]:
    leak = finding.leak
    assert leak
    details, samples = leak.details, leak.samples
    service = details["service"] or {"properties": {}}
    ceiling = service["properties"].get("MemoryMax", UNLIMITED)
    ceiling_mib = int(ceiling) / KIB_PER_MIB**2 if ceiling.isdigit() else None
    duration_s = samples[-1][0] - samples[0][0]
    cpu_s = details["samples"][-1]["cpu_s"] - details["samples"][0]["cpu_s"]
    watched_s = details["samples"][-1]["monotonic_s"] - details["samples"][0]["monotonic_s"]
    load = [_rates(details["log"]), f"it uses {cpu_s / watched_s:.1%} of a processor" if watched_s else ""]
    return {
        "leak": leak,
        "unit": details["unit"],
        "command": " ".join(details["command"]),
        "rows": [*samples[:2], *samples[len(samples) // 2 :: 4], samples[-1]],
        "duration_s": duration_s,
        "ceiling_mib": ceiling_mib,
        "minutes_left": ceiling_mib and (ceiling_mib - samples[-1][1]) / leak.rate_mib_per_min,
        "load": ", ".join(filter(None, load)),
        **_cause(details, details["command"], details["log"]),
    }


def _kill_facts(first: Snapshot, finding: Finding) -> dict[str, Any]:
    """Return the facts of the last kill. The unit's start time counts only if systemd's record is of the same process."""
    kill = finding.oom_kills[-1]
    service: dict[str, Any] = kill["service"] or {}
    properties = service.get("properties", {})
    is_same = properties.get("ExecMainPID") == str(kill["pid"])
    found = re.search(r"argv\[\]=([^;]*?) ;", properties.get("ExecStart", ""))
    command = found[1] if found else ""
    return {
        "kill": kill,
        "unit": kill["unit"],
        "command": command,
        "started": _unix_time(properties.get("ExecMainStartTimestamp", "")) if is_same else None,
        "python_mib": first["python_rss_kib"] / KIB_PER_MIB,
        "load": _rates(service.get("log")),
        **_cause(service, command.split(), service.get("log")),
    }


def _unix_time(text: str) -> float | None:
    """Return the Unix time of a systemd timestamp, which host_snapshot.py requests in UTC, or None if invalid."""
    try:
        return datetime.strptime(text, SYSTEMD_TIME).replace(tzinfo=UTC).timestamp()
    except ValueError:
        return None


def _cause(where: dict[str, Any], command: list[str], log: str | None) -> dict[str, Any]:
    """Return the growing container, if the program's source is readable, and the entry counts in its log."""
    retaining_containers = source.retaining_containers(where.get("source") or "")
    container = retaining_containers[0] if retaining_containers else None
    # An option belongs to the condition if its name is a word in it: --max-sessions and self._max_sessions.
    words = re.findall(r"\w+", container.removed_if or "") if container else []
    names = {word.strip("_") for word in words}
    counts = COUNT_IN_LOG.findall(log or "")
    return {
        "container": container,
        "script": where.get("script"),
        "limits": [
            option
            for option in command
            if option.startswith("--") and option[2:].split("=")[0].replace("-", "_") in names
        ],
        "entries": f"{counts[0][0]} from {counts[0][1]} to {counts[-1][1]}" if len(counts) > 1 else "",
    }


def _rates(log: str | None) -> str:
    found = RATE_IN_LOG.findall(log or "")[-LATEST:]
    rates = [float(value) for _name, value in found]
    return f"its log shows {found[0][0]} {min(rates):g} to {max(rates):g}" if rates else ""
