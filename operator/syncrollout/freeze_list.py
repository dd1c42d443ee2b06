"""A list of freezes as text: the value of a ConfigMap that rollouts share, or a file.

What stands in it is no secret, but need not be told either: of an entry that is broken its place is said, and what is
wrong with which field, not what it holds.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

import yaml
from pydantic import ValidationError

from syncrollout.api.spec import Freeze

MOST: Final = 256
"""Entries of one ConfigMap."""
LONGEST: Final = 65_536
"""Characters of one value."""


@lru_cache(maxsize=256)
def read(text: str) -> tuple[Freeze, ...] | str:
    """The freezes of a YAML list, or what is wrong with it, in words."""
    if len(text) > LONGEST:
        return f"it is longer than {LONGEST} characters"
    try:
        entries = yaml.load(text, Loader=yaml.BaseLoader)  # noqa: S506 - it makes nothing but text, lists and mappings
    except (yaml.YAMLError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f", line {mark.line + 1}" if mark is not None else ""
        return f"it is no YAML{where}"
    if entries in (None, ""):
        return ()
    if not isinstance(entries, list):
        return "it is no list of freezes, each with from, to and reason"
    if len(entries) > MOST:
        return f"it has {len(entries)} freezes, and {MOST} are read at most"
    made = []
    for number, entry in enumerate(entries, start=1):
        try:
            freeze = Freeze.model_validate(entry)
        except ValidationError as error:
            return f"freeze {number} cannot be read: {_wrong(error)}"
        wrong = freeze.wrong()
        if wrong:
            return f"freeze {number}: {wrong}"
        made.append(freeze)
    return tuple(made)


def _wrong(error: ValidationError) -> str:
    first = error.errors()[0]
    field = str(first["loc"][0]) if first["loc"] else ""
    if first["type"] == "missing":
        return f"it has no {field}"
    if first["type"] == "extra_forbidden":
        return "it has a field that is none of from, to and reason"
    if field in ("from", "to"):
        return f"{field} is no date, such as 2026-12-28, nor one with a time, such as 2026-12-28T18:00"
    return f"its {field} is too long" if field else "it is not made of from, to and reason"


__all__ = ["LONGEST", "MOST", "read"]
