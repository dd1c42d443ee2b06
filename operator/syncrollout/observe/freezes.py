"""The freezes that several rollouts share, from a ConfigMap that is watched by its label."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from syncrollout import freeze_list
from syncrollout.act.perform import MOMENT
from syncrollout.act.target import Target, freezes_ref
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import FREEZES_LABEL, State
from syncrollout.decide.waited_for import FreezesFact
from syncrollout.ports import ApiError, Forbidden, ObjectCache


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
            async with asyncio.timeout(MOMENT if status.in_flight or status.watch is not None else None):
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
        freezes = freeze_list.read(str(data[key]))
        if isinstance(freezes, str):
            return FreezesFact(problem=f"{ref}, key {key}: {freezes}; correct it")
        return FreezesFact(freezes)


__all__ = ["SharedFreezes"]
