"""The checklist before the start, as far as somebody has to look: at Services, Secrets, nodes, workloads, objects.

It is looked at beside the passes, all lines at once, and what was found stands for preflight.interval; a pass waits
for a moment at most, so that a Service that hangs keeps nobody from stopping what has not begun.
"""

from __future__ import annotations

import asyncio
import base64
import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from syncrollout.act.target import Target
from syncrollout.api.spec import Capacity, PreflightCheck, ResourceExists, WorkloadRef
from syncrollout.api.words import Side
from syncrollout.decide import checklist
from syncrollout.decide.check_facts import CheckFact
from syncrollout.observe import capacity, environment, workloads
from syncrollout.observe.certificates import valid_until
from syncrollout.observe.masks import masked, printable
from syncrollout.observe.probes import Probes
from syncrollout.observe.snapshots import Snapshots
from syncrollout.ports import ActingApi, ApiError, Clock, Forbidden, KindRef, KubeApi, NotFound, Object, ObjectRef

log = logging.getLogger(__name__)

MOMENT: Final = 1.0
"""Seconds that a pass waits for what is being looked at."""
KEPT: Final = 600.0
"""Seconds after which what nobody has asked for is forgotten."""
NODES_KEPT: Final = 30.0
"""Seconds for which nodes are taken as they were listed: a fleet of rollouts does not list them one by one."""
LONGEST: Final = 300
SECRET: Final = KindRef("v1", "Secret")
NODE: Final = KindRef("v1", "Node")
_CERTIFICATE: Final = "tls.crt"


@dataclass(slots=True)
class _Known:
    lines: tuple[PreflightCheck, ...]
    facts: dict[str, CheckFact] = field(default_factory=dict)
    looked: float | None = None
    """When the last look began, event loop's time."""
    used: float = 0.0
    task: asyncio.Task[None] | None = None


