"""Routers as data: one row says where a kind of route keeps its weights. Adding a router is adding a row.

A kind without a row is driven by the `weightAt` of its reference, which makes a row of the same form.
"""

from __future__ import annotations

from syncrollout.act.paths import parse
from syncrollout.act.routers.row import Coding, Need, Place, Router
from syncrollout.act.routers.table import ROUTERS
from syncrollout.api.spec import RouteRef

__all__ = ["ROUTERS", "Coding", "Need", "Place", "Router", "find"]

_BY_KIND: dict[tuple[str, str], list[Router]] = {}
for _row in ROUTERS:
    for _group in _row.groups:
        _BY_KIND.setdefault((_group, _row.kind), []).append(_row)


def find(route: RouteRef) -> tuple[Router, ...]:
    """The rows for a route: its own `weightAt` where it has one, else the table's; none where there is neither.

    Several rows are told apart by how the object is marked. Raises PathError where a path of `weightAt` cannot be read.
    """
    if route.weight_at is not None:
        at = route.weight_at
        place = Place(new=(parse(at.new),), old=(parse(at.old),) if at.old is not None else ())
        return (Router(places=(place,), total=at.total, rule="place"),)
    rows = _BY_KIND.get((route.api_version.rpartition("/")[0], route.kind), [])
    if route.annotation_prefix is None:
        return tuple(rows)
    return tuple(row.at_prefix(route.annotation_prefix) if row.prefix else row for row in rows)
