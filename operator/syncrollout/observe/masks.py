"""What looks like a secret is masked in what programs have said, before it is kept where more people read it.

The texts come from anybody's containers, and are looked at where one that takes long holds up every rollout. So each
expression takes time in proportion to the text: a run of characters is entered at its beginning alone (the look behind)
and never given back (`*+`, `++`), or ends at a character that the run cannot contain.
"""

from __future__ import annotations

import re
from typing import Final

MASK: Final = "***"

_SECRETS: Final = (
    # A user's password in a URL: scheme://user:password@host
    (re.compile(r"(://[^\s:/@]*+:)[^\s/@]++(@)"), rf"\1{MASK}\2"),
    # A header, or what looks like one: authorization: Bearer abc
    (
        re.compile(
            r"(?i)\b((?:proxy-)?authorization[\"']?\s*+[:=]\s*+[\"']?)(?:(?:bearer|basic|token)\s++)?[^\s\"',;]++"
        ),
        rf"\1{MASK}",
    ),
    (re.compile(r"(?i)\b(bearer\s++)[a-z0-9._~+/=-]{8,}+"), rf"\1{MASK}"),
    # A name that speaks of a secret, and its value: DB_PASSWORD=abc, "apiKey": "abc". An open quote was cut off.
    (
        re.compile(
            r"(?i)(?<![a-z0-9_.-])"
            r"(?=[a-z0-9_.-]*?(?:password|passwd|pwd|secret|token|(?:api|access|private)[_-]?key|credential))"
            r"([a-z0-9_.-]++[\"']?\s*+[:=]\s*+)(?:\"[^\"]*+\"?|'[^']*+'?|[^\s,;&]++)"
        ),
        rf"\1{MASK}",
    ),
    # Keys in PEM, and JSON web tokens
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)"), MASK),
    (re.compile(r"\A[A-Za-z0-9+/=\s]*+-----END [A-Z ]*PRIVATE KEY-----"), MASK),  # its beginning was cut off
    (re.compile(r"\beyJ[A-Za-z0-9_-]{8,}+\.[A-Za-z0-9_-]++\.[A-Za-z0-9_-]*+"), MASK),
)


def masked(text: str) -> str:
    """The text without what looks like a secret. It is a safety net: programs had better not say secrets at all."""
    for expression, replacement in _SECRETS:
        text = expression.sub(replacement, text)
    return text


def printable(text: str) -> str:
    """The text without what a terminal, to which it is printed one day, or an API server would take amiss."""
    return "".join(each for each in text if each in "\n\t" or each.isprintable())


__all__ = ["MASK", "masked", "printable"]
