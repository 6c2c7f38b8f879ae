"""Which file is about which host, and of a diagnosis of a whole fleet the part that is about one."""

from __future__ import annotations

import re
from pathlib import Path

from memory_leak_lab.grading import extraction

FLEET = "fleet"  # fleet.md is a diagnosis of every host
HEADING = re.compile(r"(#+)\s")


def hosts_of(path: Path, known: list[str]) -> list[str]:
    """Return the hosts that a file is about: HOST.md, HOST.NAME.md or, for all, fleet.md. Empty for no host that is known."""
    if path.stem == FLEET or path.stem.startswith(f"{FLEET}."):
        return known
    named = [host for host in known if path.stem == host or path.stem.startswith(f"{host}.")]
    return [max(named, key=len)] if named else []


def part_about(host: str, hosts: list[str], diagnosis: str) -> str:
    """Return the sentences that name a host or no host, where they don't stand below a heading that names others."""
    kept: list[str] = []
    under: tuple[int, set[str]] = (0, set())
    for block in re.split(r"\n\s*\n|\n(?=#)|(?<=\n)(?=#)", extraction.tidy(diagnosis)):
        heading = HEADING.match(block.lstrip())
        title, _, rest = block.lstrip().partition("\n") if heading else ("", "", block)
        if heading:
            level, named = len(heading[1]), _named(title, hosts)
            if named or level <= under[0]:
                under = (level, named) if named else (0, set())
            kept += [title] if not named or host in named else []
        for sentence in extraction.sentences(rest):
            about = _named(sentence, hosts) or under[1]
            if not about or host in about:
                kept.append(sentence)
    return "\n\n".join(kept)


def _named(sentence: str, hosts: list[str]) -> set[str]:
    """Return the hosts whose names stand in a sentence as words of their own: web1 is not in web10, nor in web1.example."""
    return {
        host for host in hosts if re.search(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", sentence, re.IGNORECASE)
    }
