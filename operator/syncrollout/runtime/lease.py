"""Leader election on one Lease: small, and sure even when this process is frozen for a while.

- No wall clocks are compared. A candidate counts `leaseDurationSeconds` from when *it* saw the Lease change last.
- The holder counts `renew_deadline` from *before* it sent its last renewal, on a clock that goes on while the machine
  sleeps; `held()` turns false at that moment by itself, even if no code ran meanwhile. What it may still have in
  flight then ends within the margin lease_duration - renew_deadline, for requests are bounded by a time-out.
- Every claim carries the resourceVersion that it rests on, so two candidates never both win.
- Whoever leads next knows for how long, at least, nobody else can have sent anything (`quiet_for`): what was sent right
  before may still have its effect.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable
from datetime import UTC, datetime

from syncrollout.ports import (
    ApiError,
    Conflict,
    KindRef,
    KubeApi,
    NotFound,
    Object,
    ObjectRef,
    PatchType,
)

logger = logging.getLogger(__name__)

LEASE = KindRef("coordination.k8s.io/v1", "Lease")
RETRY_SECONDS = 1.0
"""After a renewal that failed; several fit before the deadline."""
LOOKS = 0.15, 0.25
"""Renewal intervals between two looks of a candidate: one that is given up is taken within about a second."""


def boottime() -> float:
    """Seconds on a clock that never jumps and goes on in suspend, where the system has one (Linux)."""
    return time.clock_gettime(getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))


class LeaderElector:
    """One candidate. `api` must let writes pass whoever leads (`AiohttpKubeApi.unguarded`).

    `on_started` and `on_lost` are called from the event loop, in turn; they must not block. All times in seconds;
    `renew_deadline` lies between `renew_every` and `lease_duration`, or ValueError. `seen`: a resourceVersion of the
    Lease and since when, by `clock`, it has stood unchanged, where that is known already.

    Where `shared`, several candidates have one identity and hold the Lease together, each as long as it has renewed it
    itself; none of them gives it up, for others may go on holding it. A renewal then rests on the identity alone: on
    the resourceVersion, the others' renewals would refuse it, and with a slow API server one time after the other.
    """

    def __init__(
        self,
        api: KubeApi,
        *,
        namespace: str,
        identity: str,
        name: str = "syncrollout",
        on_started: Callable[[], None] | None = None,
        on_lost: Callable[[], None] | None = None,
        lease_duration: float = 15.0,
        renew_every: float = 5.0,
        renew_deadline: float = 10.0,
        clock: Callable[[], float] = boottime,
        rng: random.Random | None = None,
        shared: bool = False,
        seen: tuple[str, float] = ("", 0.0),
    ) -> None:
        if not 0 < renew_every < renew_deadline < lease_duration:
            raise ValueError(
                f"leader election needs renewal interval < renewal deadline < lease duration, "
                f"not {renew_every:g} s, {renew_deadline:g} s, {lease_duration:g} s"
            )
        self.identity = identity
        self.holder = ""
        """Who leads as far as is known; empty for nobody."""
        self.problem = ""
        """Why the Lease cannot be read or written, in one sentence; empty while all is well."""
        self._api = api
        self._ref = ObjectRef(LEASE, namespace, name)
        self._on_started = on_started
        self._on_lost = on_lost
        self._duration = lease_duration
        self._renew_every = renew_every
        self._deadline = renew_deadline
        self._clock = clock
        self._rng = rng or random.Random()
        self._held_until = float("-inf")
        self._leading = False
        self._version = ""
        self._quiet_since = clock()
        self._shared = shared
        self._seen = seen
        self._task: asyncio.Task[None] | None = None

    def held(self) -> bool:
        """Whether this process leads at this very moment. Cheap: ask before every write."""
        return self._clock() < self._held_until

    @property
    def quiet_for(self) -> float:
        """Of one that leads: seconds for which nobody else has sent anything, as far as that is known; infinite where
        the one before has given the Lease up after its last write."""
        return self._clock() - self._quiet_since

    def start(self) -> None:
        """Begin to stand for election; a second call does nothing."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="lease")

    async def stop(self, *, clean: bool = True) -> None:
        """Stop leading, then give the Lease up so that another can take it at once; not `clean`, for writes were cut
        short: within a second or two, so that the next one knows of it. Never raises for the API server's sake: an
        unreachable one lets the Lease run out."""
        task, self._task = self._task, None
        if task is None:
            return
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        was_holder = self.held() and not self._shared
        self._stand_down("stopping")
        if was_holder:
            try:
                await self._release(clean=clean)
            except ApiError as error:
                said = "the Lease %s/%s could not be given up, it runs out in %g s: %s"
                logger.warning(said, self._ref.namespace, self._ref.name, self._duration, error)

    async def _release(self, *, clean: bool) -> None:
        nobody = {"holderIdentity": "" if clean else self.identity, "leaseDurationSeconds": 1, "renewTime": _now()}
        try:
            await self._write(nobody, self._version)
        except Conflict:
            # A renewal was cut short by the stop and has gone through all the same.
            lease = await self._api.get(self._ref)
            if _holder(lease) == self.identity:
                await self._write(nobody, str(lease["metadata"]["resourceVersion"]))

    async def _run(self) -> None:
        while True:
            sent_at = self._clock()
            try:
                wait = await self._step()
            except Exception as error:  # nobody would renew, and nobody be told; an answer of another shape, say
                logger.exception("leader election: an error of the operator's own")
                wait = self._trouble(ApiError(f"an error of the operator's own: {type(error).__name__}"))
            if self._leading and not self.held():
                self._stand_down(f"it was not renewed within {self._deadline:g} s ({self.problem or 'frozen?'})")
            spent = self._clock() - sent_at
            await asyncio.sleep(max(0.0, min(wait - spent, self._left())) if self._leading else wait)

    async def _step(self) -> float:
        """Seconds until the next one."""
        try:
            wait = await (self._renew() if self._leading else self._stand())
        except NotFound as error:
            # Of the Lease itself it means create; here its namespace or the whole kind is missing.
            return self._trouble(error)
        except Conflict:
            # Another candidate was quicker, or a person edited the Lease: who holds it now decides.
            return await self._look()
        except ApiError as error:
            return self._trouble(error)
        self.problem = ""
        return wait

    async def _renew(self) -> float:
        """As holder: one write, resting on what was written last."""
        sent_at = self._clock()
        if not self.held():
            return 0.0
        try:
            await self._prolong(sent_at)
        except NotFound:
            await self._create(sent_at)  # somebody deleted it; whoever is quicker leads
        return self._renew_every

    async def _stand(self) -> float:
        """As candidate: take the Lease if it is free, else wait."""
        try:
            lease = await self._api.get(self._ref)
        except NotFound:
            sent_at = self._clock()
            if self.holder and sent_at - self._seen[1] < self._duration:
                return RETRY_SECONDS  # deleted under a holder, who may still believe in it
            self._quiet_since = sent_at
            await self._create(sent_at)
            return self._renew_every
        self.holder = _holder(lease)
        free_in = self._free_in(lease)
        if free_in > 0.0:
            return min(free_in, self._renew_every * self._rng.uniform(*LOOKS))
        sent_at = self._clock()
        self._quiet_since = self._quiet(lease, sent_at)
        self._version = str(lease["metadata"]["resourceVersion"])
        if self._shared and self.holder == self.identity:
            await self._prolong(sent_at)
            return self._renew_every
        before = int((lease.get("spec") or {}).get("leaseTransitions") or 0)
        transitions = before + (self.holder != self.identity)
        await self._claim({**self._claimed(transitions), "acquireTime": _now(), "renewTime": _now()}, sent_at)
        return self._renew_every

    async def _create(self, sent_at: float) -> None:
        body = {"spec": {**self._claimed(0), "acquireTime": _now(), "renewTime": _now()}}
        self._take_over(await self._api.create(self._ref, body), sent_at)

    async def _look(self) -> float:
        """After a conflict: whose is it?"""
        sent_at = self._clock()
        try:
            lease = await self._api.get(self._ref)
        except ApiError as error:
            return self._trouble(error)
        self.holder = _holder(lease)
        self._free_in(lease)  # from when on it counts
        if self._leading and self.holder == self.identity:
            self._version = str(lease["metadata"]["resourceVersion"])  # only touched, by a person or a lost answer
            return 0.0
        if self._leading:
            self._stand_down(f"it is held by {self.holder or 'nobody'}")
        return max(0.0, RETRY_SECONDS * self._rng.uniform(0.5, 1.0) - (self._clock() - sent_at))

    def _free_in(self, lease: Object) -> float:
        """Seconds until it may be taken; 0 where it is nobody's, our own (an answer that came too late), or was not
        renewed for its whole duration as seen from here."""
        spec = lease.get("spec") or {}
        version = str(lease["metadata"]["resourceVersion"])
        now = self._clock()
        if self._seen[0] != version:
            self._seen = (version, now)
        if _holder(lease) in {"", self.identity}:
            return 0.0
        return max(0.0, self._seen[1] + float(spec.get("leaseDurationSeconds") or self._duration) - now)

    def _quiet(self, lease: Object, now: float) -> float:
        """Since when nobody else has sent anything, of a Lease that is free. Whoever let it run out has written nothing
        since its own deadline. That we stand in it ourselves says no more than was known when we claimed it (and its
        answer was lost, say); that we all do, nothing: another one may have claimed it, from somebody who led right
        before."""
        if not _holder(lease):
            return float("-inf")
        if _holder(lease) == self.identity:
            return now if self._shared else self._quiet_since
        spec = lease.get("spec") or {}
        return now - max(0.0, float(spec.get("leaseDurationSeconds") or self._duration) - self._deadline)

    async def _prolong(self, sent_at: float) -> None:
        """Renew what is held under our identity."""
        if not self._shared:
            await self._claim({"renewTime": _now()}, sent_at)
            return
        ours = {"op": "test", "path": "/spec/holderIdentity", "value": self.identity}
        renewed = {"op": "add", "path": "/spec/renewTime", "value": _now()}
        self._take_over(await self._api.patch(self._ref, [ours, renewed], PatchType.JSON, urgent=True), sent_at)

    async def _claim(self, spec: Object, sent_at: float) -> None:
        self._take_over(await self._write(spec, self._version), sent_at)

    async def _write(self, spec: Object, version: str) -> Object:
        patch = {"metadata": {"resourceVersion": version}, "spec": spec}
        return await self._api.patch(self._ref, patch, PatchType.MERGE, urgent=True)

    def _take_over(self, lease: Object, sent_at: float) -> None:
        """A write of ours has gone through."""
        self._version = str(lease["metadata"]["resourceVersion"])
        self._held_until = sent_at + self._deadline
        self.holder = self.identity
        if not self._leading and self.held():
            self._leading = True
            logger.info("the Lease %s/%s is held as %s", self._ref.namespace, self._ref.name, self.identity)
            _call(self._on_started)

    def _stand_down(self, why: str) -> None:
        self._held_until = float("-inf")
        if self._leading:
            self._leading = False
            logger.warning("the Lease %s/%s is not held any more: %s", self._ref.namespace, self._ref.name, why)
            _call(self._on_lost)

    def _trouble(self, error: ApiError) -> float:
        if self.problem != str(error):
            self.problem = str(error)
            logger.warning("trouble with the Lease %s/%s: %s", self._ref.namespace, self._ref.name, error)
        return RETRY_SECONDS * self._rng.uniform(0.5, 1.0)

    def _left(self) -> float:
        """Seconds until the deadline."""
        return max(0.0, self._held_until - self._clock())

    def _claimed(self, transitions: int) -> Object:
        return {
            "holderIdentity": self.identity,
            "leaseDurationSeconds": max(1, round(self._duration)),
            "leaseTransitions": transitions,
        }


def _holder(lease: Object) -> str:
    return str((lease.get("spec") or {}).get("holderIdentity") or "")


def _call(back: Callable[[], None] | None) -> None:
    """A callback that fails must not end the election: nobody would renew."""
    try:
        if back is not None:
            back()
    except Exception:
        logger.exception("leader election: a callback failed")


def _now() -> str:
    """For people who look at the Lease; nothing here reads it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
