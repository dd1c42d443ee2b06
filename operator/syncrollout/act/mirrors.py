"""Mirrors as data: one row says where a kind of route says that copies of its requests go to new, and in which form.

A kind without a row cannot mirror, whatever says where its weights stand.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem


@dataclass(frozen=True, slots=True)
class Mirror:
    """How one kind of route mirrors requests."""


MIRRORS: Mapping[tuple[str, str], Mirror] = {}
"""By API group and kind."""


def unable(route: RouteRef) -> Problem | None:
    """What to tell a person who asks for a mirror of a route that has none."""
    if (route.api_version.rpartition("/")[0], route.kind) in MIRRORS:
        return None
    message = (
        f"{route}: SyncRollout cannot mirror the requests of a {route.kind} ({route.api_version}); "
        "take mode Shadow out of spec.phases, or give those phases mirrorPercent 0"
    )
    return Problem(Reason.MIRROR_UNSUPPORTED, message)
