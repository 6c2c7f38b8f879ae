"""Finds series of sizes over time: in sentences, in tables of either orientation, and in pasted output of ps, top and /proc."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from memory_leak_lab.grading import quantities, shares
from memory_leak_lab.grading.notation import MIB, NUMBER, UNITS, number
from memory_leak_lab.grading.passages import Passage
from memory_leak_lab.grading.quantities import Quantities, Quantity

MOST_POINTS = 300  # of a text; more is a pasted log
MOST_SPANS = 8
MOST_COLUMNS = 6
KIB = 1024
TIME_HEADER = re.compile(
    r"\b(?:time|clock|utc|elapsed|when|t|at|zeit|uhrzeit|zeitpunkt|heure|instant|hora|momento|after|nach|après|tras|since"
    r"|seit|depuis|desde|seconds?|secs?|minutes?|mins?|s|min|timestamp|offset)\b",
    re.I,
)
SIZE_HEADER = re.compile(r"rss|\bres\b|resident|memory|mem\b|size|anon|pss|usage|speicher|mémoire|memoria|used", re.I)
# Columns of differences, limits and counts are no sizes of the process.
OTHER_HEADER = re.compile(
    r"Δ|delta|diff|change|growth|rate|per\s|/\s*(?:min|s|h)|limit|max|ceiling|total|entries|requests|cpu|pid\b"
    r"|vsz|virt|swap|buff",
    re.I,
)
UNIT_IN_HEADER = re.compile(r"\b([kmg])(?:i?b|io|o)\b|\bbytes\b", re.I)
PS_HEADER = re.compile(r"\bPID\b.*\b(?:RSS|RES)\b|\b(?:RSS|RES)\b.*\bPID\b")
TOP_SIZE = re.compile(r"(\d+(?:[.,]\d+)?)([kmgt]?)$", re.I)
LABELLED_KIB = re.compile(
    r"\b(?:Vm)?(?:RSS|RES|HWM)\b\"?[\s:=(]{1,6}(?:of\s|was\s|is\s|at\s)?(\d{5,8})\b(?!\s*(?:[kmg]i?b|bytes))",
    re.I,
)
# A line of ps without its heading: PID, RSS in KiB and the command, in any order.
PS_LINE = re.compile(r"(?<![\w.:])(\d{2,7})\s+(?:\S+\s+){0,3}?(\d{5,8})\s+(?:\S+\s+){0,4}?\S*python", re.I)
BARE_KIB = re.compile(r"(?<![\w.:,/=-])(\d{5,8})(?![\w.:,%]|\s*[kmg]i?b)", re.I)


COMMAND = re.compile(r"\s*(?:[$#>]|\w+@)")


class Point(NamedTuple):
    """A size in MiB and when: a second of the day, or seconds since the first measurement, or neither.

    A clock that shows no seconds may be up to `within_s` later; a share of a limit is rounded to `size_within_mib`.
    """

    size_mib: float
    second_of_day: float | None = None
    elapsed_s: float | None = None
    within_s: float = 0.0
    size_within_mib: float = 0.0

    @property
    def time_s(self) -> float | None:
        """Return the time on its clock: of the day, or since the first measurement."""
        return self.second_of_day if self.second_of_day is not None else self.elapsed_s


class Series(NamedTuple):
    """Sizes in order, with the spans (s) that the text states beside undated ones, the PID if the text tells, and the text."""

    points: tuple[Point, ...]
    spans_s: tuple[float, ...] = ()
    pid: int | None = None
    text: str = ""
    own: bool = True  # of one table, output or sentence; False: pooled from several


def find(passages: list[Passage]) -> list[Series]:
    """Return all series of a text; the last ones pool the points of all its sentences and of all its outputs."""
    found: list[Series] = []
    clock: Quantity | None = None  # of the heading or sentence before pasted output
    for _key, group in itertools.groupby(passages, key=lambda each: (each.paragraph, each.kind)):
        block = list(group)
        if block[0].kind in ("heading", "sentence"):
            clocks = [quantity for each in block for quantity in quantities.find(each.text).clocks]
            clock = clocks[-1] if clocks else clock if block[0].kind == "sentence" else None
        if block[0].kind == "row":
            found += _of_table([[cell.strip() for cell in each.text.strip("|").split("|")] for each in block])
        elif block[0].kind == "output":
            found += _of_output([each.text for each in block], clock)
    limit = shares.stated_limit(each.text for each in passages if each.kind in ("sentence", "row"))
    for _paragraph, group in itertools.groupby(
        (each for each in passages if each.kind == "sentence"), key=lambda each: each.paragraph
    ):
        found += _of_sentences([shares.with_limit(each.text, limit) for each in group])
    # A series may be spread over the paragraphs, outputs and tables of a text.
    dated = [(point, each) for each in found for point in each.points if point.second_of_day is not None]
    if len({id(each) for _point, each in dated}) > 1:
        found.append(Series(tuple(dict.fromkeys(point for point, _each in dated)), text=dated[-1][1].text, own=False))
    elapsed = [(point, each) for each in found for point in each.points if point.elapsed_s is not None]
    if len({id(each) for _point, each in elapsed}) > 1:
        found.append(
            Series(tuple(dict.fromkeys(point for point, _each in elapsed)), text=elapsed[-1][1].text, own=False)
        )
    return list(itertools.takewhile(_Budget(MOST_POINTS * 3), found))


class _Budget:
    """Accepts series until they have too many points in all."""

    def __init__(self, points: int) -> None:
        self._left = points

    def __call__(self, series: Series) -> bool:
        self._left -= len(series.points)
        return self._left >= 0


def _of_sentences(sentences: list[str]) -> Iterator[Series]:
    """Yield the series of a paragraph: of each sentence, and of all its dated and undated sizes."""
    read = [quantities.find(each) for each in sentences]
    everywhere = tuple(span for each in read for span in each.spans if span.seconds)[:MOST_SPANS]
    # 'I looked five times between 15:49:53 and 15:52:38. It went from 278 to 360 MiB.'
    clocks = [clock for each in read for clock in each.clocks if not each.sizes]
    if len(clocks) > 1 and clocks[-1].value > clocks[0].value:
        everywhere = (*everywhere, quantities.Span(0, clocks[-1].value - clocks[0].value, between=False))
    paragraph: list[Point] = []
    undated: list[Point] = []
    clock: Quantity | None = None
    beside = 0.0  # the last size of a sentence before
    for sentence, each in zip(sentences, read, strict=True):
        sizes = each.sizes + [Quantity(m.start(1), int(m[1]) / KIB) for m in LABELLED_KIB.finditer(sentence)]
        sizes += [Quantity(m.start(2), int(m[2]) / KIB) for m in PS_LINE.finditer(sentence)]
        if not sizes and beside and (each.elapsed or each.clocks):
            sizes = quantities.bare_sizes(sentence, beside)
        sizes = sorted(set(sizes))[:MOST_POINTS]
        beside = sizes[-1].value if sizes else beside
        points = _dated(sizes, each, paragraph)
        if not points and len(sizes) == 1 and clock and not each.elapsed:
            points = [Point(sizes[0].value, clock.value, None, max(clock.within, 59.0))]
            clock = None
        paragraph += points
        if points:
            yield Series(tuple(points), text=sentence)
        undated += [Point(size.value) for size in sizes]
        if sizes:
            spans = tuple(_total(span, len(sizes)) for span in each.spans or everywhere)
            yield Series(tuple(Point(size.value) for size in sizes), spans, text=sentence)
        clock = each.clocks[-1] if each.clocks and not sizes else clock
    if len(paragraph) > 1:
        yield Series(tuple(paragraph), text=" ".join(sentences)[:600], own=False)
    if len(undated) > 1 and everywhere:
        spans = tuple(_total(span, len(undated)) for span in everywhere)
        yield Series(tuple(undated), spans, text=" ".join(sentences)[:600])


def _total(span: quantities.Span, count: int) -> float:
    return span.seconds * (count - 1) if span.between else span.seconds


def _dated(sizes: list[Quantity], read: Quantities, before: list[Point]) -> list[Point]:
    """Return the sizes of a sentence that have a time beside them."""
    if not sizes:
        return []
    if read.clocks:
        pairs = _pairs(sizes, read.clocks)
        points = [Point(size.value, clock.value, None, clock.within, size.within) for size, clock in pairs]
        # 'At 15:04 64 MB, two minutes later 124 MB'
        if points and len(sizes) > len(points) and any(read.later):
            paired = {size for size, _clock in pairs}
            rest = [size for size in sizes if size not in paired]
            later = [each for each, is_later in zip(read.elapsed, read.later, strict=True) if is_later]
            at = points[-1].second_of_day or 0.0
            for size, span in zip(rest, later, strict=False):
                at += span.value
                points.append(Point(size.value, at, None, 59.0))
        return points
    if not read.elapsed:
        return []
    times = list(zip(read.elapsed, read.later, strict=True))
    if (
        len(times) == len(sizes) - 1 and times[0][0].value and not (times[0][1] and before)
    ):  # 'from 64 MB to 124 MB after two minutes'
        times.insert(0, (Quantity(-1, 0.0), False))
        pairs = list(zip(sizes, [each for each, _later in times], strict=True))
    else:
        pairs = _pairs(sizes, read.elapsed)
    is_later = dict(times)
    points = []
    for size, time in pairs:
        last = points[-1] if points else before[-1] if before else None
        if is_later.get(time) and last and last.second_of_day is not None:
            points.append(Point(size.value, last.second_of_day + time.value, None, 59.0))
        elif is_later.get(time) and last and last.elapsed_s is not None:
            points.append(Point(size.value, None, last.elapsed_s + time.value))
        else:
            points.append(Point(size.value, None, time.value))
    return points


def _pairs(sizes: list[Quantity], times: list[Quantity]) -> list[tuple[Quantity, Quantity]]:
    """Return each size with its time: in order if there are as many, else each size with the nearest time left."""
    sizes, times = sizes[:MOST_POINTS], times[:MOST_POINTS]
    if len(sizes) == len(times):
        return list(zip(sizes, times, strict=True))
    time_first = times[0].place < sizes[0].place
    left, found = list(times), []
    for size in sizes:
        beside = [time for time in left if (time.place < size.place) == time_first]
        if beside:
            nearest = min(beside, key=lambda time: abs(time.place - size.place))
            left.remove(nearest)
            found.append((size, nearest))
    return found


def _of_table(rows: list[list[str]]) -> Iterator[Series]:
    """Yield a series for each column of sizes of a table, or for each row if the times are in its first row."""
    rows = [row for row in rows if any(row)][:MOST_POINTS]
    if len(rows) < 2:
        return
    columns = max(map(len, rows))
    grid = [row + [""] * (columns - len(row)) for row in rows]
    yield from _of_columns(grid)
    yield from _of_columns([list(column) for column in zip(*grid, strict=True)])


def _of_columns(grid: list[list[str]]) -> Iterator[Series]:
    header, body = grid[0], grid[1:]
    columns = list(zip(*body, strict=True))
    times = [_times(title, list(cells)) for title, cells in zip(header, columns, strict=True)]
    best = max(times, key=lambda column: sum(each is not None for each in column), default=[])
    pids = next(
        (
            _pid_column(cells)
            for title, cells in zip(header, columns, strict=True)
            if re.search(r"\bpid\b", title, re.I)
        ),
        None,
    )
    for title, cells, own in zip(header, columns, times, strict=True):
        if own is best and any(best):
            continue
        sizes = [_size(title, cell) for cell in cells]
        points = [
            Point(size, *(time or (None, None, 0.0)))
            for size, time in zip(sizes, best or [None] * len(sizes), strict=True)
            if size is not None
        ]
        if len(points) > 1:
            pid = pids[0] if pids and len(set(pids)) == 1 else None
            text = f"{title}: " + ", ".join(cells)
            yield Series(tuple(points), (), pid, text[:600])


def _pid_column(cells: Iterable[str]) -> list[int]:
    return [int(match) for cell in cells for match in re.findall(r"^\D*(\d{2,7})\D*$", cell)]


def _times(title: str, cells: list[str]) -> list[tuple[float | None, float | None, float] | None]:
    """Return the times of a column as (second of the day, seconds elapsed, within), None where a cell has none."""
    found: list[tuple[float | None, float | None, float] | None] = []
    unit = re.search(r"\b(s|secs?|seconds?|min|mins?|minutes?|m|h|hours?)\b", title, re.I)
    scale = {"s": 1.0, "m": 60.0, "h": 3600.0}[unit[1][0].lower()] if unit else None
    is_time = bool(TIME_HEADER.search(title))
    # 'After (min:s)': what looks like a clock is the time since the first measurement.
    is_elapsed = bool(
        re.search(r"min(?:utes?)?\s*:\s*s|m+:s+|\belapsed|\bafter\b|\bsince\b|\boffset|\bt\s*\+", title, re.I)
    )
    for cell in cells:
        read = quantities.find(cell)
        bare = re.fullmatch(r"\D{0,10}?[+≈~]?\s*(\d+(?:[.,]\d+)?)\s*", cell)
        if read.sizes:
            found.append(None)
        elif is_elapsed and (parts := re.fullmatch(r"\W*(\d{1,3}):([0-5]\d)\W*", cell)):
            found.append((None, int(parts[1]) * 60.0 + int(parts[2]), 0.0))
        elif read.clocks:
            found.append((read.clocks[0].value, None, read.clocks[0].within))
        elif read.elapsed and not read.later[0]:
            found.append((None, read.elapsed[0].value, 0.0))
        elif read.spans:
            found.append((None, read.spans[0].seconds, 0.0))
        elif is_time and bare and scale:
            found.append((None, number(bare[1]) * scale, 0.0))
        else:
            found.append(None)
    return found


def _size(title: str, cell: str) -> float | None:
    """Return the size in a cell: with its unit, or a bare number under a heading that has one or says RSS."""
    if OTHER_HEADER.search(title) and not re.search(r"rss|\bres\b|resident", title, re.I):
        return None
    read = quantities.find(cell)
    if read.sizes:
        return read.sizes[0].value
    bare = re.match(rf"\D{{0,3}}({NUMBER})(?!\s*[%:/\w])", cell)
    unit = UNIT_IN_HEADER.search(title)
    if bare and unit:
        scale = UNITS[(unit[1] or "b").lower()]
        return number(bare[1], of_kib=scale == KIB) * scale / MIB
    if bare and SIZE_HEADER.search(title):
        value = number(bare[1], of_kib=True)
        return value / KIB if value >= 8000 else value
    return None


def _of_output(lines: list[str], clock: Quantity | None) -> Iterator[Series]:
    """Yield the series of pasted output: sizes with the clock on their line, on a line before, or before the output."""
    clock = clock._replace(within=max(clock.within, 30.0)) if clock else None
    columns: list[str] = []
    # By PID, and by the place of the size on its line.
    by_pid: dict[tuple[int | None, int], list[Point]] = {}
    undated: list[Point] = []
    spans: list[float] = []
    for line in lines[: MOST_POINTS * 2]:
        if PS_HEADER.search(line):
            columns = line.split()
            continue
        read = quantities.find(line)
        row = _row(columns, line) if columns and not COMMAND.match(line) else None
        if row:
            if read.clocks and read.clocks[0].place < line.find(str(row[0])):
                clock = read.clocks[0]
            by_pid.setdefault((row[0], 0), []).append(_at(row[1], clock))
            continue
        clock = read.clocks[0] if read.clocks else clock
        pid, sizes = _sizes_on(line, read)
        spans += [span.seconds for span in read.spans][:2]
        for place, size in enumerate(sizes[:MOST_COLUMNS]):
            is_elapsed = not read.clocks and read.elapsed
            point = Point(size, None, read.elapsed[0].value) if is_elapsed else _at(size, clock)
            by_pid.setdefault((pid, place), []).append(point)
        undated += [Point(size) for size in sizes[:1]]
    text = "\n".join(lines)[:600]
    for (of_pid, _place), points in by_pid.items():
        if len(points) > 1 or points[0].second_of_day is not None:
            yield Series(tuple(points), (), of_pid, text)
    if len(undated) > 1 and spans:
        yield Series(tuple(undated), tuple(spans[:MOST_SPANS]), None, text)


def _sizes_on(line: str, read: Quantities) -> tuple[int | None, list[float]]:
    """Return the PID on a line of output, if it has one, and the sizes in MiB: those without a unit are KiB."""
    of_ps = PS_LINE.search(line)
    if of_ps:
        return int(of_ps[1]), [int(of_ps[2]) / KIB]
    pid = int(read.pids[0].value) if read.pids else None
    if read.sizes:
        return pid, [each.value for each in read.sizes]
    if read.clocks or re.search(r"rss", line, re.I):
        return pid, [int(each) / KIB for each in BARE_KIB.findall(line)]
    return pid, [int(match[1]) / KIB for match in LABELLED_KIB.finditer(line)]


def _at(size: float, clock: Quantity | None) -> Point:
    return Point(size, clock.value, None, max(clock.within, 10.0)) if clock else Point(size)


def _row(columns: list[str], line: str) -> tuple[int, float] | None:
    """Return PID and size in MiB of a row under a heading of ps or top."""
    cells = line.split()
    names = [name.strip("|").upper() for name in columns]
    place = names.index("RSS") if "RSS" in names else names.index("RES") if "RES" in names else -1
    if "PID" not in names or place < 0 or len(cells) < max(place, names.index("PID")) + 1:
        return None
    size = TOP_SIZE.match(cells[place])
    if not cells[names.index("PID")].isdigit() or not size:
        return None
    scale = UNITS[size[2].lower()] / MIB if size[2] else 1 / KIB
    return int(cells[names.index("PID")]), float(size[1].replace(",", ".")) * scale
