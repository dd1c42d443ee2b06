"""What a diagnosis needs to know, by the person's own kubectl and rights. What cannot be had becomes a Gap; nothing is
written anywhere."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from syncrollout.api.fields import format_duration
from syncrollout.api.installed import INDEX, Installed, compare, document_path
from syncrollout.api.spec import LogSign, Sign, WorkloadRef
from syncrollout.api.words import Side
from syncrollout.cli import objects
from syncrollout.cli.answers import Failed
from syncrollout.cli.chosen import MOST_PODS, both, memory_of, since_started, throttled_of, told_by, worst
from syncrollout.cli.kubectl import NotThere
from syncrollout.cli.measuring import Measuring, Silent, proxy
from syncrollout.cli.rollout import Rollout
from syncrollout.diagnosis import patterns
from syncrollout.diagnosis.facts import Facts, Gap, Lease, Logs, Memory, Pod, Reading, Route, Workload
from syncrollout.diagnosis.patterns import Pattern
from syncrollout.diagnosis.trend import Series
from syncrollout.diagnosis.words import OF_SYSTEMS, Trouble
from syncrollout.observe.masks import masked, printable
from syncrollout.observe.queries import QueryError, fill
from syncrollout.ports import Endpoint

Obj = dict[str, Any]

LINES: Final = 400
"""Of each container's log."""
MOST_BYTES: Final = 256 * 1024
"""Of each container's log."""
AT_ONCE: Final = 4
_OF_METRICS: Final = frozenset({Trouble.SLOW, Trouble.MEMORY})


