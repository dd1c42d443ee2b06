"""Rollouts to look at: what becomes of them is decided by the operator's own code, on readings that follow from the
time; so do the series that are drawn. Nothing here is real but the decisions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import yaml

from syncrollout.act.record import status_json
from syncrollout.api.fields import format_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Side, Unknown
from syncrollout.backtest.ideal import IdealWorld, ideal
from syncrollout.decide import criteria
from syncrollout.decide.check_facts import CheckFact
from syncrollout.decide.facts import Part, Reading, ReadingKey
from syncrollout.decide.machine import decide
from syncrollout.observe.queries import fill
from syncrollout.ports import Endpoint, Moments, SeriesUnknown

NOW = 1_773_309_720.0
"""2026-03-12T10:02:00Z, when the gallery is looked at."""
DAY, HOUR, MINUTE = 86400.0, 3600.0, 60.0
ROUNDS = 20
"""Decisions at one moment."""
FLAGSHIP = Path(__file__).parents[2] / "manifests" / "examples" / "listing-sync" / "20-syncrollout.yaml"

Obj = dict[str, Any]
Course = Callable[[float, Side], float | None]
"""What a metric reads at a time (seconds since the epoch) for a side; None for no data."""


def wave(middle: float, swing: float = 0.1, *, period: float = 9000.0, of_old: float = 1.0) -> Course:
    """Goes up and down around a middle, never the same twice; old's is so many times as high."""

    def course(at: float, side: Side) -> float:
        steps = (at / period, 2.7 * at / period + 1.0, 13.0 * at / period + 2.0)
        moved = sum(math.sin(step) / (number + 1) for number, step in enumerate(steps)) / 1.8
        return round(middle * (of_old if side is Side.OLD else 1.0) * (1.0 + swing * moved), 4)

    return course


def breaking(usual: Course, at: float, to: Course) -> Course:
    """One course until a moment, and for new another one after it."""
    return lambda time, side: to(time, side) if time >= at and side is Side.NEW else usual(time, side)


def nothing(_: float, side: Side) -> float | None:
    """No data of new."""
    return 1.0 if side is Side.OLD else None


USUAL: Mapping[str, Course] = {
    "error-rate": wave(0.34, 0.45),
    "weekly-error-rate": wave(0.31, 0.05, period=80000),
    "success-rate": wave(99.7, 0.001),
    "duration": wave(188, 0.09, of_old=1.22),
    "api-quota": wave(61, 0.08),
    "targets-down": wave(0, 0),
    "targets-up": wave(4, 0),
    "functions-failing": wave(0, 0),
    "cpu": wave(46, 0.2),
    "memory": wave(58, 0.04),
    "network": wave(22, 0.3),
    "disk": wave(41, 0.01),
    "database-load": wave(52, 0.15),
    "agreement": wave(99.82, 0.0012),
    "backup-age": wave(30000, 0.2),
    "lost-listings": wave(0, 0),
    "mismatches": wave(0, 0),
    "listings-change": wave(1.4, 0.6),
    "security-alerts": wave(0, 0),
    "old-replicas": wave(3, 0),
}


@dataclass
class Played:
    """One rollout from its beginning until now."""

    namespace: str
    name: str
    spec: SyncRolloutSpec
    courses: Mapping[str, Course]
    written: Obj
    status: SyncRolloutStatus = field(default_factory=SyncRolloutStatus)
    version: int = 1

    def play(self, start: float, end: float = NOW, step: float = 2 * HOUR) -> Played:
        """Decide from `start` until `end`, a look every `step` seconds and more often in the end."""
        spec = ideal(self.spec, step=MINUTE).model_copy(update={"preflight": self.spec.preflight})
        world, now = IdealWorld(), start
        rounds = 0
        while True:
            readings = self._readings(spec, now)
            decision = decide(spec, self.status, replace(world.facts(readings), checks=self._checks(now)), now)
            for action in decision.actions:
                world.act(action)
            self.status = decision.status
            due = decision.next_due
            rounds += 1
            if rounds < ROUNDS and (decision.actions or (decision.write and (due is None or due <= now))):
                continue
            rounds = 0
            if now >= end:
                return self
            closely = end - 40 * MINUTE
            look = now + MINUTE / 2 if now >= closely else min(now + step, closely)
            now = min(end, look, due if due is not None and due > now else end)

    def _readings(self, spec: SyncRolloutSpec, now: float) -> dict[ReadingKey, Reading]:
        return {key: self._reading(key, now) for key in criteria.all_readings(spec)}

    def _checks(self, now: float) -> dict[str, CheckFact]:
        """What a machine finds of the checklist: all is well but one variable; the rest is for people to confirm."""
        lines = self.spec.preflight.checks if self.spec.preflight is not None else ()
        found = {
            each.name: CheckFact(now, passes=True, text="as it should be") for each in lines if not each.attestation
        }
        if "variables" in found:
            text = "1 of 7 variables is missing"
            found["variables"] = CheckFact(now, passes=False, text=text, missing_new=("CIRCUIT_BREAKER_ERRORS",))
        return found

    def _reading(self, key: ReadingKey, now: float) -> Reading:
        if key.part is not Part.VALUE:
            return Reading(1000.0)
        value = self.courses[key.metric](now, key.side)
        if value is None:
            return Reading(None, Unknown.NO_DATA, f"{key.metric} of new: the query gives no series")
        return Reading(value)

    def queries(self) -> Iterator[tuple[str, Course, Side]]:
        """Each query that a chart may ask, with what it gives."""
        for metric in self.spec.metrics:
            for side, system in ((Side.OLD, self.spec.old), (Side.NEW, self.spec.new)):
                yield fill(metric, system, self.namespace, ""), self.courses[metric.name], side

    @property
    def raw(self) -> Obj:
        """The object, as the API server shows it."""
        created = format_time(self.status.started or NOW - HOUR)
        metadata = {
            "namespace": self.namespace,
            "name": self.name,
            "uid": f"uid-{self.namespace}-{self.name}",
            "generation": 1,
            "resourceVersion": str(self.version),
            "creationTimestamp": created,
        }
        return {
            "apiVersion": "syncrollout.io/v1alpha1",
            "kind": "SyncRollout",
            "metadata": metadata,
            "spec": self.written,
            "status": status_json(self.status),
        }


