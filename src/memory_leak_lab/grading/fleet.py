"""Maps files to hosts, and splits the diagnosis of a fleet into a part for each host."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from memory_leak_lab.grading import passages

FLEET = "fleet"  # fleet.md is a diagnosis of every host
WORD = re.compile(r"[\w.-]+")


def hosts_of(path: Path, known: list[str]) -> list[str]:
    """Return the hosts that a file is about: HOST.md, HOST.NAME.md or, for all, fleet.md. Empty if no known host matches."""
    stem = unquote(path.stem)
    named = [host for host in known if stem == host or stem.startswith(f"{host}.")]
    if named:
        return [max(named, key=len)]
    return known if stem == FLEET or stem.startswith(f"{FLEET}.") else []


def author_of(path: Path, hosts: list[str]) -> str:
    """Return NAME of a file HOST.NAME.md, or an empty text."""
    stem = unquote(path.stem)
    for prefix in (*hosts, FLEET):
        if stem.startswith(f"{prefix}."):
            return stem[len(prefix) + 1 :]
    return ""


def parts(hosts: list[str], diagnosis: str) -> dict[str, str]:
    """Return for each host the passages that name it or no host, unless they are under a heading that names others."""
    kept: dict[str, list[str]] = {host: [] for host in hosts}
    names = _Names(hosts)
    under: set[str] = set()
    depth = 0
    before = None
    for each in passages.split(diagnosis):
        named = names.found_in(each.text)
        if each.kind == "heading":
            if named or each.depth <= depth:
                under, depth = (named, each.depth) if named else (set(), 0)
            text = f"{'#' * max(1, each.depth)} {each.text}"
        else:
            named = named or under
            text = f"    {each.text}" if each.kind == "output" else each.text
        # The rows of a table stay together.
        joint = (
            "\n"
            if before
            and (before.kind, before.paragraph) == (each.kind, each.paragraph)
            and each.kind in ("row", "output")
            else "\n\n"
        )
        for host in named or hosts:
            kept[host].append(joint + text)
        before = each
    return {host: "".join(pieces).strip("\n") for host, pieces in kept.items()}


class _Names:
    """Finds host names as whole words: web1 matches neither web10 nor web1.example."""

    def __init__(self, hosts: list[str]) -> None:
        self._words = {host.casefold(): host for host in hosts if WORD.fullmatch(host)}
        self._others = {
            host: re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", re.IGNORECASE)
            for host in hosts
            if not WORD.fullmatch(host)
        }

    def found_in(self, sentence: str) -> set[str]:
        """Return the hosts that a sentence names."""
        words = (match.group().rstrip(".").casefold() for match in WORD.finditer(sentence))
        named = {self._words[word] for word in words if word in self._words}
        return named | {host for host, pattern in self._others.items() if pattern.search(sentence)}
