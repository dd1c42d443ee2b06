"""Several processes share the rollouts: none ever writes for one that another one acts for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fakes.kube import Call
from simulation.objects import EVENT, LEASE, ROLLOUT
from simulation.process import CALLER, LATE_CALL
from syncrollout.ports import ACTING_FOR

if TYPE_CHECKING:
    from simulation.invariants import Invariants


def of_its_own(self: Invariants, call: Call) -> str:
    """What is written for a rollout is written by who acts for it, or has stopped to a moment ago and nobody does yet;
    and what it is written for is what is written to."""
    if self.world.partitions == 1 or call.ref.kind == LEASE or LATE_CALL.get():
        return ""
    uid, caller = ACTING_FOR.get(), CALLER.get()
    if not uid:
        return "written for no rollout"
    if call.ref.kind == ROLLOUT and call.after is not None and call.after["metadata"]["uid"] != uid:
        return "written to another rollout than it is written for"
    if call.ref.kind == EVENT and call.after is not None and call.after["involvedObject"]["uid"] != uid:
        return "an Event of another rollout than it is written for"
    others = [each for each in self.world.processes if each is not caller and each.alive and each.acts_for(uid)]
    return f"p{others[0].number} acts for it" if others else ""


__all__ = ["of_its_own"]