class Checks:
    """Looks at them on behalf of the gatherer. What it remembers only saves requests."""

    def __init__(self, api: ActingApi, probes: Probes, snapshots: Snapshots, clock: Clock) -> None:
        self._api = api
        self._probes = probes
        self._snapshots = snapshots
        self._clock = clock
        self._environment = environment.Environment(api)
        self._known: dict[ObjectRef, _Known] = {}
        self._nodes: tuple[float, list[Object]] | None = None
        self._listing = asyncio.Lock()

    async def look(self, target: Target) -> Mapping[str, CheckFact]:
        """Each line as it was found last; one that is not there was not looked at yet. Never raises for what an API
        server, or a Service, can answer."""
        asked = target.spec.preflight
        lines = tuple(each for each in asked.checks if checklist.looked_at(each)) if asked is not None else ()
        if asked is None or not lines:
            return {}
        now = asyncio.get_running_loop().time()
        self._forget(now)
        known = self._known.get(target.ref)
        if known is None or known.lines != lines:
            _stop(known)
            known = self._known[target.ref] = _Known(lines)
        known.used = now
        if known.task is not None and known.task.done():
            known.task = None
        if known.task is None and (known.looked is None or now - known.looked >= asked.interval):
            known.looked = now
            known.task = asyncio.get_running_loop().create_task(self._all(target, known), name=f"checks {target.ref}")
        if known.task is not None:
            await asyncio.wait({known.task}, timeout=MOMENT)
        return dict(known.facts)

    async def close(self) -> None:
        """Look at nothing any more."""
        tasks = [known.task for known in self._known.values() if known.task is not None]
        for known in self._known.values():
            _stop(known)
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, now: float) -> None:
        for ref in [ref for ref, known in self._known.items() if now - known.used > KEPT]:
            _stop(self._known.pop(ref))

    async def _all(self, target: Target, known: _Known) -> None:
        await asyncio.gather(*(self._put(target, check, known) for check in known.lines))

    async def _put(self, target: Target, check: PreflightCheck, known: _Known) -> None:
        known.facts[check.name] = await self._one(target, check)

    async def _one(self, target: Target, check: PreflightCheck) -> CheckFact:
        at = round(self._clock.now(), 3)
        try:
            found = await self._found(target, check, at)
        except Forbidden as error:
            who = str(target.behalf)
            text = f"{who} may not look at it: {error}; docs/preflight.md says how to give it the right"
            found = CheckFact(at, None, text)
        except ApiError as error:
            log.warning("check %s of %s cannot be looked at: %s", check.name, target.ref, error)
            found = CheckFact(at, None, str(error))
        except ValueError as error:
            found = CheckFact(at, None, str(error))
        except Exception:  # it must not go unseen in a task that nobody awaits, and is no reason to look no more
            log.exception("check %s of %s ended in an error of the operator's own", check.name, target.ref)
            found = CheckFact(at, None, "it could not be looked at, by an error of the operator's own: see its log")
        text = masked(printable(found.text))[:LONGEST]
        return CheckFact(
            at, found.passes, text, found.valid_until, found.snapshot, found.missing_old, found.missing_new
        )

    async def _found(self, target: Target, check: PreflightCheck, at: float) -> CheckFact:
        namespace, api = target.ref.namespace, self._api.acting_as(target.behalf)
        if check.http is not None:
            [probe] = await self._probes.look_anew(target, [check.http])
            return CheckFact(at, probe.passes, probe.text)
        if check.tls_secret is not None:
            return await self._certificate(api, ObjectRef(SECRET, namespace, check.tls_secret.name), at)
        if check.backup_age is not None:
            snapshot = await self._snapshots.look(target, check.backup_age.volume_snapshot)
            return CheckFact(at, snapshot=snapshot)
        if check.resource_exists is not None:
            return await self._exists(api, check.resource_exists, namespace, at)
        if check.workload_ready is not None:
            return await self._ready(api, check.workload_ready, namespace, at)
        if check.env_vars is not None:
            defined = await self._environment.look(target, check.env_vars)
            passes, text = environment.says(defined)
            old, new = (defined.missing.get(side, ()) for side in (Side.OLD, Side.NEW))
            return CheckFact(at, passes, text, missing_old=old, missing_new=new)
        if check.capacity is not None:
            return await self._capacity(check.capacity, at)
        return CheckFact(at, None, "this release of the operator does not know how to look at it: update it")

    @staticmethod
    async def _certificate(api: KubeApi, ref: ObjectRef, at: float) -> CheckFact:
        try:
            data: dict[str, Any] = (await api.get(ref)).get("data") or {}
        except NotFound:
            return CheckFact(at, passes=False, text=f"{ref} does not exist: create it, or correct the name")
        if not data.get(_CERTIFICATE):
            return CheckFact(at, passes=False, text=f"{ref} has no key {_CERTIFICATE}: it is no Secret of type tls")
        try:
            until = valid_until(base64.b64decode(data[_CERTIFICATE]).decode("ascii"))
        except ValueError as error:
            return CheckFact(at, None, f"{ref}: {_CERTIFICATE} cannot be read: {error}")
        return CheckFact(at, None, f"the certificate of {ref}", valid_until=until)

    @staticmethod
    async def _exists(api: KubeApi, asked: ResourceExists, namespace: str, at: float) -> CheckFact:
        ref = ObjectRef(KindRef(asked.api_version, asked.kind), namespace, asked.name)
        try:
            found = await api.get(ref)
        except NotFound as error:
            return CheckFact(at, passes=False, text=f"{ref} does not exist: create it ({error})")
        if str(found["metadata"].get("namespace") or "") != namespace:
            text = f"{asked.kind} is a kind of the whole cluster, and a rollout looks at its own namespace alone"
            return CheckFact(at, None, text)
        if found["metadata"].get("deletionTimestamp"):
            return CheckFact(at, passes=False, text=f"{ref} is being deleted")
        return CheckFact(at, passes=True, text=f"{ref} exists")

    @staticmethod
    async def _ready(api: KubeApi, asked: WorkloadRef, namespace: str, at: float) -> CheckFact:
        ref = ObjectRef(KindRef(asked.resolved_api_version, asked.kind), namespace, asked.name)
        try:
            fact = workloads.read(await api.get(ref))
        except NotFound:
            return CheckFact(at, passes=False, text=f"{ref} does not exist: create it, or correct the name")
        if not fact.scalable:
            return CheckFact(at, fact.complete, f"{ref} is {'not suspended' if fact.complete else 'suspended'}")
        return CheckFact(at, fact.complete, f"{ref} has {fact.ready} of {fact.desired} replicas ready")

    async def _capacity(self, asked: Capacity, at: float) -> CheckFact:
        async with self._listing:
            now = asyncio.get_running_loop().time()
            if self._nodes is None or now - self._nodes[0] >= NODES_KEPT:
                listing = await self._api.list(NODE, project=capacity.project)
                self._nodes = now, listing.items
            passes, text = capacity.judge(asked, self._nodes[1])
        return CheckFact(at, passes, text)


def _stop(known: _Known | None) -> None:
    if known is not None and known.task is not None:
        known.task.cancel()


__all__ = ["Checks"]
