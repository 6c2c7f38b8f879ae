"""Maps files to hosts, and splits the diagnosis of a fleet into a part for each host."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from memory_leak_lab.grading import extraction

FLEET = "fleet"  # fleet.md is a diagnosis of every host
WORD = re.compile(r"[\w.-]+")
HEADING = re.compile(r"(#+)\s")


def hosts_of(path: Path, known: list[str]) -> list[str]:
    """Return the hosts that a file is about: HOST.md, HOST.NAME.md or, for all, fleet.md. Empty if no known host matches."""
    stem = unquote(path.stem)
    named = [host for host in known if stem == host or stem.startswith(f"{host}.")]
    if named:
        return [max(named, key=len)]
    return known if stem == FLEET or stem.startswith(f"{FLEET}.") else []


def part_about(host: str, hosts: list[str], diagnosis: str) -> str:
    """Return the part of a diagnosis of several hosts that is about one of them."""
    return parts(hosts, diagnosis)[host]


def parts(hosts: list[str], diagnosis: str) -> dict[str, str]:
    """Return for each host the sentences that name it or no host, unless they are under a heading that names others."""
    kept: dict[str, list[str]] = {host: [] for host in hosts}
    names = _Names(hosts)
    under: tuple[int, set[str]] = (0, set())

    def keep(sentence: str, about: set[str]) -> None:
        for host in about or hosts:
            kept[host].append(sentence)

    for block in re.split(r"\n\s*\n|\n(?=#)|(?<=\n)(?=#)", extraction.tidy(diagnosis)):
        heading = HEADING.match(block.lstrip())
        title, _, rest = block.lstrip().partition("\n") if heading else ("", "", block)
        if heading:
            level, named = len(heading[1]), names.found_in(title)
            if named or level <= under[0]:
                under = (level, named) if named else (0, set())
            keep(title, named)
        for sentence in extraction.sentences(rest):
            keep(sentence, names.found_in(sentence) or under[1])
    return {host: "\n\n".join(sentences) for host, sentences in kept.items()}


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
