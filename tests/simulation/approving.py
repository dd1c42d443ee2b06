"""People who approve, hold, skip, and some who may not; and what must hold of what they say, after every single
effective call. Reads the API server alone.
"""

from __future__ import annotations

import asyncio
import random
from datetime import datetime
from typing import TYPE_CHECKING

from fakes.kube import Call
from simulation import objects
from simulation.loop import START
from simulation.objects import ROLLOUT
from simulation.world import World, nobody
from syncrollout.api.fields import parse_duration
from syncrollout.api.words import HOLD, REQUESTED_BY, Request
from syncrollout.ports import Object

if TYPE_CHECKING:
    from simulation.invariants import Invariants, Plan
    from simulation.people import Act

APPROVER, OTHER = "kim", "mallory"
EVERY = 0.5
"""Seconds between two looks of the approver."""


def asks_for_approvals(body: Object, *phases: str, expires: str = "1h") -> None:
    """These phases end with the approver's word; all of them unless named."""
    body["spec"]["approval"] = {"approvers": {"users": [APPROVER]}, "expires": expires, "remind": "5s"}
    for phase in body["spec"]["phases"]:
        if not phases or phase["name"] in phases:
            phase["approval"] = "Required"


def says(plan: Plan, by: str, annotations: dict[str, str | None]) -> Act:
    """kubectl annotate with a name, where the rollout is still there."""

    def act(world: World) -> None:
        if world.kube.read(plan.ref) is not None:
            world.kube.edit(plan.ref, {"metadata": {"annotations": {REQUESTED_BY: by, **annotations}}})

    return act


def of_the_present_phase(plan: Plan, by: str, request: Request) -> Act:
    """The same of the phase that the run is in."""

    def act(world: World) -> None:
        phase = (objects.status_of(world.kube.read(plan.ref)).get("phase") or {}).get("name")
        if phase is not None:
            says(plan, by, {request.value: f"{phase}: at {world.now:.3f}"})(world)

    return act


def approves(plan: Plan, until: float, *, eager: float = 0.0, seed: str = "") -> Act:
    """The approver looks every now and then until this moment, and approves what waits for it; with the chance `eager`
    also what does not yet."""
    rng = random.Random(f"{seed}/approver")

    def look(world: World) -> None:
        status = objects.status_of(world.kube.read(plan.ref))
        if status.get("state") == "AwaitingApproval" or (status.get("inFlight") and rng.random() < eager):
            of_the_present_phase(plan, APPROVER, Request.APPROVE)(world)
        if world.now < START + until:
            asyncio.get_running_loop().call_later(EVERY, look, world, context=nobody())

    return look


# What must hold.


def approved_before_it_ends(_: Invariants, call: Call) -> str:
    """Forward out of a phase that asks for an approval, or to completion, only by one of this very entering, by who
    may, that is not too old."""
    if call.ref.kind != ROLLOUT or call.subresource != "status" or call.after is None:
        return ""
    before, after = (objects.status_of(obj) for obj in (call.before, call.after))
    was, now, spec = before.get("phase") or {}, after.get("phase") or {}, call.after["spec"]
    places = {phase["name"]: place for place, phase in enumerate(spec["phases"])}
    if not before.get("inFlight") or before.get("run") != after.get("run") or was.get("name") not in places:
        return ""
    onward = places.get(now.get("name"), -1) > places[was["name"]]
    completed = after.get("state") == "Completed"
    phase = spec["phases"][places[was["name"]]]
    if phase.get("approval") != "Required" or not (onward or completed):
        return ""
    given = next(
        (
            each
            for each in after.get("approvals", [])
            if (each["phase"], each["entered"]) == (was["name"], was["entered"])
        ),
        None,
    )
    if given is None:
        return f"phase {was['name']} has ended without an approval"
    if given["by"] not in spec["approval"]["approvers"]["users"]:
        return f"phase {was['name']} was approved by {given['by']}"
    ended = now["entered"] if onward else after["finished"]
    age = (datetime.fromisoformat(ended) - datetime.fromisoformat(given["at"])).total_seconds()
    if age >= parse_duration(spec["approval"]["expires"]):
        return f"phase {was['name']} has ended by an approval that is {age:.0f} s old"
    return ""


def not_forward_while_held(_: Invariants, call: Call) -> str:
    """No run begins, no phase is entered but by a step back, and none completes while somebody holds the rollout."""
    if call.ref.kind != ROLLOUT or call.subresource != "status" or call.before is None or call.after is None:
        return ""
    if HOLD not in (call.before["metadata"].get("annotations") or {}):
        return ""
    before, after = (objects.status_of(obj) for obj in (call.before, call.after))
    if after.get("run", 0) != before.get("run", 0) and after.get("state") != "RollingBack":
        return "a run begins while somebody holds it"
    if after.get("state") == "Completed" and before.get("inFlight"):
        return "the run completes while somebody holds it"
    was, now = before.get("phase") or {}, after.get("phase") or {}
    if before.get("inFlight") and now.get("index", 0) > was.get("index", 0) and now.get("name") != was.get("name"):
        return f"phase {now['name']} is entered while somebody holds it"
    return ""


__all__ = [
    "APPROVER",
    "OTHER",
    "approved_before_it_ends",
    "approves",
    "asks_for_approvals",
    "not_forward_while_held",
    "of_the_present_phase",
    "says",
]
