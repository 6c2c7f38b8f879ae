"""Deterministic reader of what cannot be checked against the ground truth: cause, mitigation, blame, and claims of growth.

It reads sentence by sentence, and blame clause by clause, so that 'not a disk problem' does not blame the disk. A question is
not a claim.
"""

from __future__ import annotations

import itertools
import re

from memory_leak_lab.grading.rubric import NOTHING, Finding

NOT = (
    r"(?:\b(?:no|not|never|nothing|none|nobody|no one|nor|neither|without|cannot|lacks?|lacking|missing|absent|ruled out"
    r"|rather than|fail(?:s|ed)? to)\b|n't\b)"
)
NEGATION = re.compile(NOT, re.I)
# A negation and what may follow before the word that it denies: 'not a memory leak', 'no process on this host grew'.
DENIED = re.compile(
    NOT + r"(?:[\s\w]{0,12}\b(?:be|been))?"
    r"(?:\s+(?:an?|any|the|this|that|real|really|memory|single|process|service|host|signs? of|steady|on|is|does|it))*\s*$",
    re.I,
)
MOST_BEFORE = 80  # characters between a negation and what it denies
REMOVAL = (
    r"(?:evict|remov|delet|drop|discard|expir|expung|purg|prun|trimm?|clear|clean|popp?|free|releas|forg[eo]t|flush"
    r"|eras|cull|dispos|struck|strik|empt|shrink|throws?|threw|get(?:s|ting)? rid|takes?|taken|leave)(?!-)"
)
LIMIT = r"(?:limit|bound|cap\b|capp|maximum|max\b|ttl\b|time[- ]to[- ]live|lifetime|upper|ceiling|size check)"
CONTAINER = re.compile(
    r"\b(?:\w*cach\w*|\w*sessions?\w*|entr(?:y|ies)|dict(?:s|ionary|ionaries)?|(?:hash ?)?maps?|(?:hash )?tables?|lists?"
    r"|stor(?:e|es|ed|ing)|tokens?|visitors?|state|structures?|containers?|records?|objects?|keys?|guests?|items?)\b",
    re.I,
)
# Entries are kept: said directly, or by naming what is missing.
KEPT = re.compile(
    rf"{NOT}[^.;]{{0,60}}\b(?:{REMOVAL}|{LIMIT})"
    rf"|\b{REMOVAL}[^.;]{{0,60}}\b(?:does not exist|doesn't exist|is missing|is absent|never (?:happens|runs|comes))"
    r"|\b(?:un(?:bounded|limited|begrenzte\w*)|boundless|limitless|append-only|write-only|insert-only|ever-growing)\b"
    r"|\b(?:for ?ever|indefinitely|for good)\b|\b(?:hoard|accumulat|pile|piling)\w*"
    r"|\b(?:keeps?|kept|retains?|holds?|remembers?|stores?|saves?|caches) (?:on to )?(?:every|all|each)\b"
    r"|\bonly (?:ever )?(?:gets?|receives?|rises?|adds?|grows?)\b|\b(?:stays?|remains?)\b(?=[^a-z]*$)"
    r"|\ban entry for each request\b|\bas many entries as\b",
    re.I,
)
NO_CONTAINER = re.compile(
    r"\bno (?:\w+ )?cache (?:is )?(?:involved|here|at all|in )|\b(?:see|saw|found?|has|have) no (?:\w+ )?cache\b"
    r"(?! (?:evict|limit|expir|clean|bound|size))|\bnot (?:a|the) (?:\w+ )?cache\b",
    re.I,
)
ELSEWHERE = re.compile(r"\b(?:descriptors?|connections?|threads?|page cache|slab\w*|disk|volume|log files?)\b", re.I)
LEAK = re.compile(r"\bleak(?:s|ing|ed|age)?\b|\b(?:grow\w*|growth) without (?:bound|end|limit)|\bunbounded\b", re.I)
SYMPTOM = re.compile(
    r"\bmemory\b|\boom\b|\brss\b|\bram\b|\bslow\b|\buses? (?:far )?too much|\bgrow(?:s|th|n|ing)?\b|\brose\b"
    r"|\bArbeitsspeicher\b",
    re.I,
)
GROWTH = re.compile(
    r"\bgrow(?:s|th|n|ing)?\b|\bgrew\b|\bris(?:es?|ing)\b|\brose\b|\bincreas\w+\b|\bwent (?:from|up|down)\b|\bwächst\b"
    r"|\bpasse de\b|\bhoards?\b|\bunbounded\b|\bshrinks\b|\b(?:falls|falling|fell)\b|\bclimb\w*|\bgains?\b|\bswell\w*"
    r"|\bballoon\w*|\baccumulat\w*|\b(?:more|larger|bigger|fatter|higher) (?:and (?:more|larger|bigger)|each|every|at each)\b"
    r"|\bcreeps?\b",
    re.I,
)
FLAT = re.compile(
    r"\b(?:flat|stable|constant|healthy|plateau\w*|level(?:s|led)? off|unchanged|steady at|all is well)\b", re.I
)
HIGH_USE = re.compile(
    r"\bmemory\b|\brss\b|\bmi?b of\b|\bram\b|\bresident\b|\bavailable\b|\bneeds? \d+ mi?b\b|\b\d+ ?[mg]i?b\b", re.I
)
DISK = re.compile(r"\bdisks?\b|\bfile ?systems?\b|\bi/o waits?\b|\bstorage\b|\btmpfs\b", re.I)
SYSTEM = re.compile(
    r"\bkernel\b(?!'?s?[ -](?:log|messages?|ring|oom))|\bvm\.swappiness\b|\bhardware\b|\bmemory module\b"
    r"|\bhost (?:simply )?has too little memory\b|\boperating system\b",
    re.I,
)
BLAME = re.compile(
    r"\bcause[sd]?\b|\bbecause\b|\bdue to\b|\bis (?:nearly )?full\b|\bfull (?=disk)|\bthat is why\b|\bfilled\b|\bbroken\b"
    r"|\bknown to be\b|\bexhaustion\b|\bbug\b|\bto blame\b|\bblame\b|\bbottleneck\b|\bculprit\b|\bfailing\b"
    r"|\btoo little memory\b|\bdoes not reclaim\b|\bfault\b",
    re.I,
)
VERBS = (
    "add|adopt|apply|bounce|bound|buy|cap|cache begrenzen|clean|clear|close|cull|deduplicate|delete|discard|downgrade|drop"
    "|enlarge|enforce|evict|expire|expunge|fix|forget|free|give|implement|increase|introduce|kill|limit|lower|make|monitor"
    "|patch|pop|prune|purge|put|reboot|recycle|remove|replace|restart|restrict|rotate|scale|schedule|set|slap|strike|throw"
    "|trim|tune|update|use|watch"
)
ADVICE = re.compile(
    r"\b(?:should|must|needs? (?:a|to)|could be|would help|recommend\w*|recommendation|fix|remedy|mitigation|workaround"
    r"|solves it|solution|until then|either|then|cause we)\b"
    rf"|(?:^|[:;.,|\-]\s*|\band\s+|\bor\s+|\bthen\s+|\bmeanwhile\s+|^\s*[-*]\s*|^\s*\d+[.)]\s*)(?:please\s+)?(?:{VERBS})\b",
    re.I,
)
PASSIVE = re.compile(
    r"\b(?:should|must|needs? to|could|has to) be\b|\b(?:solves it|would (?:help|do)|is needed)\b", re.I
)
SPECIFIC = re.compile(
    rf"\bevict\w*|\blru\b|\b\w+Max\w*\b|\b{LIMIT}|\bexpir\w+|\bprun\w+|\bpurg\w+|\bdrop\w*\b|\bremove\b|\bdelet\w+|\bpop\b|\bstrike\b"
    r"|\btrim\w*|\bexpunge\b|\bthrow\w* (?:out|away)\b|\bforgets?\b|\brestart(?:s|ed|ing)?\b|\bbounce\b|\brecycle\b"
    r"|\bclean-?up of\b|\bclear it\b|\bcode must\b|\bbegrenzen\b|\bfix the code\b",
    re.I,
)
IT = re.compile(r"\b(?:introduce|add|set|enforce|give|define) (?:it |them )?(?:one|both|them)\b", re.I)
FOREIGN = re.compile(
    r"\b(?:disks?|logs?|kernel|swappiness|RAM|more memory|memory module|descriptors?|connections?|jemalloc|files?)\b",
    re.I,
)
REFUSAL = re.compile(r"\bnothing can be done\b|\b(?:don'?t|do not) (?:\w+ )?(?:restart|limit)|\bno fix\b", re.I)
GENERIC = re.compile(
    r"\bmonitor\w*|\bkeep an eye|\bwatch it\b|\bmore (?:memory|ram)\b|\bmehr RAM\b|\bscale\b|\blook at\b|\bkill(?:ed)?\b"
    r"|\breboot\b|\bincrease\b|\bdo something\b|\blarger (?:machine|host|server)\b"
    r"|\buse jemalloc\b|\bclose them\b|\bmemory module\b|\brestart\b",
    re.I,
)
HAPPENED = re.compile(r"\bkiller killed\b|\b(?:was|were|been|got) (?:\w+-)?killed\b|\bkilled process\b", re.I)
KEY_TERM = re.compile(
    r"\b(?:memory|leak|growing|unbounded|cache|no|eviction|rss|usage|trend|linear|pid|python3?|limit|size|ttl|lru|add"
    r"|restart|oom|killer|dmesg|code|fix)\b",
    re.I,
)
STUFFED_SHARE = 0.75


