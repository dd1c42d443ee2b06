"""Routers as data: one row says where a kind of route keeps its weights. Adding a router is adding a row.

A kind without a row is driven by the `weightAt` of its reference, which makes a row of the same form.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncrollout.act.paths import Path, parse
from syncrollout.api.spec import RouteRef


@dataclass(frozen=True, slots=True)
class Router:
    """How one kind of route says which share of the traffic goes where."""

    new: Path
    """Where new's number stands."""
    old: Path | None = None
    """Where old's number stands; None where the object holds new's alone, as a part of `total`."""
    total: int = 100
    """The number that stands for all of the traffic of old and new."""
    absent: int | None = None
    """What a missing number means to the router; None where that is not known, so that it is written at once."""
    entry: Mapping[str, str] = field(default_factory=dict)
    """What else the entry of a Service must say: each key is absent or has this value. `$namespace` is the route's."""
    rule: str = "rule"
    """What the router calls the list item in which old and new stand side by side."""


_GATEWAY_API = "gateway.networking.k8s.io"
_BACKEND_REFS = Router(
    old=parse("spec.rules[*].backendRefs[name=$old].weight"),
    new=parse("spec.rules[*].backendRefs[name=$new].weight"),
    absent=1,  # by the Gateway API specification
    # a backendRef may also name a ServiceImport, or a Service of another namespace, that happens to be called the same
    entry={"group": "", "kind": "Service", "namespace": "$namespace"},
)

ROUTERS: Mapping[tuple[str, str], Router] = {
    (_GATEWAY_API, "HTTPRoute"): _BACKEND_REFS,
    (_GATEWAY_API, "GRPCRoute"): _BACKEND_REFS,
}
"""By API group and kind; every version of a group keeps its weights at the same place."""


def find(route: RouteRef) -> Router | None:
    """The row for a route: its own `weightAt` where it has one, else the table's; None where there is neither.

    Raises PathError where a path of `weightAt` cannot be read.
    """
    if route.weight_at is not None:
        at = route.weight_at
        return Router(
            new=parse(at.new), old=parse(at.old) if at.old is not None else None, total=at.total, rule="place"
        )
    return ROUTERS.get((route.api_version.rpartition("/")[0], route.kind))
