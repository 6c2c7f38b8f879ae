"""Grades a diagnosis: levels, points and deductions, each with its basis and the sentence that it rests on.

What can be checked against the ground truth is checked by code (`verified`), whoever grades the rest: a language model
(`judged`) or the rules of `reader` (`rules`). A total that rests on rules is provisional.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC
from typing import Any, NamedTuple

from memory_leak_lab.grading import (
    agreement,
    claims,
    grounding,
    language,
    passages,
    reader,
    series,
    subject,
)
from memory_leak_lab.grading.diagnosis_model import Diagnosis
from memory_leak_lab.grading.documents import Document
from memory_leak_lab.grading.ground_truth import LEAKER, GroundTruth
from memory_leak_lab.grading.passages import Passage
from memory_leak_lab.grading.rubric import (
    CATEGORIES,
    JUDGED,
    NO_LEVEL,
    NOTHING,
    RULES,
    UNGRADED,
    VERIFIED,
    Finding,
    result,
)
from memory_leak_lab.grading.series import Point, Series

Judge = Callable[[str, GroundTruth], dict[str, Finding]]
MOST_UNFOUNDED = 20  # points for a diagnosis that tells nothing that only a look at the host can tell
BLAMED, CLEARED = "blamed", "cleared"


class Extraction(NamedTuple):
    """What a diagnosis says, from its text and, where there is one, from its structured form."""

    parts: list[Passage]
    series: list[Series]
    diagnosis: Diagnosis | None


def extract(document: Document) -> Extraction:
    """Return the passages and series of a diagnosis."""
    text = document.text
    if document.diagnosis:
        # Labels tell the rules what the author has said by the field.
        text = "\n\n".join(
            [
                f"## Root cause\n\n{document.diagnosis.root_cause}",
                f"## Mitigation\n\n{document.diagnosis.mitigation}",
                document.text,
            ]
        )
    parts = reader.without_orders(passages.split(text))
    found = _structured_series(document.diagnosis) if document.diagnosis else series.find(parts)
    return Extraction(parts, found, document.diagnosis)


def _structured_series(diagnosis: Diagnosis) -> list[Series]:
    points = []
    for each in diagnosis.measurements:
        clock = each.time.astimezone(UTC) if each.time else None
        of_day = clock.hour * 3600 + clock.minute * 60 + clock.second if clock else None
        points.append(Point(each.rss_mib, of_day, each.elapsed_s))
    text = ", ".join(f"{each.rss_mib:g} MiB" for each in diagnosis.measurements)
    return [Series(tuple(points), text=text)] if points else []


def grade(
    document: Document | str,
    truth: GroundTruth,
    judge: Judge | None = None,
    transcript: grounding.Transcript | None = None,
) -> dict[str, Any]:
    """Return the grade of a diagnosis of a host: `total`, `provisional`, `verdict`, `categories`, `deductions` and more.

    A judge replaces the rules; if it fails, the category is `ungraded` and the total null. The rubric does not apply to a host
    without a leak: a diagnosis that blames it gets 0, any other null.
    """
    if isinstance(document, str):
        document = Document(document)
    read = extract(document)
    ungrounded = grounding.missing(read.series, transcript) if transcript else []
    grounded = [each for each in read.series if not grounding.is_missing(each, ungrounded)]
    said = _verdict(read)
    judged = judge(whole(document), truth) if judge and (read.parts or document.diagnosis) else None
    if truth.variant != LEAKER:
        graded = _healthy_host_grade(said, judged)
    else:
        graded = _leaking_host_grade(read, grounded, truth, said, judged)
    return {**graded, "ungrounded": ungrounded}


def whole(document: Document) -> str:
    """Return all that a judge reads of a diagnosis."""
    if not document.diagnosis:
        return document.text
    return document.diagnosis.model_dump_json(indent=1) + "\n" + document.text


def _leaking_host_grade(
    read: Extraction, found: list[Series], truth: GroundTruth, said: Finding, judged: dict[str, Finding] | None
) -> dict[str, Any]:
    """Return the grade of a diagnosis of a host with a leak."""
    parts = read.parts
    accused = _structured_subject(read.diagnosis, truth) or subject.find(parts, truth)
    agreeing = agreement.find(found, truth, only_dated=not (accused.has_pid or accused.has_own_name))
    if not agreeing and accused.standing == "right":
        agreeing = agreement.falling(found, truth)
    checked = claims.check(
        [each.text for each in parts if not reader.is_advice(each)],
        truth.runs,
        agreeing[1].size_mib if agreeing else None,
    )
    is_measured = bool(agreeing) and not claims.contradicts(checked)
    grows = is_measured or reader.says_growth(parts) is not None or any(_rises(each) for each in found)
    unknown = language.unknown(parts)
    rules = {
        "memory_growth": Finding("measured", agreeing[0].text, VERIFIED)
        if is_measured and agreeing
        else reader.memory_growth(parts),
        "process": _process(accused, grows),
        "root_cause": reader.root_cause(parts),
        "mitigation": reader.mitigation(parts),
    }
    if unknown:
        rules |= {name: Finding(UNGRADED, unknown) for name, finding in rules.items() if finding.basis != VERIFIED}
    is_refuted = agreement.is_refuted(found, truth)
    is_of_another_host = not agreeing and not accused.has_pid and is_refuted
    is_other = accused.standing == "wrong" or reader.is_other_incident(parts, accused.standing) or is_of_another_host
    # A right PID, a name, or a size at its time: something that only a look at the host can tell.
    is_founded = (
        not is_of_another_host
        and not reader.is_dense(parts)
        and accused.standing != "wrong"
        and (is_measured or accused.has_pid or accused.has_own_name or agreement.touches(found, truth))
    )
    if not is_founded and reader.is_talk(parts):
        rules |= _of_talk(rules, is_hedged=reader.is_hedged(parts))
    # Who explains a leak, or saw the OOM kill, does not clear the host, whatever else is found in order.
    is_cleared = (
        said.level == CLEARED
        and not agreeing
        and rules["root_cause"].level != "explained"
        and not (accused.standing == "right" and reader.says_killed(parts))
    )
    if is_other or is_cleared:
        # Cause and mitigation of another process or of another kind of incident, or of nothing at all.
        rules |= {"root_cause": NOTHING, "mitigation": NOTHING}
        rules["process"] = NOTHING if is_other or not is_founded else rules["process"]
        if is_other or not is_measured:
            rules["memory_growth"] = NOTHING
    levels = (
        rules if judged is None else _overruled(judged, rules, accused, is_measured, is_refuted, bool(read.diagnosis))
    )
    reasons = {} if is_other or is_cleared else reader.deductions(parts, levels, has_series=bool(found))
    if reasons.get("disk_blamed") or reasons.get("system_blamed"):
        levels = {**levels, "root_cause": reader.blamed_cause(levels["root_cause"])}
    graded = result(levels, reasons)
    is_guess = levels["root_cause"].level == "explained" or levels["process"].level == NO_LEVEL
    if graded["total"] is not None and not is_founded and is_guess:
        graded["total"] = min(graded["total"], MOST_UNFOUNDED)
    verdict = "graded" if graded["total"] is not None else UNGRADED
    return {
        **graded,
        "verdict": verdict,
        "evidence": said.evidence,
        "said": _said(said),
        "founded": is_founded,
        "all_clear_points": None,
        "claims": checked,
    }


def _of_talk(rules: dict[str, Finding], is_hedged: bool) -> dict[str, Finding]:
    """Return the levels of a text that says nothing about this host, only about memory leaks in general."""
    if is_hedged:
        return dict.fromkeys(CATEGORIES, NOTHING)
    advice = rules["mitigation"]
    return {
        "memory_growth": NOTHING,
        "root_cause": NOTHING if rules["root_cause"].level == "explained" else rules["root_cause"],
        "mitigation": advice._replace(level="generic") if advice.level == "specific" else advice,
    }


def _rises(found: Series) -> bool:
    return len(found.points) > 1 and found.points[-1].size_mib > found.points[0].size_mib


def _structured_subject(diagnosis: Diagnosis | None, truth: GroundTruth) -> subject.Subject | None:
    """Return whom the fields of a structured diagnosis accuse, None without a structured diagnosis."""
    if not diagnosis:
        return None
    if not diagnosis.affected or not diagnosis.process:
        return subject.Subject("unnamed", "")
    named = f"{diagnosis.process.name} (PID {diagnosis.process.pid})"
    is_named = bool(
        subject.names(truth).search(diagnosis.process.name) or subject.is_a_name(diagnosis.process.name, truth)
    )
    if diagnosis.process.pid in truth.pids:
        return subject.Subject("right", named, has_pid=True, has_name=is_named)
    return subject.Subject("wrong", named)


def _process(accused: subject.Subject, grows: bool) -> Finding:
    """Return the level for the process."""
    if accused.standing == "wrong" or not accused.evidence:
        return NOTHING
    if accused.standing == "right" and accused.has_pid:
        level = "identified" if grows and accused.has_name else "mentioned"
        return Finding(level, accused.evidence, VERIFIED)
    return Finding("mentioned", accused.evidence, RULES)


def _overruled(
    judged: dict[str, Finding],
    rules: dict[str, Finding],
    accused: subject.Subject,
    is_measured: bool,
    is_refuted: bool,
    is_structured: bool,
) -> dict[str, Finding]:
    """Return a judge's findings, overruled where code has checked."""
    levels = {name: finding._replace(basis=JUDGED) for name, finding in judged.items()}
    if is_measured:
        levels["memory_growth"] = rules["memory_growth"]
    elif levels["memory_growth"].level == "measured" and is_refuted:
        levels["memory_growth"] = Finding("snapshot", levels["memory_growth"].evidence, VERIFIED)
    if accused.standing == "wrong" and levels["process"].level == "identified":
        levels["process"] = NOTHING
    if levels["process"].level == "identified" and not (accused.standing == "right" and accused.has_pid):
        levels["process"] = levels["process"]._replace(level="mentioned", basis=VERIFIED)
    if rules["process"].level == "identified":
        levels["process"] = rules["process"]
    if is_structured:
        levels |= {name: rules[name] for name in ("memory_growth", "process")}
    return levels


