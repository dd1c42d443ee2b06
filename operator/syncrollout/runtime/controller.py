"""The controller: rollouts come in, passes go out. Knows neither kopf nor HTTP; the composition root wires both."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Hashable, Iterable, Sequence
from functools import partial
from typing import Final, Protocol

from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import State
from syncrollout.observe import finished_jobs, pods, workloads
from syncrollout.ports import ACTING_FOR, ApiError, KubeApi, NotFound, Object, ObjectRef
from syncrollout.runtime import waiting
from syncrollout.runtime.logs import log_context
from syncrollout.runtime.queue import WorkQueue
from syncrollout.runtime.reconciler import Reconciler, Result
from syncrollout.runtime.rollouts import ROLLOUT, Key, Rollout, Rollouts

log = logging.getLogger(__name__)

ADOPTED_AT_ONCE: Final = 64
"""Rollouts that are looked at at one moment when leading begins, before more are."""
LONGEST_PAUSE: Final = 0.5
"""Seconds that the next wait for those before at most: Prometheus may hang, and some of them with it."""
FIRST_RETRY, LAST_RETRY = 0.2, 5.0
"""Seconds between attempts to list all rollouts when leading begins."""
FEW = 100
"""So many rollouts, at most, are read one by one where all are compared; more are listed."""
HAND_OVER_POLL = 0.1
"""Seconds between looks whether messages have arrived."""
AFTER_BUG = 30.0
"""Seconds before a rollout whose pass ended in an error of our own is tried again."""


class Observer(Protocol):
    """What the operator's own metrics want to know; `runtime.telemetry` has the real one."""

    def observe_status(self, namespace: str, name: str, status: SyncRolloutStatus) -> None:
        """A rollout's status after a pass."""
        ...

    def forget(self, namespace: str, name: str) -> None:
        """The rollout is gone."""
        ...

    def pass_done(self, seconds: float, lateness: float) -> None:
        """One pass has ended."""
        ...


class Keeper(Protocol):
    """Keeps what stands beside a rollout for people to look at; `act.monitoring` has the real one."""

    def seen(self, raw: Object) -> None:
        """A SyncRollout as it stands."""
        ...

    def gone(self, namespace: str, name: str) -> None:
        """It is no more."""
        ...

    def lead(self) -> None:
        """Begin to write."""
        ...

    def follow(self) -> None:
        """Stop writing."""
        ...


