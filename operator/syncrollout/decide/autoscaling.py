"""HorizontalPodAutoscalers and the way by replica counts: two cannot set the same number.

Forward nothing is scaled beside one: the phase holds and names it. Back, new goes to none, where an autoscaler has no
say; old's count is left to its own autoscaler as long as there is one replica at all.
"""

from __future__ import annotations

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Side
from syncrollout.decide.facts import Facts, WorkloadFact
from syncrollout.decide.phrases import side


def autoscaled(spec: SyncRolloutSpec, facts: Facts) -> str:
    """Who else sets the replica counts that this rollout moves by, and what to do about it; empty where nobody does."""
    if spec.traffic.replicas is None:
        return ""
    sides = ((Side.OLD, facts.old), (Side.NEW, facts.new))
    named = [
        f"HorizontalPodAutoscaler {workload.autoscaler} scales {side(spec, which)}"
        for which, workload in sides
        if workload is not None and workload.autoscaler
    ]
    if not named:
        return ""
    return (
        f"{' and '.join(named)}, and traffic moves by replica counts, which two cannot set: take it away for the time "
        "of the rollout, or move traffic by routes, beside which autoscalers may stay"
    )


def left_alone(old: WorkloadFact, wanted: int) -> int:
    """The replicas that old is to have on the way back."""
    return old.desired if old.autoscaler and old.desired else wanted