class Series:
    """`syncrollout.ports.SeriesSource` of the gallery."""

    def __init__(self, played: list[Played]) -> None:
        self._known = {query: (course, side) for each in played for query, course, side in each.queries()}
        self.asked: list[str] = []

    async def series(
        self,
        endpoint: Endpoint,
        query: str,
        moments: Moments,
        timeout: float,
        reduce: Callable[[Reading], Reading] = lambda reading: reading,
    ) -> tuple[float | None, ...]:
        """See the port."""
        self.asked.append(query)
        if query not in self._known:
            raise SeriesUnknown("nothing is recorded of that")
        course, side = self._known[query]
        count = round((moments.end - moments.start) / moments.step) + 1
        return tuple(course(moments.start + number * moments.step, side) for number in range(count))


def played(
    namespace: str,
    name: str,
    days: float,
    *,
    phases: list[Obj] | None = None,
    courses: Mapping[str, Course] | None = None,
    **spec: Any,
) -> Played:
    """A rollout of the flagship's plan that began so many days ago."""
    written: Obj = yaml.safe_load(FLAGSHIP.read_text())["spec"]
    written["old"], written["new"] = (
        {"workload": {"kind": "Deployment", "name": f"{name}-{version}"}, "service": f"{name}-{version}"}
        for version in ("v1", "v2")
    )
    written["traffic"]["routes"][0]["name"] = name
    for found in (written["rollback"]["triggers"], *(phase.get("success", []) for phase in written["phases"])):
        found[:] = [each for each in found if "metric" in each]  # those that need no people and no Jobs
    for phase in written["phases"]:
        if phase["name"] == "full-traffic":
            phase |= {"approval": "Required", "approvers": {"groups": ["release-managers"]}}
        phase["rollbackOn"] = [each for each in phase.get("rollbackOn", ()) if "metric" in each]
    written.pop("notifications", None)  # nobody is there to send them
    if days > 1:
        written.pop("preflight", None)  # it began long ago
    if phases is not None:
        written["phases"] = phases
        written["rollback"] = {"triggers": written["rollback"]["triggers"], "high": {"within": "1h"}}
        del written["traffic"]["shards"]
    written |= spec
    parsed = SyncRolloutSpec.model_validate(written)
    return Played(namespace, name, parsed, {**USUAL, **(courses or {})}, written).play(NOW - days * DAY)


def _steps(*weights: int, lasts: str = "1d") -> list[Obj]:
    success = [{"metric": "error-rate", "below": 1}, {"metric": "duration", "atMost": 1.0, "relativeTo": "Old"}]
    back = [{"metric": "error-rate", "above": 5}]
    return [
        {"name": f"step-{weight}", "weight": weight, "duration": lasts, "success": success, "rollbackOn": back}
        for weight in weights
    ]


def gallery() -> list[Played]:
    """A fleet in which everything is to be seen."""
    worse = wave(7.4, 0.1, period=700)
    return [
        played("listings", "listing-sync", 9.05),
        played(
            "payments",
            "ledger-sync",
            2.2,
            phases=[{**each, "rollbackOn": []} for each in _steps(10, 25, 50, 100)],
            courses={"error-rate": breaking(wave(0.4, 0.3), NOW - 19 * MINUTE, worse)},
        ),
        played(
            "search",
            "index-feed",
            1.9,
            phases=_steps(10, 50, 100),
            courses={"duration": breaking(USUAL["duration"], NOW - 21 * MINUTE, nothing)},
        ),
        played("media", "thumbnailer", 2.6, phases=_steps(10, 25, 50, 75, 100)),
        played("billing", "invoice-export", 12.0, phases=_steps(10, 50, 100)),
        played(
            "crm",
            "contact-sync",
            1.4,
            phases=_steps(10, 50, 100),
            courses={"error-rate": breaking(wave(0.4, 0.3), NOW - 7 * HOUR, wave(11.8, 0.05))},
        ),
        played("staging", "listing-sync", 0.01, phases=_steps(25, 100), suspend=True),
    ]