class Controller:
    """Takes in objects and changes, and runs passes while it leads."""

    def __init__(
        self,
        *,
        api: KubeApi,
        rollouts: Rollouts,
        reconciler: Reconciler,
        observer: Observer,
        concurrency: int,
        namespaces: tuple[str, ...] = (),
        monotonic: Callable[[], float] = time.perf_counter,
        keeper: Keeper | None = None,
    ) -> None:
        self._api = api
        self._rollouts = rollouts
        self._reconciler = reconciler
        self._observer = observer
        self._namespaces = namespaces
        self._monotonic = monotonic
        self._keeper = keeper
        self._shared = rollouts.partitions > 1
        self.queue: WorkQueue[Key] = WorkQueue(
            self._pass, concurrency=concurrency, admits=self._acts_for if self._shared else None
        )
        self.last_compared = 0.0
        """When all rollouts were last listed and compared, or an event of them came in; event loop's time."""
        self.compared = asyncio.Event()
        """All rollouts have been listed once."""
        self._comparing = asyncio.Lock()
        self._taking_over: asyncio.Task[None] | None = None
        self._looking: set[asyncio.Task[None]] = set()
        """Those that have what was taken over looked at: what is taken over next does not wait for that."""
        self._joining: dict[int, float] = {}
        """Partitions that are led as soon as all rollouts have been listed, and until when, loop time, what another
        process has sent for them may still have its effect."""
        self._unsure: dict[int, float] = {}
        """The same of all partitions that are led or about to be."""

    # ---- what comes in -----------------------------------------------------------------------------------------

    def seen(self, raw: Object) -> None:
        """A SyncRollout as the API server shows it."""
        self.last_compared = asyncio.get_running_loop().time()
        stood = self._standing(raw) if self._shared else ()
        rollout = self._rollouts.put(raw)
        if self._shared and rollout is not None and self._rollouts.foreign(rollout):
            self._seen_from_afar(rollout, changed=self._standing(raw) != stood)
            return
        self._keep(raw)
        if rollout is None:
            return
        if rollout.rests and rollout.status is None:
            rollout.pack()
            return  # at rest since before this process started, or since its last pass: nothing to decide
        rollout.parse_spec()
        self._rollouts.claim(rollout)  # at once: who is looked at first must know of all that came before
        rollout.wake()
        self.queue.add(rollout.key, urgent=rollout.speaks_against_new)

    def _seen_from_afar(self, rollout: Rollout, *, changed: bool) -> None:
        """News of a rollout that another replica acts for: it counts for those that wait for it."""
        if rollout.at_rest:
            rivals = self._rollouts.rivals(rollout) if changed else ()
            self._rollouts.unclaim(rollout.key)
            if rollout.rests:
                rollout.pack()
        else:
            rollout.parse_spec()
            self._rollouts.claim(rollout)
            rivals = self._rollouts.rivals(rollout) if changed else ()
        for key in (*rivals, *(waiting.touched(self._rollouts, rollout.key) if changed else ())):
            if self._acts_for(key):
                self.queue.add(key)

    def _standing(self, raw: Object) -> tuple[object, ...]:
        """What others may wait for of the rollout that an object is of, as known by now."""
        known = self._rollouts.get(_key(raw))
        if known is None:
            return ()
        status = known.seen.get("status") or {}
        return known.uid, known.in_flight, known.has_finalizer, known.at_rest, status.get("state"), status.get("reason")

    def _acts_for(self, key: Key) -> bool:
        """Whether this process acts for a rollout; for one that is gone there is nothing to do but to forget it."""
        rollout = self._rollouts.get(key)
        return rollout is None or not self._rollouts.foreign(rollout)

    def _keep(self, raw: Object) -> None:
        """Show the keeper the rollout as it is known now: an edit may have come in first with the answer to a write."""
        if self._keeper is None:
            return
        known = self._rollouts.get(_key(raw))
        if known is not None:
            # kopf lists all once more at the start: one at rest is not unpacked for what has just come in whole.
            same = known.resource_version == raw["metadata"].get("resourceVersion")
            self._keeper.seen(raw if same else known.raw)

    def gone(self, key: Key) -> None:
        """A SyncRollout that is no more."""
        rollout = self._rollouts.get(key)
        rivals = (*self._rollouts.rivals(rollout), *waiting.touched(self._rollouts, key)) if rollout is not None else ()
        if rollout is not None:
            rollout.wake()
        self._rollouts.remove(key)
        self._observer.forget(key.namespace, key.name)
        if self._keeper is not None:
            self._keeper.gone(key.namespace, key.name)
        self.queue.add(key)
        for rival in rivals:
            self.queue.add(rival)

    def changed(self, ref: ObjectRef, old: Object | None, new: Object | None) -> None:
        """A watched workload, service or route has changed."""
        if old is not None and new is not None and "replicas" in (new.get("spec") or {}):
            before, after = workloads.read(old), workloads.read(new)
            if before == after:
                return
        died = new is None or (old is not None and workloads.read(old).alive and not workloads.read(new).alive)
        for key in self._rollouts.users(ref):
            rollout = self._rollouts.get(key)
            if rollout is not None:
                rollout.wake()
            self.queue.add(key, urgent=died)

    def selected(self, users: Iterable[Hashable], old: Object | None, new: Object | None) -> None:
        """A pod that these rollouts count has changed, or a Job that they go by has ended; what has got worse is looked
        at before all else."""
        if (new or old or {}).get("kind") == finished_jobs.JOB.kind:
            if not finished_jobs.news(old, new):
                return
            worse = finished_jobs.worse(new)
        else:
            if old is not None and new is not None and not pods.differ(old, new):
                return
            worse = new is not None and pods.worse(old, new)
        for user in users:
            key = Key.of_user(str(user))
            rollout = self._rollouts.get(key)
            if rollout is not None:
                rollout.wake()
                self.queue.add(key, urgent=worse)

    def alerted(self, keys: Iterable[Key]) -> None:
        """Alerts that these rollouts ask about were pushed, or resolved: they look at once, before all others."""
        for key in keys:
            rollout = self._rollouts.get(key)
            if rollout is not None:
                rollout.wake()
                self.queue.add(key, urgent=True)

    def news(self, owner: ObjectRef) -> None:
        """There is news of this rollout's drill, or of its messages."""
        rollout = self._rollouts.get(Key(owner.namespace, owner.name))
        if rollout is not None:
            rollout.wake()
            self.queue.add(rollout.key)

    async def compare(self) -> None:
        """List all rollouts and put right what the watch has missed: kopf tells of no deletion that fell into a
        gap, and a watch can fall silent for ever. Of many that are known, names and versions alone are listed.
        Raises ApiError."""
        async with self._comparing:
            present: set[Key] = set()
            for namespace in self._namespaces or ("",):
                await self._take_in(namespace, present)
            for key in [rollout.key for rollout in self._rollouts if rollout.key not in present]:
                with contextlib.suppress(ApiError):
                    await self._look_at(key)  # made since the list was taken? Ask once more before forgetting it.
            self.last_compared = asyncio.get_running_loop().time()
            self.compared.set()

    async def look_around(self, namespace: str) -> None:
        """Take in all rollouts of a namespace, or of all that are watched where it is empty. Raises ApiError."""
        for each in (namespace,) if namespace else self._namespaces or ("",):
            await self._take_in(each, set())

    async def _take_in(self, namespace: str, present: set[Key]) -> None:
        """What has come since; all there are into `present`."""
        news = await self._news(namespace, present) if len(self._rollouts) > FEW else None
        if news is None or len(news) > FEW:
            # page by page: never is more than one of those in memory
            await self._api.list(ROLLOUT, namespace, project=partial(self._take, present))
            return
        for key in news:
            await self._look_at(key)

    async def _news(self, namespace: str, present: set[Key]) -> list[Key]:
        """Of which rollouts there is a later version than the one that is known; all there are into `present`."""
        news: list[Key] = []

        def look(names: Object) -> Object:
            key = _key(names)
            present.add(key)
            known = self._rollouts.get(key)
            if known is None or known.older_than(names):
                news.append(key)
            return {}

        await self._api.list(ROLLOUT, namespace, names_only=True, project=look)
        return news

    def _take(self, present: set[Key], raw: Object) -> Object:
        present.add(_key(raw))
        self.seen(raw)
        return {}

    async def _look_at(self, key: Key) -> None:
        """One rollout, past the watch. Raises ApiError, but where it is gone."""
        try:
            self.seen(await self._api.get(key.ref))
        except NotFound:
            self.gone(key)

    # ---- leading -----------------------------------------------------------------------------------------------

    def lead(self, partition: int = 0, *, unsure_for: float = 0.0) -> None:
        """Begin to act for a partition, as soon as all rollouts have been listed: what another leader has recorded in
        its last moment may not have come in by watch yet. For `unsure_for` seconds what it sent in its last moment may
        still have its effect: no run that was in flight then ends before."""
        self._joining[partition] = self._unsure[partition] = asyncio.get_running_loop().time() + unsure_for
        if self._taking_over is None or self._taking_over.done():
            self._taking_over = asyncio.create_task(self._take_over(), name="take over")

    def follow(self, partition: int = 0) -> None:
        """Stop acting for a partition; caches stay warm."""
        self._joining.pop(partition, None)
        self._unsure.pop(partition, None)
        self._rollouts.led.discard(partition)
        leads_on = bool(self._joining or self._rollouts.led)
        if not leads_on:
            for task in (self._taking_over, *self._looking):
                if task is not None:
                    task.cancel()
            self._taking_over = None
        if leads_on:
            self._reconciler.abandon(lambda ref: self._is_of(Key(ref.namespace, ref.name), partition))
            self.queue.abandon_some(lambda key: self._is_of(key, partition))
        else:
            if self._keeper is not None:
                self._keeper.follow()
            self._reconciler.abandon()
            self.queue.abandon()  # a pass that goes on might end in the next leadership, with what it saw in this one
        if self._shared:
            self._let_go(partition)

    async def hand_over(self, partition: int, grace: float) -> bool:
        """Come to an end with a partition, so that another replica can go on: messages on their way arrive and are
        recorded, and no more are begun; then passes end, and whatever was given up, here or by whoever acted before,
        has had its effect or never will. Whether that is so."""
        await asyncio.sleep(self._unsure.get(partition, 0.0) - asyncio.get_running_loop().time())
        self._rollouts.leaving.add(partition)
        try:
            for _ in range(round(grace / HAND_OVER_POLL)):
                if not self._reconciler.tells(lambda ref: self._tells(Key(ref.namespace, ref.name), partition)):
                    break
                await asyncio.sleep(HAND_OVER_POLL)
            self._joining.pop(partition, None)
            self._rollouts.led.discard(partition)  # from here on no pass begins
            clean = await self.queue.ended(lambda key: self._is_of(key, partition), grace)
        finally:
            self._rollouts.leaving.discard(partition)
        self._let_go(partition)
        await asyncio.sleep(self._reconciler.certain_in())
        return clean

    @property
    def certain(self) -> bool:
        """Whether nothing that another process has sent before this one led can still have its effect."""
        return max(self._unsure.values(), default=0.0) <= asyncio.get_running_loop().time()

    def _let_go(self, partition: int) -> None:
        """Nothing is done or told any more for the rollouts of a partition."""
        called: list[Key] = []
        for rollout in self._rollouts:
            if rollout.partition == partition:
                self.queue.discard(rollout.key)
                called += self._reconciler.let_go(rollout.key)
                self._observer.forget(rollout.key.namespace, rollout.key.name)
                if self._keeper is not None:
                    self._keeper.gone(rollout.key.namespace, rollout.key.name)
        for key in called:
            if self._acts_for(key):
                self.queue.add(key)

    def _of(self, key: Key, partition: int) -> Rollout | None:
        """The rollout, if it is known and of this partition."""
        rollout = self._rollouts.get(key)
        return rollout if rollout is not None and rollout.partition == partition else None

    def _is_of(self, key: Key, partition: int) -> bool:
        return self._of(key, partition) is not None

    def _tells(self, key: Key, partition: int) -> bool:
        """Whether a pass would take in what has come of a message: none looks at one that has nothing to tell."""
        rollout = self._of(key, partition)
        return rollout is not None and rollout.tells

    async def _take_over(self) -> None:
        while self._joining:
            joining, delay = dict(self._joining), FIRST_RETRY
            while True:
                try:
                    await self.compare()
                    break
                except ApiError as error:
                    log.warning("leading, but SyncRollouts cannot be listed; next try in %.1f s: %s", delay, error)
                except Exception:  # an answer of another shape, say: who gives up here leads and never acts
                    log.exception("leading, but SyncRollouts cannot be listed: an error of the operator's own")
                await asyncio.sleep(delay)
                delay = min(LAST_RETRY, 2.0 * delay)
            # one that was lost and won again meanwhile is listed once more
            certain_at = {each: at for each, at in joining.items() if self._joining.get(each) is at}
            for each in certain_at:
                del self._joining[each]
            self._rollouts.led |= certain_at.keys()
            adopted = [
                rollout
                for rollout in self._rollouts
                if rollout.partition in certain_at and self._adopt(rollout, certain_at[rollout.partition])
            ]
            look = asyncio.create_task(self._look_at_all(sorted(adopted, key=_haste)), name="look at all")
            self._looking.add(look)
            look.add_done_callback(self._looking.discard)

    def _adopt(self, rollout: Rollout, certain_at: float) -> bool:
        """Act for it from now on. Whether there is something to look at."""
        if self._shared and self._keeper is not None:
            self._keeper.seen(rollout.raw)
        if rollout.at_rest and not rollout.deleting and not rollout.tells:
            return False
        rollout.forget_decisions()
        rollout.certain_at = certain_at if rollout.in_flight else 0.0
        rollout.parse_spec()
        self._rollouts.claim(rollout)
        return True

    async def _look_at_all(self, adopted: Sequence[Rollout]) -> None:
        """Have these looked at, in this order. Those in flight wait for nobody, but where a thousand began at one
        moment nothing else would get its turn for seconds, the renewal of the Lease among it."""
        for number, rollout in enumerate(adopted, start=1):
            if self._rollouts.get(rollout.key) is rollout and rollout.partition in self._rollouts.led:
                self.queue.add(rollout.key, urgent=rollout.in_flight)
            if number % ADOPTED_AT_ONCE == 0:
                self.queue.start()
                await self.queue.fewer_than(ADOPTED_AT_ONCE, LONGEST_PAUSE)
        self.queue.start()
        if self._keeper is not None:
            self._keeper.lead()

    # ---- passes ------------------------------------------------------------------------------------------------

    async def _pass(self, key: Key, late: float) -> None:
        rollout = self._rollouts.get(key)
        started = self._monotonic()
        ACTING_FOR.set(rollout.uid if rollout is not None else "")
        with log_context(rollout=str(key), phase=_phase(rollout)):
            try:
                result = await self._reconciler.reconcile(key)
            except Exception:  # one rollout's bad luck must not end the operator
                log.exception("this pass ended in an error of the operator's own; next try in %.0f s", AFTER_BUG)
                result = Result(AFTER_BUG)
        self._observer.pass_done(self._monotonic() - started, late)
        for rival in result.rivals:
            self.queue.add(rival)
        if not self._acts_for(key):
            return
        if rollout is not None and rollout.status is not None and self._rollouts.get(key) is rollout:
            self._observer.observe_status(key.namespace, key.name, rollout.status)
        if result.delay is not None:
            if result.delay <= 0:
                self.queue.add(key)
            else:
                self.queue.schedule(key, result.delay)
        if rollout is not None and rollout.rests and key not in self.queue:
            rollout.pack()


def _haste(rollout: Rollout) -> int:
    """What goes back first, then what is under way."""
    state = (rollout.seen.get("status") or {}).get("state")
    if rollout.in_flight and (state == State.ROLLING_BACK.value or rollout.going_back_asked):
        return 0
    return 1 if rollout.in_flight else 2


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return Key(str(metadata.get("namespace", "")), str(metadata["name"]))


def _phase(rollout: Rollout | None) -> str:
    if rollout is None or rollout.status is None or rollout.status.phase is None:
        return ""
    return rollout.status.phase.name