def is_stuffed(text: str) -> bool:
    """Return whether a text is a pile of keywords rather than sentences."""
    words = re.findall(r"[A-Za-z]\w*", text)
    return (
        len(words) >= 8 and not re.search(r"\d{2}", text) and len(KEY_TERM.findall(text)) / len(words) > STUFFED_SHARE
    )


def clauses(sentence: str) -> list[str]:
    """Return the clauses of a sentence, split at 'but' and the like, semicolons, colons and parentheses."""
    parts = re.split(r",?\s+\b(?:but|however|although|yet)\b|;|\(|\)|:\s", sentence)
    return [part for part in parts if part.strip()]


def is_question(sentence: str) -> bool:
    """Return whether a sentence is a question."""
    return sentence.rstrip(" |*").endswith("?")


def asserts(sentence: str, pattern: re.Pattern[str]) -> bool:
    """Return whether a sentence claims what a pattern matches, rather than asking or denying it."""
    if is_question(sentence):
        return False
    return any(not _is_denied(sentence, match) for match in pattern.finditer(sentence))


def denies(sentence: str, pattern: re.Pattern[str]) -> bool:
    """Return whether a sentence denies what a pattern matches."""
    return any(_is_denied(sentence, match) for match in pattern.finditer(sentence))


def _is_denied(sentence: str, match: re.Match[str]) -> bool:
    return bool(DENIED.search(sentence[max(0, match.start() - MOST_BEFORE) : match.start()]))


