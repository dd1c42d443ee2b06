"""One scenario's namespace: its systems and rollouts, and ways to wait for what they do."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest

from e2e import plan
from e2e.operators import Operators
from e2e.recorder import Recorder
from testbed import Cluster, Exporter, Kwok, Obj, Prometheus
from testbed.errors import TimedOut
from testbed.kwok import deployment
from testbed.namespaces import create_namespace
from testbed.waiting import eventually

DEADLINE = 30.0
"""Seconds within which anything that is waited for happens, on a busy machine too. What is quick is no test's promise
here: timings are figures of the benchmarks."""
ENDED = ("Completed", "RolledBack")
WHOLE = pytest.StashKey[bool]()
"""Whether every scenario of this folder was chosen."""


@dataclass
class Stage:
    """What all scenarios share."""

    cluster: Cluster
    kwok: Kwok
    prometheus: Prometheus
    exporter: Exporter
    recorder: Recorder
    operators: Operators
    began: int
    """Where the audit log stood when all was set up."""
    deprived: list[tuple[float, float]] = field(default_factory=list)
    """From when to when (wall clock) the operator lacked a right on purpose."""

    lent: set[str] = field(default_factory=set)
    """API groups to which a scenario has given the operator rights by the documented label."""

    def scene(self, name: str) -> Scene:
        """A fresh namespace."""
        return Scene(self, create_namespace(self.cluster.kube, name))


class Scene:
    """A namespace with whatever a scenario puts into it."""

    def __init__(self, stage: Stage, namespace: str) -> None:
        self.stage = stage
        self.namespace = namespace
        self.kube = stage.cluster.kube
        self.rollouts: list[Rollout] = []
        self.account = ""
        """The ServiceAccount that its rollouts name, unless told otherwise."""
        self.by_hand: list[tuple[str, str]] = []
        """(kind, name) of routes whose weights the scenario itself changes against the operator."""
        self.events_lost = False
        """Events could not be posted."""
        self.torn_down = False
        """The whole namespace is deleted: pods go while traffic goes back, in no order."""

    def end(self) -> None:
        """Ask for the deletion of everything in it, and of the namespace."""
        for rollout in self.rollouts:
            rollout.delete()
        self.kube.delete("v1", "Namespace", self.namespace)

    # ---- what stands there -------------------------------------------------------------------------------------

    def systems(self, *, old: int = 2, new: int = 2, names: tuple[str, str] = ("old", "new"), **of_new: Any) -> None:
        """Both Deployments with Services and healthy metrics, and the route; waits until old is ready."""
        self.healthy(*names)
        for name, replicas, options in ((names[0], old, {}), (names[1], new, of_new)):
            self.kube.create(deployment(name, self.namespace, replicas, **options))
            self.kube.create(plan.service(name, self.namespace))
        self.kube.create(plan.route("web", self.namespace, old=names[0], new=names[1]))
        self.until_ready(names[0], old)
        if not of_new:
            self.until_ready(names[1], new)

    def healthy(self, *workloads: str) -> None:
        """Metrics as they should be."""
        self.set("errors", 0.2, *workloads)
        self.set("duration", 1.0, *workloads)

    def set(self, metric: str, value: float, *workloads: str) -> None:
        """Set `errors` or `duration` of these workloads at one moment."""
        self.stage.exporter.set_many([(f"e2e_{metric}", self.labels(name), value) for name in workloads])

    def set_and_scraped(self, metric: str, value: float, workload: str) -> None:
        """Set one, and wait until Prometheus has had it for so long that no reading of before is still used."""
        self.set(metric, value, workload)
        series = f'e2e_{metric}{{workload="{workload}",namespace="{self.namespace}"}}[700ms]'
        for extreme in ("max", "min"):
            query = f"{extreme}_over_time({series})"
            self.stage.prometheus.wait_for(query, lambda samples: [each.value for each in samples] == [value])

    def labels(self, workload: str, case: str = "") -> dict[str, str]:
        """The labels of a workload's series; `case` tells those of one rollout among several."""
        return {"workload": workload, "namespace": self.namespace} | ({"case": case} if case else {})

    def until_ready(self, name: str, replicas: int, kind: str = "Deployment") -> None:
        """Wait until so many replicas are ready, none for 0."""
        self.kube.wait_for(
            "apps/v1",
            kind,
            name,
            self.namespace,
            lambda obj: (
                ready_replicas(obj) == replicas
                and (obj.get("status") or {}).get("observedGeneration") == obj["metadata"]["generation"]
            ),
            what=f"to have {replicas} replicas ready",
            timeout=DEADLINE,
        )

    def pods(self, app: str) -> set[str]:
        """The uids of the pods of one app that are not going."""
        pods = self.kube.list("v1", "Pod", self.namespace, selector=f"app={app}")
        return {each["metadata"]["uid"] for each in pods if "deletionTimestamp" not in each["metadata"]}

    # ---- rollouts ----------------------------------------------------------------------------------------------

    def rollout(self, phases: list[Obj], name: str = "move", **spec: Any) -> Rollout:
        """Create a SyncRollout; see plan.rollout."""
        address = self.stage.prometheus.address
        spec = {"serviceAccountName": self.account or None, **spec}
        self.kube.create(plan.rollout(name, self.namespace, address, phases, **spec))
        return self.adopt(name)

    def adopt(self, name: str) -> Rollout:
        """Look after a SyncRollout that was applied some other way."""
        made = Rollout(self, name)
        self.rollouts.append(made)
        return made

    # ---- the route ---------------------------------------------------------------------------------------------

    def weight(self, name: str = "web", kind: str = "HTTPRoute") -> int:
        """The weight of new, as it stands at the API server."""
        return weight_of(self.kube.get(plan.GATEWAY_API, kind, name, self.namespace))

    def until_weight(self, weight: int, name: str = "web", kind: str = "HTTPRoute", timeout: float = DEADLINE) -> None:
        """Wait until new has this weight."""
        eventually(
            lambda: self.weight(name, kind) == weight,
            timeout=timeout,
            what=f"{kind} {self.namespace}/{name} to stand at {weight} % of new",
        )

    def weights(self, name: str = "web", kind: str = "HTTPRoute") -> list[int]:
        """The weights of new that the route has had, in order, repetitions left out."""
        self.stage.recorder.caught_up(self.namespace)
        found: list[int] = []
        for seen in self.stage.recorder.story(self.namespace, kind):
            if seen.name == name and not seen.gone and weight_of(seen.obj) not in found[-1:]:
                found.append(weight_of(seen.obj))
        return found


