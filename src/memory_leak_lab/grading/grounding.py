"""Compares a diagnosis with the transcript of its investigation: a measurement that no tool has shown was not measured."""

from __future__ import annotations

import json
import re
from bisect import bisect_left
from pathlib import Path
from typing import Any, NamedTuple

from memory_leak_lab.grading.notation import MIB, UNITS
from memory_leak_lab.grading.series import Series

NUMBER = re.compile(r"(?<![\w.])(\d{1,15}(?:\.\d{1,6})?)\s?([kmg])?(?:i?b)?(?![\w.]*\d)", re.I)
TOLERANCE = 0.006  # share: 64.2 MiB may be reported as 64 or 64.5
TOLERANCE_MIB = 0.6
SHORTEST_KIB = 4  # digits
MOST_BYTES = 64 * 1024**2


class Transcript(NamedTuple):
    """The sizes in MiB that the outputs of an investigation's tools may mean, in ascending order."""

    sizes_mib: tuple[float, ...]


def load(path: Path, host: str) -> Transcript:
    """Return the transcript of a session about a host: JSON lines with `arguments`, `output` and `structured`.

    Raises ValueError with file and line if a line is not JSON, OSError if the file cannot be read.
    """
    sizes: set[float] = set()
    with path.open("rb") as file:
        text = file.read(MOST_BYTES).decode(errors="replace")
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except ValueError as error:
            raise ValueError(f"{path}, line {number}: not JSON: {error}") from error
        arguments = found.get("arguments") if isinstance(found, dict) else None
        if (
            not isinstance(arguments, dict)
            or arguments.get("host", host) != host
            or found.get("tool") == "submit_diagnosis"
        ):
            continue
        sizes |= _sizes(found.get("output")) | _sizes(found.get("structured"))
    return Transcript(tuple(sorted(sizes)))


def _sizes(output: Any) -> set[float]:
    """Return what the numbers of an output may be in MiB.

    Without a unit, tools print KiB or bytes, and MiB with a decimal; a small integer may be anything and counts as nothing.
    """
    text = output if isinstance(output, str) else json.dumps(output)
    found = set()
    for digits, unit in NUMBER.findall(text):
        number = float(digits)
        if unit:
            found.add(number * UNITS[unit.lower()] / MIB)
        elif "." in digits:
            found |= {number, number * 1024}
        elif len(digits) >= SHORTEST_KIB:
            found |= {number / 1024, number / MIB}
    return found


def missing(found: list[Series], transcript: Transcript) -> list[float]:
    """Return the sizes (MiB) of all series that no output shows, in ascending order."""
    sizes = {point.size_mib for series in found for point in series.points}
    return sorted(round(size, 2) for size in sizes if not _is_shown(size, transcript))


def is_missing(series: Series, ungrounded: list[float]) -> bool:
    """Return whether a series contains a size that no output shows."""
    return bool(ungrounded) and any(round(point.size_mib, 2) in ungrounded for point in series.points)


def _is_shown(size_mib: float, transcript: Transcript) -> bool:
    margin = max(TOLERANCE_MIB, TOLERANCE * size_mib)
    place = bisect_left(transcript.sizes_mib, size_mib - margin)
    if place < len(transcript.sizes_mib) and transcript.sizes_mib[place] <= size_mib + margin:
        return True
    # A size in MB of 10^6 bytes.
    decimal = size_mib * 1e6 / MIB
    place = bisect_left(transcript.sizes_mib, decimal - margin)
    return place < len(transcript.sizes_mib) and transcript.sizes_mib[place] <= decimal + margin
