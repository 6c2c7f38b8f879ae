"""Tells whether the rules can read a text: they know English and, as far as reports need it, German, French and Spanish."""

from __future__ import annotations

import re
from collections import Counter

from memory_leak_lab.grading.passages import Passage

# The commonest function words of a language that are rare in the others.
FUNCTION_WORDS = """\
English: the of and to is was it that with for on at by from not are this has have but which its be been were
German: der die das und ist nicht ein eine von mit den dem auf wird zu im sich auch wurde nach bei keine
French: le les des et est une dans pour que qui sur pas du au avec ce cette à ne aux sont plus
Spanish: el los las y es una con para se del no más como por lo al que su está sin
Italian: il di che è un per non della gli sono del nel con più una alla dei
Portuguese: o os um uma não com do da em para que é ao dos das mais foi
Dutch: het een van de en niet is dat op voor met te zijn wordt aan bij door
Polish: w na z się nie jest do że to po jak za przez od ale oraz
Swedish: och att det som en är på av för inte med den till har ett
Turkish: bir ve bu için ile olarak da de çok daha olan sonra ise kadar
"""
KNOWN = ("English", "German", "French", "Spanish")
WORDS_OF = {line.split(": ")[0]: line.split(": ")[1].split() for line in FUNCTION_WORDS.splitlines()}
WORD = re.compile(r"[^\W\d_]+")
FEWEST_WORDS = 12
LAST_LATIN = 0x24F
REASON = "the rules do not know its language: let a language model judge this text (--judge)"
FOREIGN_SHARE = 1 / 3  # of words in another script


def unknown(parts: list[Passage]) -> str | None:
    """Return why the rules cannot read a text: its script or its function words are of another language. None if they can."""
    words = [word.lower() for each in parts if each.kind in ("sentence", "heading") for word in WORD.findall(each.text)]
    foreign_script = sum(ord(word[0]) > LAST_LATIN for word in words)
    if foreign_script > len(words) * FOREIGN_SHARE:
        return REASON
    counts = Counter(words)
    found = {language: sum(counts[word] for word in of_language) for language, of_language in WORDS_OF.items()}
    known = max(found[language] for language in KNOWN)
    return REASON if len(words) >= FEWEST_WORDS and max(found.values()) > known else None