def _verdict(read: Extraction) -> Finding:
    """Return whether a diagnosis says that the host leaks: `blamed`, `cleared` or `unclear`."""
    by_text = reader.verdict(read.parts, read.series)
    if read.diagnosis:
        evidence = read.diagnosis.root_cause[:300] or f"affected: {str(read.diagnosis.affected).lower()}"
        # A host may be affected by something else, which the text tells.
        is_blamed = read.diagnosis.affected and read.diagnosis.process is not None and by_text.level != CLEARED
        return Finding(BLAMED if is_blamed else CLEARED, evidence, VERIFIED)
    return by_text


def _said(said: Finding) -> str:
    return {BLAMED: "leak", CLEARED: "no leak"}.get(said.level, "unclear")


def _healthy_host_grade(said: Finding, judged: dict[str, Finding] | None) -> dict[str, Any]:
    """Return the grade of a diagnosis of a host without a leak: `blamed`, `cleared` or `unclear`."""
    if judged is not None and said.basis != VERIFIED:
        said = judged["verdict"]._replace(basis=JUDGED)
    graded = result(dict.fromkeys(CATEGORIES, NOTHING), {})
    total = 0 if said.level == BLAMED else None
    return {
        **graded,
        "total": total,
        "provisional": said.basis == RULES,
        "verdict": said.level,
        "evidence": said.evidence,
        "said": _said(said),
        "founded": None,
        "all_clear_points": int(said.level == CLEARED),
        "claims": [],
    }
