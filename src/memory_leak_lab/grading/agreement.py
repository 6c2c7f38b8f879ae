"""Checks series of sizes against the recorded one: by level, by slope, and by the share of the points that agree."""

from __future__ import annotations

import itertools

from memory_leak_lab.grading.ground_truth import GroundTruth, Run
from memory_leak_lab.grading.series import Point, Series

SIZE_TOLERANCE = 0.08  # share of the recorded size: MB may be 10^6 or 2^20 bytes
SIZE_TOLERANCE_MIB = 6.0
CLOCK_TOLERANCE_S = 4.0  # between the clocks of host and controller
# Share of the recorded slope, and what it may be larger by because a stated time such as 'about 3 minutes' is not exact.
SLOPE_TOLERANCE, MOST_SLOPE_TOLERANCE = 0.1, 0.3
SPAN_TOLERANCE_S = 15.0
LEAST_FALLING, SHORTEST_FALL_S, SLOPE_OF_A_FALL = 3, 20.0, 0.2  # points, duration, share of the slope
LEAST_APART_S = 8.0
LEAST_GROWTH_MIB = 0.8
FAST_GROWTH_MIB = 10.0  # shows in seconds at a high rate
LEAST_SHARE = 1 / 3  # of the points with a time of day; others may be of the host's memory
LEAST_SHARE_ELAPSED = 0.6
OFFSETS_S = [hours * 1800 for hours in sorted(range(-24, 29), key=abs)]  # time zones
LATEST_S = 3600.0  # after the last recorded sample
MOST_PAIRED = 40


def find(found: list[Series], truth: GroundTruth, only_dated: bool = False) -> tuple[Series, Point] | None:
    """Return the first series that shows the leaker's growth, with its last agreeing point; None without any.

    Sizes without a time of day may agree by chance: they count from a text that names the leaker.
    """
    for series in found:
        if series.pid is not None and series.pid not in truth.pids:
            continue
        last = _dated(series.points, truth)
        if not last and not only_dated:
            last = _elapsed(series.points, truth) or _undated(series, truth)
        if last:
            return series, last
    return None


def falling(found: list[Series], truth: GroundTruth) -> tuple[Series, Point] | None:
    """Return the first series of at least three sizes that fall as fast as the leaker grows: the host's available memory."""
    for series in found:
        points = [each for each in series.points if each.time_s is not None]
        sizes = [each.size_mib for each in points]
        if len(points) < LEAST_FALLING or any(later >= earlier for earlier, later in itertools.pairwise(sizes)):
            continue
        begin, end = points[0].time_s or 0.0, points[-1].time_s or 0.0
        for run in truth.runs:
            expected = (end - begin) / 60 * run.target_rate_mib_per_min
            if end - begin >= SHORTEST_FALL_S and abs(sizes[0] - sizes[-1] - expected) <= SLOPE_OF_A_FALL * expected:
                return series, points[-1]
    return None


def is_refuted(found: list[Series], truth: GroundTruth) -> bool:
    """Return whether not one of a text's rising, dated sizes is the leaker's: they are another host's, or invented."""
    rising = [
        each
        for each in found
        if each.own
        and (each.pid is None or each.pid in truth.pids)
        and _is_dated_rise([p for p in each.points if p.second_of_day is not None])
    ]
    if not rising:
        return False
    points = [point for each in found for point in each.points if point.second_of_day is not None]
    return not any(_time_in_series(point, truth, 0) is not None for point in points) and not any(
        _dated(each.points, truth) for each in rising
    )


def touches(found: list[Series], truth: GroundTruth) -> bool:
    """Return whether a size is the leaker's at its time of day, in UTC: one is no series, but can hardly be guessed."""
    points = {point for series in found for point in series.points if point.second_of_day is not None}
    return any(_time_in_series(point, truth, 0) is not None for point in points)


def _is_dated_rise(points: list[Point]) -> bool:
    sizes = [point.size_mib for point in points]
    return (
        len(points) > 1
        and sizes[-1] - sizes[0] >= LEAST_GROWTH_MIB
        and all(later >= earlier for earlier, later in itertools.pairwise(sizes))
        and (points[-1].second_of_day or 0) - (points[0].second_of_day or 0) >= LEAST_APART_S
    )


def _is_in_range(size_mib: float, run: Run) -> bool:
    """Return whether the run had a size between its first recorded sample and an hour after the last one."""
    if not run.samples:
        return False
    least = min(rss for _at, rss in run.samples) / 2**20
    most = run.rss_mib(run.samples[-1][0] + LATEST_S) or (run.ceiling_bytes or 2**60) / 2**20
    return least * (1 - SIZE_TOLERANCE) - SIZE_TOLERANCE_MIB <= size_mib <= most * (1 + SIZE_TOLERANCE)


