"""The rules: they read what cannot be checked against the ground truth, passage by passage.

A question is no claim, nor is what a passage denies, what stands under a heading such as 'Ruled out', or a first thought that
is taken back. What the rules say is provisional: a language model may judge instead.
"""

from __future__ import annotations

import functools
import itertools
import re
from collections.abc import Iterable

from memory_leak_lab.grading import wording
from memory_leak_lab.grading.passages import Passage
from memory_leak_lab.grading.rubric import NOTHING, UNGRADED, Finding
from memory_leak_lab.grading.series import Series

RECENT = 8192  # passages of the diagnoses read last
EVIDENCE = 600  # characters of a sentence
MOST_BEFORE = 80  # characters between a negation and what it denies
FEWEST_WORDS = 8
WORDS_OF_A_NOTE = 40
MOST_CAUSES = 5  # kinds of incident: more than that are guesses
WORDS_OF_A_CLAIM = 4  # in a heading
STUFFED_SHARE = 0.75
HEDGED_SHARE = 0.5
DENSE_SHARE = 0.28  # reports have up to 0.2
ENDS = 2  # passages at the beginning and at the end that count more
TREND_WEIGHT, FLAT_WEIGHT, BOUND_WEIGHT = 6, 3, 3
LEAST_SIZE_MIB = 20.0
LEAST_RISE, LEAST_RISE_MIB = 0.02, 3.0
FLAT_WITHIN = 0.01
SHORTEST_S = 15.0
POINTS_OF_A_TREND = 3
BRIEF_SHARE = 0.8  # of a sentence's words, in order, in the brief or the rubric


def is_question(text: str) -> bool:
    """Return whether a text is a question."""
    return text.rstrip(" |*\"')").endswith("?")


def denies(text: str, match: re.Match[str]) -> bool:
    """Return whether a text denies what was matched in it: 'no sign of a leak', 'a leak is ruled out'."""
    before = text[max(0, match.start() - MOST_BEFORE) : match.start()]
    return bool(wording.DENIED_BEFORE.search(before) or wording.DENIED_AFTER.match(text[match.end() :][:MOST_BEFORE]))


@functools.lru_cache(maxsize=RECENT)
def asserts(text: str, pattern: re.Pattern[str]) -> bool:
    """Return whether a text claims what a pattern matches, rather than asking or denying it."""
    return not is_question(text) and any(not denies(text, match) for match in pattern.finditer(text))


@functools.lru_cache(maxsize=RECENT)
def is_claim(passage: Passage) -> bool:
    """Return whether a passage may claim something: no question, not under 'Ruled out', no first thought that is taken back."""
    return (
        passage.kind in ("sentence", "heading", "row")
        and not is_question(passage.text)
        and not wording.REJECTED_HEADING.search(passage.heading)
        and not wording.TENTATIVE.search(passage.text)
    )


def claims(parts: Iterable[Passage]) -> list[Passage]:
    """Return the passages that claim something. A first thought is taken back by the sentence after it as well."""
    return [each for each in parts if is_claim(each)]


def first(parts: Iterable[Passage], pattern: re.Pattern[str]) -> Passage | None:
    """Return the first passage that claims what a pattern matches, or None."""
    return next((each for each in claims(parts) if asserts(each.text, pattern)), None)


def without_orders(parts: list[Passage]) -> list[Passage]:
    """Return the passages without those addressed to a grader, and without what is copied from the brief or the rubric."""
    kept = [
        each
        for each in parts
        if not wording.TO_THE_GRADER.search(each.text)
        and not wording.is_copied(each.text, BRIEF_SHARE)
        and not _is_bare_heading(each)
    ]
    return [] if is_stuffed(" ".join(each.text for each in kept)) else kept


def _is_bare_heading(passage: Passage) -> bool:
    """Return whether a passage is a heading such as 'Root cause', which makes no claim."""
    return (
        passage.kind == "heading"
        and len(passage.text.split()) < WORDS_OF_A_CLAIM
        and not re.search(r"\d", passage.text)
    )


def is_stuffed(text: str) -> bool:
    """Return whether a text is a pile of keywords rather than sentences."""
    return not re.search(r"\d{2}", text) and _key_share(text, FEWEST_WORDS) > STUFFED_SHARE


def is_dense(parts: list[Passage]) -> bool:
    """Return whether a text has far more of the rubric's key words than reports have: a pile of them in sentences."""
    return _key_share(" ".join(each.text for each in parts), WORDS_OF_A_NOTE) > DENSE_SHARE


def _key_share(text: str, fewest_words: int) -> float:
    """Return the share of the rubric's key words in a text, 0 if it has fewer words than that."""
    words = re.findall(r"[A-Za-z]\w*", text)
    return len(wording.KEY_TERM.findall(text)) / len(words) if len(words) >= fewest_words else 0.0


