"""Templates of messages, looked at before a run begins: a mistake in them is found then, and not at night."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from hashlib import sha256
from typing import Final

from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.messages.samples import mistakes
from syncrollout.ports import Forbidden, KindRef, NotFound, ObjectRef, OnBehalf

CONFIG_MAP = KindRef("v1", "ConfigMap")
MOST_KEPT: Final = 256
"""Rollouts whose templates are known as they were looked at."""


class Templates:
    """Looks at what spec.notifications.templates names. What it remembers only saves work."""

    def __init__(self, api: OnBehalf) -> None:
        self._api = api
        self._kept: OrderedDict[ObjectRef, tuple[SyncRolloutSpec, bytes, list[str]]] = OrderedDict()

    async def problem(self, target: Target) -> Problem | None:
        """What a person has to mend first; None where all is well, or nothing is asked for. Raises ApiError where the
        API server cannot be asked."""
        wanted = target.spec.notifications
        if wanted is None or wanted.templates is None:
            return None
        ref = ObjectRef(CONFIG_MAP, target.ref.namespace, wanted.templates.config_map)
        named = f"{ref}, named by spec.notifications.templates"
        try:
            found = await self._api.acting_as(target.behalf).get(ref)
        except NotFound:
            return Problem(Reason.TEMPLATE_INVALID, f"{named}, does not exist: create it, or remove templates")
        except Forbidden as error:
            return Problem(Reason.FORBIDDEN, f"{named}, may not be read: {error}")
        wrong = await self._wrong(target, {str(k): str(v) for k, v in (found.get("data") or {}).items()})
        if not wrong:
            return None
        more = f" (and {len(wrong) - 1} more)" if len(wrong) > 1 else ""
        return Problem(Reason.TEMPLATE_INVALID, f"{named}: {wrong[0]}{more}: correct it, or remove the key"[:1024])

    async def _wrong(self, target: Target, data: dict[str, str]) -> list[str]:
        """All mistakes. Templates take a while in all, so that others have their turn between any two, and what has
        not changed is not tried again."""
        kept, digest = self._kept.get(target.ref), sha256(repr(sorted(data.items())).encode()).digest()
        if kept is not None and kept[1] == digest and kept[0] == target.spec:
            return kept[2]
        wrong: list[str] = []
        for key in sorted(data):
            wrong += mistakes(target.spec, target.ref.name, {key: data[key]})
            await asyncio.sleep(0)
        self._kept[target.ref] = (target.spec, digest, wrong)
        self._kept.move_to_end(target.ref)
        if len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return wrong


__all__ = ["Templates"]