def _dated(points: tuple[Point, ...], truth: GroundTruth) -> Point | None:
    clocks = [each for each in points if each.second_of_day is not None]
    if len(clocks) < 2:
        return None
    for offset_s in OFFSETS_S:
        near = [(at, each) for each in clocks if (at := _time_in_series(each, truth, offset_s)) is not None]
        near.sort(key=lambda pair: pair[0])
        if len(near) < max(2, LEAST_SHARE * len(clocks)):
            continue
        (began, first), (ended, last) = near[0], near[-1]
        grown = last.size_mib - first.size_mib
        if grown >= LEAST_GROWTH_MIB and (
            ended - began >= LEAST_APART_S or (grown >= FAST_GROWTH_MIB and ended > began)
        ):
            return last
    return None


def _time_in_series(each: Point, truth: GroundTruth, offset_s: float) -> float | None:
    """Return the Unix time of a point if the leaker had about that size then, else None."""
    for at, size, rate_mib_per_min in truth.rss_mib_at(each.second_of_day or 0, offset_s):
        most = size + each.within_s / 60 * rate_mib_per_min
        margin = max(SIZE_TOLERANCE * size, SIZE_TOLERANCE_MIB, CLOCK_TOLERANCE_S / 60 * rate_mib_per_min)
        margin += each.size_within_mib
        if size - margin <= each.size_mib <= most + margin:
            return at
    return None


def _elapsed(points: tuple[Point, ...], truth: GroundTruth) -> Point | None:
    """Return the last point with a relative time if these points rise at the leaker's rate and lie in its range."""
    timed = sorted({(each.elapsed_s, each.size_mib): each for each in points if each.elapsed_s is not None}.items())
    rising = [each for _key, each in timed][:MOST_PAIRED]
    for one, other in itertools.combinations(rising, 2):
        span_s = (other.elapsed_s or 0.0) - (one.elapsed_s or 0.0)
        for run in truth.runs:
            if not _is_growth(one.size_mib, other.size_mib, span_s, run):
                continue
            expected = [
                one.size_mib + ((each.elapsed_s or 0.0) - (one.elapsed_s or 0.0)) / 60 * run.target_rate_mib_per_min
                for each in rising
            ]
            agreeing = sum(
                abs(each.size_mib - size) <= max(SIZE_TOLERANCE_MIB, MOST_SLOPE_TOLERANCE * abs(size - one.size_mib))
                for each, size in zip(rising, expected, strict=True)
            )
            if agreeing >= max(2, LEAST_SHARE_ELAPSED * len(rising)):
                return other
    return None


def _undated(series: Series, truth: GroundTruth) -> Point | None:
    """Return the largest of undated sizes that rise all the way, if a span that the text states makes the slope right."""
    sizes = [each.size_mib for each in series.points if each.second_of_day is None and each.elapsed_s is None]
    if len(sizes) < 2 or any(later < earlier for earlier, later in itertools.pairwise(sizes)):
        return None
    first, last = sizes[0], sizes[-1]
    for run in truth.runs:
        if any(_is_growth(first, last, span, run) for span in series.spans_s):
            return series.points[-1]
    return None


def _is_growth(first_mib: float, last_mib: float, span_s: float, run: Run) -> bool:
    """Return whether a rise within a time is the run's: the slope right within rounding, both sizes in its range."""
    grown = last_mib - first_mib
    is_apart = span_s >= LEAST_APART_S or (span_s > 0 and grown >= FAST_GROWTH_MIB)
    if not is_apart or grown < LEAST_GROWTH_MIB or not run.samples:
        return False
    expected = span_s / 60 * run.target_rate_mib_per_min
    rounding = (_rounding(first_mib) + _rounding(last_mib)) / 2
    tolerance = min(MOST_SLOPE_TOLERANCE, SLOPE_TOLERANCE + SPAN_TOLERANCE_S / span_s)
    if abs(grown - expected) > tolerance * expected + rounding:
        return False
    return _is_in_range(first_mib, run) and _is_in_range(last_mib, run)


def _rounding(size_mib: float) -> float:
    """Return how much a size may have been rounded, from its digits."""
    if size_mib != round(size_mib, 1):
        return 0.1 if size_mib < 1024 else 10.0
    return 1.0 if size_mib == int(size_mib) else 0.1
