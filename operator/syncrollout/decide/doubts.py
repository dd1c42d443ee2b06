"""What speaks against giving new more than it has, for now."""

from __future__ import annotations

from typing import Final

from syncrollout.api.words import Role, Unknown
from syncrollout.decide import incidents
from syncrollout.decide.view import View

_DOUBTS: Final = frozenset(
    {
        Unknown.NOT_YET,
        Unknown.TIMEOUT,
        Unknown.UNREACHABLE,
        Unknown.REFUSED,
        Unknown.DESTINATION_REFUSED,
        Unknown.SERVER_ERROR,
        Unknown.SECRET_INVALID,
    }
)


def doubt(v: View) -> str:
    """What speaks against giving new weight that it does not have, in words: an incident is open, Prometheus does not
    answer, or a breach is running up. The last pass may have put weights back and died before it could record why.

    That Prometheus answers and has no data is no such doubt: without traffic there would never be any.
    """
    if v.incident is not None and opposed(v):
        return f"while this is open: {incidents.says(v.spec, v.incident)}"
    found = next((c for c in v.binding() if c.role is not Role.SUCCESS and c.unknown in _DOUBTS), None)
    return f"before it can be judged: {found.message}" if found is not None else ""


def opposed(v: View) -> bool:
    """Whether an incident keeps the rollout from going forward."""
    return incidents.is_open(v.incident)
