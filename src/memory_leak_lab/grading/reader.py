"""The deterministic reader of what can't be checked against the ground truth: cause, mitigation, blame, and claims of growth.

It reads sentence by sentence, and blame clause by clause, so that 'not a disk problem' blames no disk. A question claims
nothing.
"""

from __future__ import annotations

import re

NEGATION = re.compile(
    r"\b(?:not|no|never|nothing|isn't|is not|wasn't|neither|nor|don't|do not|without|ruled out|rather than)\b", re.I
)
CONTAINER = (
    r"(?:cach\w+|sessions?|entr(?:y|ies)|dict(?:ionary|ionaries)?|hash ?map|map|table|store[sd]?|tokens?|_sessions"
    r"|visitors|state)"
)
# Entries are kept: said by what is missing, or outright.
KEPT = re.compile(
    r"\b(?:no|without|neither|lacks?|missing|has no|nor)\b[^.;]{0,40}"
    r"\b(?:evict\w*|expir\w*|limit|bound|cap|maximum|max|ttl|time to live|clean-?up|removal|upper|size limit|ohne)"
    r"|\b(?:never|nothing|nobody|no one|not|no entry is ever|nor|no entries)\b[^.;]{0,40}"
    r"\b(?:evict\w*|remov\w*|delet\w*|drop\w*|empt\w*|clean\w*|clear\w*|prun\w*|purg\w*|popp?\w*|discard\w*"
    r"|expire\w*|struck|releas\w*|bound\w*|limited)"
    r"|\bwithout (?:any |a )?(?:bound|limit|end|eviction)"
    r"|\b(?:un(?:bounded|limited|begrenzte\w*)|append-only|write-only)\b"
    r"|\b(?:for ?ever|indefinitely)\b|\b(?:keeps?|retains?|kept|holds?) (?:every|all|each)\b"
    r"|\bonly (?:ever )?(?:gets?|receives?|rises?|adds?)\b|\b(?:stays?|remains?)\b(?=[^a-z]*$)"
    r"|\ban entry for each request\b|\bas many entries as\b",
    re.I,
)
NO_CONTAINER = re.compile(
    r"\bno (?:\w+ )?cache (?:is )?(?:involved|here|at all)|\bnot (?:a|the) (?:\w+ )?cache\b", re.I
)
LEAK = re.compile(
    r"\bleak(?:s|ing|ed)?\b|\bunbounded (?:memory )?growth|\bgrow\w* without (?:bound|end|limit)|\bunbounded memory",
    re.I,
)
SYMPTOM = re.compile(
    r"\bmemory\b|\boom\b|\brss\b|\bram\b|\bslow\b|\buses? (?:far )?too much|\bgrow(?:s|th|n|ing)?\b|\brose\b", re.I
)
GROWTH = re.compile(
    r"\bgrow(?:s|th|n|ing)?\b|\bgrew\b|\brises?\b|\brising\b|\brose\b|\bincreas\w+\b|\bwent from\b|\bwächst\b"
    r"|\bpasse de\b|\bhoards?\b|\bunbounded\b|\bkeeps growing\b|\bshrinks\b|\bmore and more memory\b|\bfalling\b",
    re.I,
)
HIGH_USE = re.compile(
    r"\bmemory\b|\brss\b|\bmi?b of\b|\bram\b|\bresident\b|\bavailable\b|\bneeds? \d+ mi?b\b|\b\d+ ?[mg]i?b\b", re.I
)
DISK = re.compile(r"\bdisk\b|\bfile ?system\b|\bi/o waits?\b|\bdisk exhaustion\b", re.I)
SYSTEM = re.compile(
    r"\bkernel\b|\bvm\.swappiness\b|\bhardware\b|\bmemory module\b|\bhost (?:simply )?has too little memory\b"
    r"|\boperating system\b",
    re.I,
)
BLAME = re.compile(
    r"\bcause\b|\bbecause\b|\bis (?:nearly )?full\b|\bthat is why\b|\bfilled\b|\bbroken\b|\bknown to be\b"
    r"|\bexhaustion\b|\bbug\b"
    r"|\bto blame\b|\btoo little memory\b|\bdoes not reclaim\b|\bfault\b",
    re.I,
)
ADVICE = re.compile(
    r"\b(?:should|must|needs? (?:a|to)|could be|recommend\w*|recommendation|fix|remedy|mitigation|until then"
    r"|either|then|cause we)\b"
    r"|(?:^|[:;.,|\-]\s*|\band\s+|\bor\s+|\bthen\s+|\bmeanwhile\s+|^\s*[-*]\s*)"
    r"(?:please\s+)?(?:add|adopt|apply|bound|buy|cap|clean|clear|close|deduplicate|delete|discard|downgrade"
    r"|drop|enlarge|enforce|evict|expire|fix|free|give"
    r"|implement|increase|introduce|kill|limit|lower|monitor|patch|pop|prune|purge|put|reboot|remove|replace"
    r"|restart|rotate|scale|schedule"
    r"|set|strike|tune|update|use|watch|cache begrenzen)\b",
    re.I,
)
SPECIFIC = re.compile(
    r"\bevict\w*|\blru\b|\bttl\b|\btime to live\b|\bexpir\w+|\b(?:upper )?(?:bound|limit)\b|\bcap\b"
    r"|\bmax(?:imum)?(?:-sessions| size| number)?\b"
    r"|\bprun\w+|\bpurge\b|\bdrop\w*\b|\bremove\b|\bdelete\b|\bpop\b|\bstrike\b|\brestart(?:ing)?\b"
    r"|\bclean-?up of\b|\bcode must\b|\bbegrenzen\b"
    r"|\bfix the code\b",
    re.I,
)
FOREIGN = re.compile(r"\b(?:disk|logs?|kernel|swappiness|RAM|more memory|memory module|descriptors?|jemalloc)\b", re.I)
REFUSAL = re.compile(r"\bnothing can be done\b|\bdon'?t (?:restart|limit)|\bdo not (?:restart|limit)|\bno fix\b", re.I)
GENERIC = re.compile(
    r"\bmonitor\w*|\bkeep an eye|\bmore (?:memory|ram)\b|\bscale\b|\blook at\b|\bkilled\b|\breboot\b"
    r"|\bincrease\b|\bdo something\b"
    r"|\buse jemalloc\b|\bclose them\b|\bmemory module\b|\brestart\b",
    re.I,
)
KEY_TERM = re.compile(
    r"\b(?:memory|leak|growing|unbounded|cache|no|eviction|rss|usage|trend|pid|python3?|limit|size|ttl|restart"
    r"|oom|killer|dmesg|code|fix)\b",
    re.I,
)
STUFFED_SHARE = 0.75


