"""The freezes that several rollouts share, from a ConfigMap that is watched by its label.

What stands in it is no secret, but need not be told either: of an entry that is broken its place is said, and what is
wrong with which field, not what it holds.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final

import yaml
from pydantic import ValidationError

from syncrollout.act.perform import MOMENT
from syncrollout.act.target import Target, freezes_ref
from syncrollout.api.spec import Freeze
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import FREEZES_LABEL, State
from syncrollout.decide.waited_for import FreezesFact
from syncrollout.ports import ApiError, Forbidden, ObjectCache

MOST: Final = 256
"""Entries of one ConfigMap."""
LONGEST: Final = 65_536
"""Characters of one value."""


class SharedFreezes:
    """Looks at ConfigMaps on behalf of the gatherer. Remembers nothing."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    async def look(self, target: Target, status: SyncRolloutStatus) -> FreezesFact | None:
        """The freezes; None where the spec shares none, or nothing is going to move forward. What cannot be read is a
        fact with its problem, and soon: nothing here may hold up the way back."""
        ref = freezes_ref(target.spec, target.ref.namespace)
        schedule = target.spec.schedule
        if ref is None or schedule is None or schedule.freezes_from is None or status.state is State.ROLLING_BACK:
            return None
        key = schedule.freezes_from.key
        try:
            async with asyncio.timeout(MOMENT if status.in_flight else None):
                found = await self._cache.fetch(ref, user=str(target.ref), label=FREEZES_LABEL)
        except Forbidden as error:
            return FreezesFact(problem=f"{ref} with freezes: {error}")
        except TimeoutError:
            return FreezesFact(problem=f"{ref} with freezes could not be read within {MOMENT:.0f} s", passing=True)
        except ApiError as error:
            return FreezesFact(problem=f"{ref} with freezes cannot be read just now: {error}", passing=True)
        if found is None:
            return FreezesFact(
                problem=f"{ref}, which spec.schedule.freezesFrom names, does not exist, or has not the label "
                f"{FREEZES_LABEL}: create it, or label it"
            )
        data: Mapping[str, Any] = found.get("data") or {}
        if key not in data:
            return FreezesFact(problem=f"{ref} has no key {key}: add it (an empty list where there is no freeze)")
        freezes = read(str(data[key]))
        if isinstance(freezes, str):
            return FreezesFact(problem=f"{ref}, key {key}: {freezes}; correct it")
        return FreezesFact(freezes)


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


__all__ = ["SharedFreezes", "read"]