def accuses(passage: Passage) -> bool:
    """Return whether a passage holds something responsible, or says that it grows."""
    return is_claim(passage) and asserts(passage.text, wording.ACCUSES)


def says_growth(parts: list[Passage]) -> Passage | None:
    """Return the first passage that says that memory grows."""
    return first(parts, wording.GROWTH)


def memory_growth(parts: list[Passage]) -> Finding:
    """Return the level for memory growth that was not measured: `snapshot` or `none`."""
    for pattern in (wording.MEMORY_GROWTH, wording.GROWTH, wording.NAMED_LEAK, wording.HIGH_USE):
        said = first(parts, pattern)
        if said:
            return Finding("snapshot", said.text[:EVIDENCE])
    shown = next(
        (each for each in parts if each.kind in ("row", "output") and wording.HIGH_USE.search(each.text)), None
    )
    return Finding("snapshot", shown.text[:EVIDENCE]) if shown else NOTHING


def is_talk(parts: list[Passage]) -> bool:
    """Return whether a text has many words and no size: nothing is shown by it."""
    return sum(len(each.text.split()) for each in parts) > WORDS_OF_A_NOTE and not any(
        wording.AMOUNT.search(each.text) for each in parts
    )


def is_hedged(parts: list[Passage]) -> bool:
    """Return whether most sentences of a text only say what may be."""
    said = [each for each in parts if each.kind == "sentence"]
    return sum(bool(wording.HEDGE.search(each.text)) for each in said) > HEDGED_SHARE * len(said)


def says_killed(parts: list[Passage]) -> bool:
    """Return whether a text says that a process was killed for its memory."""
    return first(parts, wording.KILLED) is not None


@functools.lru_cache(maxsize=RECENT)
def explains(text: str) -> bool:
    """Return whether a text says that a container keeps its entries."""
    return bool(
        wording.CONTAINER.search(text)
        and any(
            not wording.KEPT_DENIED.search(text[max(0, m.start() - 30) : m.start()])
            for m in wording.KEPT.finditer(text)
        )
        and not is_question(text)
        and not wording.NO_CONTAINER.search(text)
    )


def root_cause(parts: list[Passage]) -> Finding:
    """Return the level for the root cause and the passage that it rests on."""
    said = [each for each in claims(parts) if not is_advice(each) and not wording.ALTERNATIVES.search(each.text)]
    if lists_every_cause(parts):
        return NOTHING
    # 'It has a table of sessions. Nothing is ever removed.' needs both sentences.
    pairs = [f"{one.text} {other.text}" for one, other in itertools.pairwise(said) if one.paragraph == other.paragraph]
    for text in [*(each.text for each in said), *pairs]:
        if explains(text) and not wording.ELSEWHERE.search(text):
            return Finding("explained", text[:EVIDENCE])
    leak = first(said, wording.LEAK)
    if leak:
        return Finding("leak", leak.text[:EVIDENCE])
    symptom = first(said, wording.SYMPTOM)
    return Finding("symptoms", symptom.text[:EVIDENCE]) if symptom else NOTHING


def lists_every_cause(parts: list[Passage]) -> bool:
    """Return whether a text holds many kinds of incident responsible at once."""
    said = [each for each in claims(parts) if not is_advice(each)]
    kinds = sum(
        any(
            asserts(each.text, pattern)
            and (wording.BLAME.search(each.text) or wording.CAUSE_HEADING.search(each.heading))
            for each in said
        )
        for pattern in (*wording.OTHER_INCIDENTS.values(), wording.LEAK)
    )
    return kinds >= MOST_CAUSES


def blamed_cause(found: Finding) -> Finding:
    """Return the level for the root cause where the disk or the system is blamed as well."""
    if found.level == "explained":
        return found._replace(level="leak")
    return found if found.level in ("leak", UNGRADED) else NOTHING


@functools.lru_cache(maxsize=RECENT)
def is_advice(passage: Passage) -> bool:
    """Return whether a passage only gives advice: by its heading, or because it begins with what to do."""
    if wording.ADVICE_HEADING.search(passage.heading) and not wording.CAUSE_HEADING.search(passage.heading):
        return True
    return any(wording.ADVICE.match(passage.text, place) for place in range(3))


@functools.lru_cache(maxsize=RECENT)
def _advises(text: str) -> bool:
    return bool(wording.ADVICE.search(text))