class Rollout:
    """One SyncRollout, seen through a watch of the test's own."""

    def __init__(self, scene: Scene, name: str) -> None:
        self.scene = scene
        self.name = name

    @property
    def obj(self) -> Obj:
        """As it stands at the API server; KubeError 404 when it is gone."""
        return self.scene.kube.get(plan.API_VERSION, plan.KIND, self.name, self.scene.namespace)

    @property
    def status(self) -> Obj:
        """Its status as it stands."""
        status: Obj = self.obj.get("status") or {}
        return status

    @property
    def reasons(self) -> list[str]:
        """The reasons of its history, in order."""
        return [entry["reason"] for entry in self.status["history"]]

    def condition(self, kind: str) -> Obj:
        """One of its conditions; empty where there is none."""
        return condition(self.status, kind)

    def until(
        self,
        state: str = "",
        *,
        phase: str = "",
        reason: str = "",
        says: str = "",
        stalled: bool | None = None,
        stands: bool = False,
        also: Callable[[Obj], object] = bool,
        timeout: float = DEADLINE,
    ) -> Obj:
        """Wait until the status is as asked; `stands`: the weights of the phase do. The status as it was then.

        A run that has ended in another way than was waited for fails at once.
        """

        def probe() -> Obj | None:
            obj = self.scene.stage.recorder.latest(plan.KIND, self.scene.namespace, self.name)
            if obj is None:
                return None
            status: Obj = obj.get("status") or {}
            fits = (
                (not state or status.get("state") == state)
                and (not phase or (status.get("phase") or {}).get("name") == phase)
                and (not reason or status.get("reason") == reason)
                and says in status.get("message", "")
                and (stalled is None or (condition(status, "Stalled").get("status") == "True") == stalled)
                and (not stands or (status.get("phase") or {}).get("since") is not None)
                and also({"status": status, **obj})
            )
            if not fits:
                seen[:] = [status]
            return {"_": True, **status} if fits else None

        seen: list[Obj] = []
        wanted = {k: v for k, v in (("state", state), ("phase", phase), ("reason", reason), ("says", says)) if v}
        try:
            return eventually(probe, timeout=timeout, interval=0.01, what=f"{self.name} to be {wanted}")
        except TimedOut as error:
            last = seen[0] if seen else {}
            short = {field: last.get(field) for field in ("state", "reason", "message", "phase", "weight", "criteria")}
            raise TimedOut(
                f"{error}; its status: {short}; history: {[h['message'] for h in last.get('history', [])]}"
            ) from error

    def edit(self, **spec: Any) -> Obj:
        """Merge into the spec; None takes a field away."""
        return self.scene.kube.patch(plan.API_VERSION, plan.KIND, self.name, self.scene.namespace, {"spec": spec})

    def delete(self, *, foreground: bool = False) -> None:
        """Ask for its deletion; in the foreground what belongs to it goes first."""
        how = "Foreground" if foreground else "Background"
        self.scene.kube.delete(plan.API_VERSION, plan.KIND, self.name, self.scene.namespace, propagation=how)

    def until_gone(self, timeout: float = DEADLINE) -> None:
        """Wait until the object is no more."""
        eventually(
            lambda: self.scene.kube.find(plan.API_VERSION, plan.KIND, self.name, self.scene.namespace) is None,
            timeout=timeout,
            what=f"{self.name} to be gone",
        )

    def events(self) -> list[Obj]:
        """Its Events, in the order of its history where that is known."""
        uid = self.obj["metadata"]["uid"]
        return [
            one
            for one in self.scene.kube.list("v1", "Event", self.scene.namespace)
            if one["involvedObject"].get("uid") == uid
        ]


def condition(status: Obj, kind: str) -> Obj:
    """One condition of a status; empty where there is none."""
    return next((each for each in status.get("conditions") or () if each["type"] == kind), {})


def weight_of(route: Obj) -> int:
    """The weight of the second backend of the first rule: new, in routes made by plan.route."""
    return int(route["spec"]["rules"][0]["backendRefs"][1].get("weight", 1))


def ready_replicas(workload: Obj) -> int:
    """Replicas that can take work."""
    return int((workload.get("status") or {}).get("readyReplicas") or 0)
