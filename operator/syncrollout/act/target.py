"""On whose behalf actions are carried out, and the objects that are moved for it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from syncrollout.act.assignment import CONFIG_MAP, Migration
from syncrollout.api.spec import RouteRef, SyncRolloutSpec, SystemSpec
from syncrollout.api.words import Side
from syncrollout.ports import Behalf, KindRef, ObjectRef


@dataclass(frozen=True, slots=True)
class Target:
    """The rollout on whose behalf actions are carried out."""

    ref: ObjectRef
    spec: SyncRolloutSpec
    resource_version: str
    finalizers: tuple[str, ...]
    uid: str = ""

    def system(self, side: Side) -> SystemSpec:
        """The spec of one side."""
        return self.spec.old if side is Side.OLD else self.spec.new

    @property
    def behalf(self) -> Behalf:
        """In whose name it is done."""
        return behalf_of(self.spec, self.ref.namespace)

    @property
    def migration(self) -> Migration:
        """What an assignment of slots has to be made for to be this rollout's."""
        old, new = (f"{system.workload.kind}/{system.workload.name}" for system in (self.spec.old, self.spec.new))
        return Migration(self.ref.name, old, new)

    def route(self, route: RouteRef) -> ObjectRef:
        """The object of a route."""
        return ObjectRef(KindRef(route.api_version, route.kind), self.ref.namespace, route.name)

    def only(self, route: str) -> Target:
        """The same, as if this were its only route."""
        one = tuple(each for each in self.spec.traffic.routes if str(each) == route)
        traffic = self.spec.traffic.model_copy(update={"routes": one})
        return replace(self, spec=self.spec.model_copy(update={"traffic": traffic}))


def behalf_of(spec: SyncRolloutSpec, namespace: str) -> Behalf:
    """In whose name something is done for a rollout of this namespace."""
    return Behalf(namespace, spec.service_account_name or "")


def freezes_ref(spec: SyncRolloutSpec, namespace: str) -> ObjectRef | None:
    """The ConfigMap with the freezes that the rollout shares; None where it shares none."""
    schedule = spec.schedule
    if schedule is None or schedule.freezes_from is None:
        return None
    return ObjectRef(KindRef("v1", "ConfigMap"), namespace, schedule.freezes_from.config_map)


def workload_ref(system: SystemSpec, namespace: str) -> ObjectRef:
    """The object of a side's workload."""
    workload = system.workload
    return ObjectRef(KindRef(workload.resolved_api_version, workload.kind), namespace, workload.name)


def assignment_ref(spec: SyncRolloutSpec, namespace: str) -> ObjectRef | None:
    """The ConfigMap that holds a rollout's assignment of slots; None without shards."""
    shards = spec.traffic.shards
    return None if shards is None else ObjectRef(CONFIG_MAP, namespace, shards.config_map)


def shards_ref(target: Target) -> ObjectRef | None:
    """The ConfigMap of a rollout's shards, if it has any."""
    return assignment_ref(target.spec, target.ref.namespace)


def moved(target: Target) -> tuple[ObjectRef, ...]:
    """The objects that are moved on behalf of a rollout: its routes, its assignment of slots, its workloads."""
    workloads = (workload_ref(system, target.ref.namespace) for system in (target.spec.old, target.spec.new))
    shards = shards_ref(target)
    routes = (target.route(route) for route in target.spec.traffic.routes)
    return (*routes, *((shards,) if shards is not None else ()), *workloads)


__all__ = ["Target", "assignment_ref", "behalf_of", "moved", "shards_ref", "workload_ref"]