def mitigation(parts: list[Passage]) -> Finding:
    """Return the level for the mitigation and the passage that it rests on."""
    claimed = [each for each in parts if each.kind in ("sentence", "row") and not is_question(each.text)]
    if not any(wording.REFUSAL.search(each.text) for each in claimed):
        for number, each in enumerate(claimed):
            before = claimed[number - 1].text if number else ""
            if _is_specific(each, before):
                return Finding("specific", each.text[:EVIDENCE])
    generic = next((each for each in claimed if _is_generic(each)), None)
    return Finding("generic", generic.text[:EVIDENCE]) if generic else NOTHING


def _is_specific(each: Passage, before: str) -> bool:
    """Return whether a passage advises an eviction, a limit, a fix of the code or a restart."""
    text = each.text
    under = bool(wording.ADVICE_HEADING.search(each.heading))
    if not under and not _advises(text):
        return False
    # 'There is no bound on it. Introduce one.': the object is in the sentence before.
    if wording.IT.search(text) and (explains(text) or explains(before)):
        return True
    return any(
        not wording.FOREIGN.search(text[match.end() :][:25])
        and not wording.NOT_ADVISED.search(text[max(0, match.start() - 25) : match.start()])
        for match in wording.SPECIFIC.finditer(text)
    )


def _is_generic(each: Passage) -> bool:
    said = wording.HAPPENED.sub("", each.text)
    return bool(wording.GENERIC.search(said)) and (
        _advises(said) or bool(wording.ADVICE_HEADING.search(each.heading)) or len(said.split()) <= 12
    )


def clauses(sentence: str) -> list[str]:
    """Return the clauses of a sentence, split at 'but' and the like, semicolons, colons and parentheses."""
    parts = re.split(r",?\s+\b(?:but|however|although|yet)\b|;|\(|\)|:\s", sentence)
    return [part for part in parts if part.strip()]


def blamed(parts: list[Passage], pattern: re.Pattern[str]) -> str | None:
    """Return the first passage that blames what a pattern matches, or None."""
    for each in claims(parts):
        for clause in clauses(each.text):
            named = pattern.search(clause)
            # Clears: 'not the kernel', 'the kernel is not to blame'. Blames: 'the kernel kills for no reason'.
            if named and wording.BLAME.search(clause) and not wording.NEGATION.search(clause[: named.end() + 15]):
                return each.text
    return None


def deductions(parts: list[Passage], levels: dict[str, Finding], has_series: bool) -> dict[str, str | None]:
    """Return for each deduction the passage that it rests on, or None."""
    explained = levels["root_cause"].level in ("explained", "leak")
    # Whoever explains the leak mentions the disk and the kernel in passing.
    is_clear = explained and _dominates(parts) and not lists_every_cause(parts)
    disk = None if is_clear else blamed(parts, wording.DISK)
    system = None if is_clear else blamed(parts, wording.SYSTEM)
    growth = levels["memory_growth"]
    trend = first(parts, wording.GROWTH)
    # 'A memory leak' implies growth; with a size beside it, it is a claim from a single snapshot.
    only_named = first(parts, wording.LEAK) and not any(wording.AMOUNT.search(each.text) for each in parts)
    is_snapshot = growth.level == "snapshot" and not trend and not has_series and not only_named
    return {"disk_blamed": disk, "system_blamed": system, "snapshot_only": growth.evidence if is_snapshot else None}


def _dominates(parts: list[Passage]) -> bool:
    """Return whether a text speaks of the leak several times: then it is no passing guess among others."""
    said = [each for each in claims(parts) if asserts(each.text, wording.LEAK) or explains(each.text)]
    return len(said) > 2


def is_other_incident(parts: list[Passage], standing: str) -> bool:
    """Return whether a text that does not accuse the true process is about another kind of incident."""
    if standing == "right":
        return False
    said = " ".join(each.text for each in claims(parts))
    other = sum(len(pattern.findall(said)) for pattern in wording.OTHER_INCIDENTS.values())
    leak = len(wording.LEAK.findall(said)) + sum(explains(each.text) for each in claims(parts))
    return other > 2 * leak


