"""What lines of logs tell of. A line counts for the first trouble that it tells of, in the order of the table: a
connection to a database that times out is the database's, and no other slowness."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from syncrollout.api.words import Side
from syncrollout.diagnosis.facts import Logs, Matched
from syncrollout.diagnosis.words import Trouble

LONGEST: Final = 600
"""Characters of a line that are looked at."""
SHOWN: Final = 160
"""Characters of a line that are shown."""

_CODE: Final = r"(?:http|status|code|error|returned|response|got)\W{0,3}(?:status|code)?\W{0,4}"
_DATABASE: Final = (
    r"postgres|psycopg|pg_|mysql|mariadb|sqlite|sqlalchemy|jdbc|hikari|mongo|redis|oracle|database|\bdb\b|:5432|:3306|"
    r":27017|:6379|:1433"
)


@dataclass(frozen=True, slots=True)
class Pattern:
    """`strong`: such a line is seldom written without the trouble."""

    trouble: Trouble
    what: str
    expression: re.Pattern[str]
    strong: bool = True


def _pattern(trouble: Trouble, what: str, text: str, *, strong: bool = True) -> Pattern:
    return Pattern(trouble, what, re.compile(text, re.IGNORECASE), strong)


KNOWN: Final = (
    _pattern(
        Trouble.MEMORY,
        "it runs out of memory",
        r"outofmemory|out of memory|\bmemoryerror\b|cannot allocate memory|gc overhead limit|oom[- ]?kill",
    ),
    _pattern(
        Trouble.DATABASE,
        "connections to the database are used up",
        r"too many (?:connections|clients)|remaining connection slots|max_connections|"
        r"(?:connection )?pool (?:is |has been )?(?:exhausted|full|timed? ?out)|queuepool limit|pool ?timeout|"
        r"connection is not available, request timed out",
    ),
    _pattern(
        Trouble.DATABASE,
        "the database cannot be reached",
        rf"(?=.*(?:{_DATABASE})).*(?:connection (?:refused|reset|timed? ?out|closed|lost|failed)|could not connect|"
        r"can't connect|unable to connect|econnrefused|econnreset|no route to host|server closed the connection|"
        r"communications link failure|connect(?:ion)? timeout)|sqlstate\W{0,3}08\w{3}|server has gone away",
    ),
    _pattern(
        Trouble.INCONSISTENT,
        "writes collide",
        r"deadlock|duplicate (?:key|entry)|unique constraint|could not serialize|serialization failure|"
        r"lock wait timeout|database is locked",
    ),
    _pattern(
        Trouble.INCONSISTENT,
        "data does not agree",
        r"(?:data|checksum|hash|count|row|record|item)s? (?:\w+ )?(?:mismatch|differs?\b|inconsisten)|"
        r"inconsistent data|transaction (?:was )?(?:rolled back|aborted)",
        strong=False,
    ),
    _pattern(
        Trouble.SLOW,
        "an API limits the rate of requests",
        rf"{_CODE}429\b|\b429 too many|too many requests|rate.?limit(?:ed| (?:exceeded|reached|hit))|"
        r"ratelimit(?:ed|exceeded)|quota (?:exceeded|exhausted)|slow ?down, ",
    ),
    _pattern(
        Trouble.AUTH,
        "credentials are refused",
        rf"{_CODE}40[13]\b|\b40[13] (?:unauthori[sz]ed|forbidden|client error)|unauthori[sz]ed|"
        r"(?:token|credentials?|certificate) (?:has |have |is |are )?expired|expired (?:token|credentials?)|"
        r"invalid[_ ](?:token|grant|api key|credentials?)|(?:authentication|login) failed|password authentication|"
        r"access denied|permission denied for",
    ),
    _pattern(
        Trouble.SLOW,
        "something times out",
        r"timed? ?out\b|deadline exceeded|timeouterror|\b504\b gateway",
        strong=False,
    ),
    _pattern(
        Trouble.DATABASE,
        "connections fail",
        r"connection (?:refused|reset)|econnrefused|econnreset|no route to host",
        strong=False,
    ),
)


def read(side: Side, lines: Sequence[str], given: Iterable[Pattern] = ()) -> Logs:
    """What the lines of a side tell of. `given` are looked for before those that are known."""
    patterns = (*given, *KNOWN)
    counted = dict.fromkeys(range(len(patterns)), 0)
    samples: dict[int, str] = {}
    for line in lines:
        text = line[:LONGEST]
        number = next((number for number, each in enumerate(patterns) if each.expression.search(text)), None)
        if number is not None:
            counted[number] += 1
            samples[number] = text.strip()
    matched = tuple(
        Matched(side, each.trouble, each.what, each.strong, counted[number], _cut(samples[number]))
        for number, each in enumerate(patterns)
        if counted[number]
    )
    return Logs(side, len(lines), matched)


def _cut(line: str) -> str:
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1]}…"


__all__ = ["KNOWN", "Pattern", "read"]