def clears(sentence: str) -> bool:
    """Return whether a sentence says that nothing leaks: it denies growth or a leak, or calls memory flat."""
    return not is_question(sentence) and (
        denies(sentence, LEAK) or denies(sentence, GROWTH) or (asserts(sentence, FLAT) and not asserts(sentence, LEAK))
    )


def first(parts: list[str], pattern: re.Pattern[str]) -> str | None:
    """Return the first sentence that claims what a pattern matches, or None."""
    return next((part for part in parts if asserts(part, pattern)), None)


def explains(text: str) -> bool:
    """Return whether a text says that a container keeps its entries."""
    return bool(
        CONTAINER.search(text)
        and KEPT.search(text)
        and not is_question(text)
        and not NO_CONTAINER.search(text)
        and not ELSEWHERE.search(text)
    )


def root_cause(parts: list[str]) -> Finding:
    """Return the level for the root cause and the sentence it is based on."""
    # 'It has a table of sessions. Nothing is ever removed.' needs both sentences.
    pairs = [" ".join(pair) for pair in itertools.pairwise(parts) if not any(map(is_question, pair))]
    said = [part for part in parts if not is_advice(part)]
    for text in [*said, *pairs]:
        if explains(text) and not denies(text, LEAK):
            return Finding("explained", text)
    leak = first(parts, LEAK)
    if leak:
        return Finding("leak", leak)
    symptom = first(parts, SYMPTOM) or next((part for part in parts if SYMPTOM.search(part)), None)
    return Finding("symptoms", symptom) if symptom else NOTHING


def is_advice(sentence: str) -> bool:
    """Return whether a sentence only gives advice: it begins with what to do."""
    advice = ADVICE.search(sentence)
    return bool(advice and advice.start() < 3 and not is_question(sentence))


def mitigation(parts: list[str]) -> Finding:
    """Return the level for the mitigation and the sentence it is based on."""
    claimed = [part for part in parts if not is_question(part)]
    if not any(REFUSAL.search(part) for part in claimed):
        for number, part in enumerate(claimed):
            advice = ADVICE.search(part)
            if not advice:
                continue
            # 'An upper limit should be set': the object comes before the advice.
            said = part if PASSIVE.search(part) else part[advice.start() :]
            # 'There is no bound on it. Introduce one.': the object is in the sentence before.
            if IT.search(said) and (explains(part) or (number and explains(claimed[number - 1]))):
                return Finding("specific", part)
            if any(not FOREIGN.search(said[match.end() :][:25]) for match in SPECIFIC.finditer(said)):
                return Finding("specific", part)
    generic = next((part for part in claimed if GENERIC.search(HAPPENED.sub("", part))), None)
    return Finding("generic", generic) if generic else NOTHING


def blamed(parts: list[str], pattern: re.Pattern[str]) -> str | None:
    """Return the first sentence that blames what a pattern matches, or None."""
    for part in parts:
        if is_question(part):
            continue
        for clause in clauses(part):
            named = pattern.search(clause)
            # Clears: 'not the kernel', 'the kernel is not to blame'. Blames: 'the kernel kills for no reason'.
            if named and BLAME.search(clause) and not NEGATION.search(clause[: named.end() + 15]):
                return part
    return None