def is_stuffed(text: str) -> bool:
    """Tell whether a text is a heap of key words rather than sentences."""
    words = re.findall(r"[A-Za-z]\w*", text)
    return (
        len(words) >= 8 and not re.search(r"\d{2}", text) and len(KEY_TERM.findall(text)) / len(words) > STUFFED_SHARE
    )


def clauses(sentence: str) -> list[str]:
    """Return the clauses of a sentence, cut where 'but' and the like turn it."""
    return [part for part in re.split(r",?\s+\b(?:but|however|although|yet)\b|;|\(|\)|:\s", sentence) if part.strip()]


def is_question(sentence: str) -> bool:
    """Tell whether a sentence asks rather than claims."""
    return sentence.rstrip(" |*").endswith("?")


def first(parts: list[str], pattern: re.Pattern[str]) -> str | None:
    """Return the first sentence that claims something, or None."""
    return next((part for part in parts if pattern.search(part) and not is_question(part)), None)


def root_cause(parts: list[str]) -> tuple[str, str]:
    """Return the level of the root cause and the sentence that it rests on."""
    for part in parts:
        if is_question(part) or NO_CONTAINER.search(part):
            continue
        if re.search(rf"\b{CONTAINER}\b", part, re.I) and KEPT.search(part) and not re.search("descriptors?", part):
            return "explained", part
    for number in range(len(parts) - 1):
        # 'It has a table of sessions. Nothing is ever removed.' takes both sentences.
        pair = " ".join(parts[number : number + 2])
        elsewhere = NO_CONTAINER.search(pair) or re.search("descriptors?|page cache", pair)
        if re.search(rf"\b{CONTAINER}\b", pair, re.I) and KEPT.search(pair) and not is_question(pair) and not elsewhere:
            return "explained", pair
    for level, pattern in (("leak", LEAK), ("symptoms", SYMPTOM)):
        found = first(parts, pattern) or ("" if level == "leak" else next((p for p in parts if pattern.search(p)), ""))
        if found:
            return level, found
    return "none", ""


def mitigation(parts: list[str]) -> tuple[str, str]:
    """Return the level of the mitigation and the sentence that it rests on."""
    refused = next((part for part in parts if REFUSAL.search(part)), None)
    if not refused:
        for part in parts:
            advice = ADVICE.search(part)
            if advice and not is_question(part):
                said = part[max(0, advice.start()) :]
                if SPECIFIC.search(said) and not FOREIGN.search(SPECIFIC.split(said, maxsplit=1)[-1][:25]):
                    return "specific", part
    generic = next((part for part in parts if GENERIC.search(part)), None)
    return ("generic", generic) if generic else ("none", "")


def blamed(parts: list[str], pattern: re.Pattern[str]) -> str | None:
    """Return the sentence that names something as the cause of it all, or None."""
    for part in parts:
        if is_question(part):
            continue
        for clause in clauses(part):
            named = pattern.search(clause)
            if named and BLAME.search(part) and not NEGATION.search(clause[: named.start()]):
                return part
    return None
