"""What must hold of pools and calendars after every single effective call. Reads the API server alone."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from fakes.kube import Call
from simulation import objects
from simulation.objects import ROLLOUT

if TYPE_CHECKING:
    from simulation.invariants import Invariants


def pool_within_its_limit(self: Invariants, call: Call) -> str:
    """No run begins while as many of its pool are in flight as the least of their limits allows."""
    if call.ref.kind != ROLLOUT or call.after is None or not _begins(call):
        return ""
    pool = call.after["spec"].get("pool")
    if pool is None:
        return ""
    members = [
        obj for obj in self.world.kube.all(ROLLOUT) if (obj["spec"].get("pool") or {}).get("name") == pool["name"]
    ]
    runs = [obj["metadata"]["name"] for obj in members if objects.status_of(obj).get("inFlight")]
    limit = min(obj["spec"]["pool"]["limit"] for obj in members)
    return f"{', '.join(runs)} are in flight, and pool {pool['name']} lets {limit} run" if len(runs) > limit else ""


def forward_when_allowed(_: Invariants, call: Call) -> str:
    """No phase is entered, but by a step back, in a freeze or outside the windows of the schedule, which is in UTC."""
    if call.ref.kind != ROLLOUT or call.after is None:
        return ""
    schedule = call.after["spec"].get("schedule")
    before, after = (objects.status_of(obj) for obj in (call.before, call.after))
    was, phase = before.get("phase") or {}, after.get("phase") or {}
    entered = phase.get("entered")
    if schedule is None or not after.get("inFlight") or entered is None or entered == was.get("entered"):
        return ""
    if before.get("inFlight") and phase.get("index", 0) <= was.get("index", 0):
        return ""
    return (
        "" if _allowed(schedule, datetime.fromisoformat(entered)) else f"phase {phase['name']} is entered at {entered}"
    )


def _begins(call: Call) -> bool:
    before, after = (objects.status_of(obj).get("inFlight") for obj in (call.before, call.after))
    return bool(after) and not before


def _allowed(schedule: dict[str, Any], at: datetime) -> bool:
    """All of it in times of day and dates with a time, as the tests write them."""
    for freeze in schedule.get("freezes", ()):
        since, to = (datetime.fromisoformat(freeze[end]).replace(tzinfo=UTC) for end in ("from", "to"))
        if since <= at < to:
            return False
    windows = schedule.get("windows", ())
    return not windows or any(
        f"{at:%a}" in window["days"] and window["from"] <= f"{at:%H:%M}" < window["to"] for window in windows
    )


__all__ = ["forward_when_allowed", "pool_within_its_limit"]