class Looks(Protocol):
    """What is asked of the cluster. Every method raises Failed with a sentence for the person."""

    def get(self, resource: str, name: str) -> Obj:
        """One object of the namespace."""
        ...

    def whole(self, resource: str, name: str) -> Obj:
        """One object of the namespace with its managed fields."""
        ...

    def every(self, resource: str, *, selector: str = "") -> list[Obj]:
        """All objects of a kind that a label selector chooses."""
        ...

    def raw(self, path: str) -> str:
        """What the API server answers at a path of its own."""
        ...

    def logs(self, pod: str, *, since: int, lines: int, most_bytes: int, previous: bool = False) -> str:
        """The ends of the logs of all containers of a pod."""
        ...

    def clock(self) -> str:
        """The API server's time."""
        ...


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is looked."""

    endpoint: Endpoint | None
    """The Prometheus that is asked; None where the rollout has none."""
    timeout: float = 10.0
    look_back: float = 3600.0
    operator_namespace: str = "syncrollout-system"
    lease: str = "syncrollout"
    options: tuple[str, ...] = ()


@dataclass(slots=True)
class Gathering:
    """One diagnosis' worth of looking. `own` looks into the operator's namespace."""

    cluster: Looks
    own: Looks
    manner: Manner
    wanted: Collection[Trouble]
    gaps: list[Gap] = field(default_factory=list)

    def facts(self, rollout: Rollout, obj: Obj) -> Facts:
        """All that is needed for the troubles that are wanted. `obj`: the rollout with its managed fields."""
        of_systems = self._asks(*OF_SYSTEMS)
        with ThreadPoolExecutor(AT_ONCE) as pool:  # each is a process of kubectl that waits for the API server
            clock = pool.submit(self._now)
            sides = [side for side in Side if of_systems or self._asks(Trouble.PODS)]
            looked = pool.map(lambda side: self._system(rollout, side), sides)
            routes = pool.submit(self._routes, rollout) if self._asks(Trouble.ROUTE) else None
            lease = pool.submit(self._lease) if self._asks(Trouble.OPERATOR, Trouble.CLOCK) else None
            crd = pool.submit(self._crd) if self._asks(Trouble.CRD) else None
            now = clock.result()
            asked = of_systems or self._asks(Trouble.PROMETHEUS)
            measuring = self._measuring(rollout, now) if asked else None
            systems = {side: each for side, each in zip(sides, looked, strict=True) if each is not None}
            pods = tuple(pod for _, made in systems.values() for pod in made)
            logs = pool.submit(self._logs, rollout, pods) if of_systems else None
            readings = self._readings(rollout, measuring) if of_systems else ()
            memory, throttled = self._containers(rollout, pods, measuring, now) if of_systems else ((), {})
        return Facts(
            name=rollout.name,
            namespace=rollout.namespace,
            spec=rollout.spec,
            status=rollout.status,
            now=now,
            generation=rollout.generation,
            applied=objects.applied(obj),
            recorded=objects.recorded(obj),
            look_back=self.manner.look_back,
            workloads={side: workload for side, (workload, _) in systems.items()},
            pods=pods,
            memory=memory,
            throttled=throttled,
            readings=readings,
            logs=logs.result() if logs is not None else (),
            routes=routes.result() if routes is not None else (),
            lease=lease.result() if lease is not None else None,
            crd=crd.result() if crd is not None else None,
            prometheus_answers=measuring is not None if asked and self.manner.endpoint is not None else None,
            prometheus_path=proxy(rollout.spec.prometheus.address) if rollout.spec.prometheus is not None else "",
            gaps=tuple(sorted(self.gaps, key=lambda gap: gap.what)),
            options=self.manner.options,
            operator_account=f"system:serviceaccount:{self.manner.operator_namespace}:syncrollout",
            operator_namespace=self.manner.operator_namespace,
        )

    def _asks(self, *troubles: Trouble) -> bool:
        return any(each in self.wanted for each in troubles)

    def _missing(self, what: str, why: object, *troubles: Trouble) -> None:
        self.gaps.append(Gap(what, str(why), frozenset(troubles)))

    def _now(self) -> float:
        try:
            found = objects.at(self.cluster.clock())
        except Failed:
            found = None
        if found is None:
            self._missing("the API server's clock", "it does not say: that of this machine is taken", Trouble.OPERATOR)
        return found if found is not None else time.time()

    # ---- systems -------------------------------------------------------------------------------------------------

    def _system(self, rollout: Rollout, side: Side) -> tuple[Workload, list[Pod]] | None:
        ref = (rollout.spec.old if side is Side.OLD else rollout.spec.new).workload
        try:
            obj = self.cluster.get(objects.resource(ref.resolved_api_version, ref.kind), ref.name)
        except Failed as error:
            why = "it does not exist" if isinstance(error, NotThere) else str(error)
            self._missing(f"{ref} ({side.value.lower()})", why, *OF_SYSTEMS, Trouble.PODS)
            return None
        workload = objects.workload(ref, obj, self._config_maps(obj))
        pods = self._pods(side, ref, workload)
        if pods == [] and workload.replicas:
            why = "there is none: its logs and its memory cannot be looked at"
            self._missing(f"pods of {side.value.lower()}", why, *OF_SYSTEMS, Trouble.PODS)
        return workload, pods or []

    def _config_maps(self, obj: Obj) -> Mapping[str, Mapping[str, str]]:
        found = {}
        for name in objects.taken_from(obj)[:MOST_PODS]:
            try:
                found[name] = dict(self.cluster.get("configmaps", name).get("data") or {})
            except Failed:
                continue  # only what is suggested is less precise without
        return found

    def _pods(self, side: Side, ref: WorkloadRef, workload: Workload) -> list[Pod] | None:
        """None where they cannot be seen, which is said then."""
        try:
            selector = workload.selector or self._of_jobs(ref)
            if selector:
                found = self.cluster.every("pods", selector=selector)
                return [objects.pod(obj, side) for obj in found if "deletionTimestamp" not in obj["metadata"]]
            if ref.kind == "CronJob":
                return []
            why: object = f"{ref} does not say in spec.selector which pods are its own"
        except Failed as error:
            why = error
        self._missing(f"pods of {side.value.lower()}", why, *OF_SYSTEMS, Trouble.PODS)
        return None

    def _of_jobs(self, ref: WorkloadRef) -> str:
        """The selector of the pods of a CronJob's last Jobs."""
        if ref.kind != "CronJob":
            return ""
        owned = [
            job
            for job in self.cluster.every("jobs.batch")
            if any(each.get("name") == ref.name for each in job["metadata"].get("ownerReferences") or ())
        ]
        owned.sort(key=lambda job: str(job["metadata"].get("creationTimestamp", "")))
        names = ",".join(job["metadata"]["name"] for job in owned[-MOST_PODS:])
        return f"batch.kubernetes.io/job-name in ({names})" if names else ""

    def _logs(self, rollout: Rollout, pods: tuple[Pod, ...]) -> tuple[Logs, ...]:
        given = self._patterns(rollout)
        asked = [(pod, previous) for side in Side for pod in worst(pods, side) for previous in both(pod)]
        with ThreadPoolExecutor(AT_ONCE) as pool:
            texts = list(pool.map(self._log, asked))
        found = []
        for side in Side:
            lines = [line for (pod, _), text in zip(asked, texts, strict=True) if pod.side is side for line in text]
            if lines:
                found.append(patterns.read(side, lines, given))
        return tuple(found)

    def _log(self, asked: tuple[Pod, bool]) -> list[str]:
        pod, previous = asked
        try:
            text = self.cluster.logs(
                pod.name,
                since=max(1, round(self.manner.look_back)),
                lines=LINES,
                most_bytes=MOST_BYTES,
                previous=previous,
            )
        except Failed as error:
            if not previous:
                self._missing(f"logs of pod {pod.name}", error, *OF_SYSTEMS)
            return []
        return printable(masked(text)).splitlines()

    def _patterns(self, rollout: Rollout) -> list[Pattern]:
        found = []
        given: tuple[LogSign, ...] = rollout.spec.diagnosis.logs if rollout.spec.diagnosis is not None else ()
        for each in given:
            trouble = Trouble(each.tells.value.lower())
            try:
                what = f"/{each.pattern}/ of spec.diagnosis"
                found.append(Pattern(trouble, what, re.compile(each.pattern, re.IGNORECASE)))
            except re.error as error:
                self._missing(f"lines like {each.pattern!r}", f"spec.diagnosis.logs: {error}", trouble)
        return found

    # ---- Prometheus ----------------------------------------------------------------------------------------------

    def _measuring(self, rollout: Rollout, now: float) -> Measuring | None:
        told = {Trouble(each.tells.value.lower()) for each in told_by(rollout)[0]} | _OF_METRICS
        if self.manner.endpoint is None:
            self._missing("metrics", "the rollout names no Prometheus (spec.prometheus)", *told)
            return None
        try:
            return Measuring.found(
                self.manner.endpoint,
                self.cluster.raw,
                timeout=self.manner.timeout,
                now=now,
                look_back=self.manner.look_back,
            )
        except Silent as silent:
            why = f"{silent} (kubectl port-forward and --prometheus lead there, too)"
            self._missing(f"metrics of {self.manner.endpoint.address}", why, *told)
            return None

    def _readings(self, rollout: Rollout, measuring: Measuring | None) -> tuple[Reading, ...]:
        told, given = told_by(rollout)
        systems = {"new": rollout.spec.new, "old": rollout.spec.old}
        phase = rollout.status.phase.name if rollout.status.phase is not None else rollout.spec.phases[0].name
        queries: dict[str, str] = {}
        for sign in told:
            for side, system in systems.items():
                try:
                    query = fill(rollout.spec.metric(sign.metric), system, rollout.namespace, phase)
                except (KeyError, QueryError) as error:
                    self._missing(f"metric {sign.metric} of {side}", error, Trouble(sign.tells.value.lower()))
                else:
                    queries[f"{sign.metric} {side}"] = query
        series, failed = measuring.all(queries) if measuring is not None else ({}, {})
        troubles = {each.metric: Trouble(each.tells.value.lower()) for each in told}
        for name, why in failed.items():
            self._missing(f"metric {name}", why, troubles[name.rpartition(" ")[0]])
        if measuring is not None:
            self._without_data(rollout, told, series)
        return tuple(
            Reading(
                told=sign,
                unit=rollout.spec.metric(sign.metric).unit,
                new=series.get(f"{sign.metric} new", ()),
                old=series.get(f"{sign.metric} old", ()),
                given=given,
            )
            for sign in told
        )

    def _without_data(self, rollout: Rollout, told: tuple[Sign, ...], series: Mapping[str, Series]) -> None:
        """What Prometheus knows nothing of, and the status neither: that is no sign of health."""
        judged = {each.metric: each for each in rollout.status.criteria}
        for sign in told:
            criterion = judged.get(sign.metric)
            alone = sign.above is not None or sign.below is not None
            sides = {"new": criterion and criterion.reading, "old": criterion and criterion.baseline}
            for side, known in sides.items():
                needed = side == "new" or (not alone and rollout.status.retired is None)
                if needed and known is None and series.get(f"{sign.metric} {side}") == ():
                    why = f"Prometheus has recorded nothing of it in the last {format_duration(self.manner.look_back)}"
                    self._missing(f"metric {sign.metric} of {side}", why, Trouble(sign.tells.value.lower()))

    def _containers(
        self, rollout: Rollout, pods: tuple[Pod, ...], measuring: Measuring | None, now: float
    ) -> tuple[tuple[Memory, ...], dict[Side, float]]:
        looked_at = [pod for side in Side for pod in worst(pods, side)]
        queries = {pod.name: memory_of(rollout.namespace, pod.name) for pod in looked_at}
        sides = {
            f"throttled {side}": throttled_of(rollout.namespace, [p.name for p in pods if p.side is side])
            for side in Side
        }
        series: dict[str, Series] = {}
        if measuring is not None and looked_at:
            series, failed = measuring.all(queries | {name: query for name, query in sides.items() if query})
            for why in dict.fromkeys(failed.values()):
                self._missing("memory and processor of the pods", why, *_OF_METRICS)
        memory = tuple(
            Memory(pod.name, pod.side, since_started(pod, series[pod.name]))
            for pod in looked_at
            if series.get(pod.name)
        )
        if looked_at and not memory:
            memory = self._now_used(rollout.namespace, looked_at, now, silent=measuring is None)
        last = {side: series.get(f"throttled {side}", ())[-1:] for side in Side}
        return memory, {side: found[0][1] for side, found in last.items() if found}

    def _now_used(self, namespace: str, pods: list[Pod], now: float, *, silent: bool) -> tuple[Memory, ...]:
        """What the metrics server knows, where Prometheus knows nothing: the present use without its slope."""
        if not silent:
            why = "Prometheus has no container_memory_working_set_bytes of these pods: does it scrape the kubelets?"
            self._missing("how memory climbs", why, Trouble.MEMORY)
        try:
            body = json.loads(self.cluster.raw(f"/apis/metrics.k8s.io/v1beta1/namespaces/{namespace}/pods"))
        except (Failed, ValueError):
            return ()
        used = {
            each["metadata"]["name"]: sum(
                objects.quantity(one["usage"].get("memory")) or 0.0 for one in each["containers"]
            )
            for each in body.get("items") or ()
        }
        return tuple(Memory(pod.name, pod.side, ((now, used[pod.name]),)) for pod in pods if used.get(pod.name))

    # ---- the operator --------------------------------------------------------------------------------------------

    def _routes(self, rollout: Rollout) -> tuple[Route, ...]:
        found = []
        for ref in rollout.spec.traffic.routes:
            try:
                found.append(
                    objects.route(ref, self.cluster.get(objects.resource(ref.api_version, ref.kind), ref.name))
                )
            except NotThere:
                continue  # the status says so
            except Failed as error:
                self._missing(str(ref), error, Trouble.ROUTE)
        return tuple(found)

    def _lease(self) -> Lease | None:
        where = f"Lease {self.manner.operator_namespace}/{self.manner.lease}"
        try:
            return objects.lease(self.own.whole("leases.coordination.k8s.io", self.manner.lease))
        except NotThere:
            why = "it is not there: does the operator run, in another namespace (--operator-namespace), without it?"
            self._missing(where, why, Trouble.OPERATOR, Trouble.CLOCK)
        except Failed as error:
            self._missing(where, error, Trouble.OPERATOR, Trouble.CLOCK)
        return None

    def _crd(self) -> Installed | None:
        try:
            path = document_path(json.loads(self.cluster.raw(INDEX)))
            if path is not None:
                return compare(json.loads(self.cluster.raw(path)))
            why: object = "the API server publishes no schema of it"
        except (Failed, AttributeError, KeyError, TypeError, ValueError) as error:
            why = error if isinstance(error, Failed) else f"what the API server publishes is not understood: {error!r}"
        self._missing("the CRD of the cluster", why, Trouble.CRD)
        return None


__all__ = ["Gathering", "Looks", "Manner"]
