"""The world of a backtest: all is as it should be, but for what Prometheus has recorded. Pure.

Both systems stand, traffic follows at once, nobody interferes. What routes, slots and mirrors do is not what is asked
here, so every way of moving work becomes one route that obeys.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from syncrollout.api.spec import Approval, Criterion, Phase, PhaseMode, RouteRef, SyncRolloutSpec, Traffic, Trigger
from syncrollout.api.words import Side
from syncrollout.decide.actions import Action, AddFinalizer, RemoveFinalizer, Scale, SetWeight
from syncrollout.decide.facts import Facts, Reading, ReadingKey, RouteFact, WorkloadFact

ASSUMED: Final = (
    "old and new have all replicas ready",
    "traffic follows the weights at once: no handover of slots, no mirrors, no traffic.verify",
    "a rollback ends with the switch of traffic: no step of rollback.procedure is run",
    "new's pods are well: triggers on pods are not judged, for Prometheus has not recorded what they go by",
    "nobody reports a problem, and no Job fails: criteria and triggers on reports and Jobs are not judged",
    "no drill is carried out",
    "the checklist before the start passes, day one has nothing to do, and no verification is run",
    "every moment is one at which work may move forward, and no other rollout is waited for",
    "nobody interferes: suspend and emergencyStop are off, and no person decides anything",
    "every phase that asks for an approval has it in time",
    "readings are what Prometheus has recorded, under whatever traffic each system had at the time",
)
"""What is taken for granted, in words."""

_ROUTE: Final = RouteRef(api_version="gateway.networking.k8s.io/v1", kind="HTTPRoute", name="all")


def ideal(spec: SyncRolloutSpec, *, step: float) -> SyncRolloutSpec:
    """The spec as it is carried out in such a world, with a look every `step` seconds at most."""
    assert spec.prometheus is not None
    prometheus = spec.prometheus.model_copy(update={"interval": max(spec.prometheus.interval, step)})
    triggers = tuple(each for each in spec.rollback.triggers if each.pods is None and _recorded(each))
    changes = {
        "traffic": Traffic(routes=(_ROUTE,)),
        "phases": tuple(_live(phase) for phase in spec.phases),
        "prometheus": prometheus,
        "preflight": None,
        "rollback": spec.rollback.model_copy(update={"procedure": None, "drill": None, "triggers": triggers}),
        "schedule": None,
        "depends_on": (),
        "pool": None,
        "suspend": False,
        "emergency_stop": False,
    }
    return spec.model_copy(update=changes)


def _recorded(criterion: Criterion | Trigger) -> bool:
    return criterion.reports is None and criterion.job is None


def _live(phase: Phase) -> Phase:
    success, rollback_on = (
        tuple(each for each in several if _recorded(each)) for several in (phase.success, phase.rollback_on)
    )
    changes = {"mode": PhaseMode.LIVE, "success": success, "rollback_on": rollback_on, "verification": ()}
    return phase.model_copy(update={**changes, "approval": Approval.NOT_REQUIRED, "approvers": None})


class IdealWorld:
    """What there is besides readings, and what comes of actions."""

    def __init__(self) -> None:
        self.share = 0
        self._finalizer = False
        self._workloads = dict.fromkeys(Side, WorkloadFact(1, 1))

    def facts(self, readings: Mapping[ReadingKey, Reading]) -> Facts:
        """Everything that a decision rests on."""
        return Facts(
            generation=1,
            has_finalizer=self._finalizer,
            old=self._workloads[Side.OLD],
            new=self._workloads[Side.NEW],
            routes=(RouteFact(str(_ROUTE), self.share, self.share),),
            readings=readings,
        )

    def act(self, action: Action) -> None:
        """It is done, and stands."""
        match action:
            case SetWeight(weight=weight):
                self.share = weight
            case Scale(side=side, replicas=replicas):
                self._workloads[side] = WorkloadFact(replicas, replicas)
            case AddFinalizer():
                self._finalizer = True
            case RemoveFinalizer():
                self._finalizer = False
            case _:
                msg = f"{action} is nothing that a rollout with one route does"
                raise NotImplementedError(msg)


__all__ = ["ASSUMED", "IdealWorld", "ideal"]