def verdict(parts: list[Passage], found: list[Series]) -> Finding:
    """Return whether a text says that the host leaks: `blamed`, `cleared` or `unclear`, with the passage it rests on.

    Statements are weighed: those of a conclusion or at the ends of the text count more, and measured series count most.
    """
    prose = [each for each in parts if each.kind in ("sentence", "heading", "row")]
    is_bounded = any(_says_bounded(each) for each in prose)
    blames: list[tuple[int, str]] = []
    clears: list[tuple[int, str]] = []
    for number, each in enumerate(prose):
        weight = 1 + bool(wording.CONCLUSION_HEADING.search(each.heading)) + bool(wording.CONCLUDES.search(each.text))
        weight += number < ENDS or number >= len(prose) - ENDS
        if _clears(each):
            clears.append((weight, each.text))
        # Who says that the cache is bounded describes what would happen without the bound.
        elif _blames(each) and not (is_bounded and not asserts(each.text, wording.NAMED_LEAK)):
            weight += 2 * (explains(each.text) and asserts(each.text, wording.LEAK))
            blames.append((weight, each.text))
    trend = _trend(found)
    said = sum(weight for weight, _text in blames) + TREND_WEIGHT * (trend == "rising")
    denied = (
        sum(weight for weight, _text in clears)
        + FLAT_WEIGHT * (trend == "flat")
        + BOUND_WEIGHT * (is_bounded and trend != "rising")
    )
    if not blames and not trend and any(wording.UNDECIDED.search(each.text) for each in prose):
        return Finding("unclear", "")
    if said > denied:
        return Finding("blamed", max(blames)[1][:EVIDENCE] if blames else found[0].text)
    if denied > said:
        return Finding("cleared", max(clears)[1][:EVIDENCE] if clears else _bounding(prose))
    return Finding("unclear", "")


def _bounding(parts: list[Passage]) -> str:
    """Return the first passage that says that the service's cache has a bound in force."""
    return next((each.text[:EVIDENCE] for each in parts if _says_bounded(each)), "")


def _says_bounded(passage: Passage) -> bool:
    """Return whether a passage says that the service's cache has a bound in force."""
    return (
        bool(wording.BOUNDED.search(passage.text))
        and not is_advice(passage)
        and not is_question(passage.text)
        and not wording.HYPOTHETICAL.search(passage.text)
        and not any(denies(passage.text, match) for match in wording.BOUNDED.finditer(passage.text))
    )


@functools.lru_cache(maxsize=RECENT)
def _blames(passage: Passage) -> bool:
    """Return whether a passage says that something leaks, grows, or keeps all that it is given."""
    text = passage.text
    if not is_claim(passage) or is_advice(passage) or wording.HYPOTHETICAL.search(text) or wording.ENDED.search(text):
        return False
    return (
        asserts(text, wording.LEAK)
        or asserts(text, wording.MEMORY_GROWTH)
        or (explains(text) and not wording.NO_LEAK.search(text) and not wording.ELSEWHERE.search(text))
    )


@functools.lru_cache(maxsize=RECENT)
def _clears(passage: Passage) -> bool:
    """Return whether a passage says that nothing leaks: it denies a leak, finds no fault, or calls memory flat or bounded."""
    text = passage.text
    if is_question(text) or is_advice(passage):
        return False
    if wording.ENDED.search(text):
        return True
    if (
        any(denies(text, match) for match in wording.LEAK.finditer(text))
        or wording.NO_LEAK.search(text)
        or wording.NO_FAULT.search(text)
    ):
        return True
    if wording.REJECTED_HEADING.search(passage.heading) and wording.LEAK.search(text):
        return True
    return _is_flat(text) and not asserts(text, wording.GROWTH)


def _is_flat(text: str) -> bool:
    """Return whether a text calls something flat that may be memory, and not the load or the traffic."""
    for match in wording.FLAT.finditer(text):
        before = text[max(0, match.start() - 45) : match.start()]
        others = [other.end() for other in wording.NOT_MEMORY.finditer(before)]
        memory = [other.end() for other in wording.MEMORY.finditer(before)]
        if not denies(text, match) and (not others or max(memory, default=0) > max(others)):
            return True
    return False


def _trend(found: list[Series]) -> str:
    """Return whether the larger sizes of a text are `rising`, `flat`, or neither."""
    timed = [
        each
        for each in found
        if len(each.points) >= POINTS_OF_A_TREND and all(point.time_s is not None for point in each.points)
    ]
    large = [[point.size_mib for point in each.points] for each in timed if _lasts(each)]
    large = [sizes for sizes in large if max(sizes) >= LEAST_SIZE_MIB]
    if any(_still_rises(sizes) for sizes in large):
        return "rising"
    return "flat" if any(max(sizes) - min(sizes) <= FLAT_WITHIN * max(sizes) for sizes in large) else ""


def _still_rises(sizes: list[float]) -> bool:
    """Return whether sizes rise all the way, the last one clearly above the one before."""
    rise = sizes[-1] - sizes[0]
    return (
        rise >= max(LEAST_RISE_MIB, LEAST_RISE * sizes[0])
        and all(later >= earlier for earlier, later in itertools.pairwise(sizes))
        and sizes[-1] - sizes[-2] >= rise / len(sizes) / 4
    )


def _lasts(series: Series) -> bool:
    """Return whether the points of a series are at different times, as far as is known."""
    known = [point.time_s for point in series.points if point.time_s is not None]
    return len(known) < 2 or max(known) - min(known) >= SHORTEST_S
