"""One pass: observe, decide, act, record, and when to look again."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace

from syncrollout.act.perform import Performer, Target, workload_ref
from syncrollout.act.record import status_json
from syncrollout.api.words import Reason, Severity, State
from syncrollout.decide import criteria, finished_jobs, movement, own_jobs, reported, telling, verifications
from syncrollout.decide.actions import AddFinalizer, Decision, RemoveFinalizer, SetWeight
from syncrollout.decide.deliveries import Delivery
from syncrollout.decide.facts import Facts
from syncrollout.decide.machine import decide
from syncrollout.decide.unread import as_far_as_read
from syncrollout.observe.gather import Gatherer
from syncrollout.ports import (
    ApiError,
    Clock,
    Conflict,
    Forbidden,
    Invalid,
    KubeApi,
    NotFound,
    NotLeading,
    ObjectRef,
    Unavailable,
)
from syncrollout.runtime import waiting
from syncrollout.runtime.at_rest import AtRest
from syncrollout.runtime.beats import ROLLBACK_POLL, Beats
from syncrollout.runtime.logs import log_context
from syncrollout.runtime.recorder import Postman, Recorder, Storyteller, keep, phase_name
from syncrollout.runtime.refusals import note_refusal, with_invalid_spec
from syncrollout.runtime.rollouts import Key, Rollout, Rollouts
from syncrollout.runtime.starts import Starts

log = logging.getLogger(__name__)

ROUNDS = 12
"""Decisions in one pass, each on the outcome of the one before; more would be a loop."""
FOLLOWING_POLL = 1.0
QUICK_RETRIES = 3
FIRST_RETRY, LAST_RETRY, LAST_ROLLBACK_RETRY = 0.2, 30.0, 2.0
CLAIM_POLL, CLAIM_LOOKS = 0.5, 10
"""Seconds between looks, and how many of them, at who of two replicas' rollouts gives way."""
REPAIR_WINDOW, MOST_REPAIRS = 60.0, 15
"""Seconds in which repairs of drift are counted, and how many before the last one are remembered."""


@dataclass(frozen=True, slots=True)
class Result:
    """When to look again, in seconds from now; None for not before something happens."""

    delay: float | None
    rivals: tuple[Key, ...] = ()
    """Rollouts that may go on now that this one has ended, or has begun."""


class Reconciler:
    """Carries out passes. Holds no state of its own: all of it is in the rollouts and in the API server.

    `crowded` says whether many requests are under way already: what can wait had better. `namespaces` are those that
    rollouts are watched in; all where there is none. `look_around` takes in all rollouts of a namespace as they stand
    (all of them for the empty one); it is asked where other replicas act too.
    """

    def __init__(
        self,
        *,
        api: KubeApi,
        rollouts: Rollouts,
        gatherer: Gatherer,
        performer: Performer,
        story: Storyteller,
        postman: Postman | None = None,
        clock: Clock,
        forget: Callable[[str], None],
        crowded: Callable[[], bool] = lambda: False,
        namespaces: tuple[str, ...] = (),
        look_around: Callable[[str], Awaitable[None]] | None = None,
        rng: random.Random | None = None,
    ) -> None:
        self._api = api
        self._rollouts = rollouts
        self._gatherer = gatherer
        self._performer = performer
        self._recorder = Recorder(
            api=api, rollouts=rollouts, story=story, postman=postman, clock=clock, crowded=crowded
        )
        self._at_rest = AtRest(self._recorder, clock)
        self._postman = postman
        self._clock = clock
        self._beats = Beats(clock)
        self._forget = forget
        self._namespaces = namespaces
        self._look_around = look_around
        self._starts: Starts[Key] = Starts()
        self._rng = rng or random.Random()

    def abandon(self, which: Callable[[ObjectRef], bool] = lambda _: True) -> None:
        """This process leads no more, or no more for these rollouts."""
        if self._postman is not None:
            self._postman.abandon(which)

    def tells(self, which: Callable[[ObjectRef], bool]) -> bool:
        """Whether messages of these rollouts are on their way."""
        return self._postman is not None and self._postman.busy(which)

    def certain_in(self) -> float:
        """Seconds until nothing that was given up can still have an effect."""
        return self._performer.all_certain_in()

    def let_go(self, key: Key) -> tuple[Key, ...]:
        """Another replica acts for it from now on: nothing is watched or tried for it here. Answers who may begin
        in its place."""
        self._forget(str(key.ref))
        return self._starts.discard(key)

    async def reconcile(self, key: Key) -> Result:
        """One pass over one rollout. Never raises for what the API server or Prometheus can do wrong."""
        try:
            result = await self._reconcile(key)
        finally:
            called = self._starts.leave(key)
        return replace(result, rivals=(*result.rivals, *called))

    async def _reconcile(self, key: Key) -> Result:
        rollout = self._rollouts.get(key)
        if rollout is None:
            self._forget(str(key.ref))
            if self._postman is not None:
                self._postman.forget(key.ref)
            return Result(None)
        if rollout.at_rest and not rollout.deleting and not rollout.tells:
            return self._rest(rollout)
        ran = rollout.in_flight
        try:
            result = await self._rounds(rollout)
        except Conflict as error:
            log.info("the object was changed meanwhile, looking again: %s", error)
            return await self._look_again(rollout)
        except NotLeading:
            # The Lease may only have been renewed late: then nobody will say that this process leads again.
            return Result(FOLLOWING_POLL)
        except ApiError as error:
            return self._failed(rollout, error)
        if asyncio.get_running_loop().time() >= rollout.held_until:
            rollout.failures, rollout.held_until = 0, 0.0
        if rollout.in_flight is not ran:
            result = replace(result, rivals=(*result.rivals, *waiting.touched(self._rollouts, key)))
        return result

    def _rest(self, rollout: Rollout) -> Result:
        rivals = self._rollouts.rivals(rollout)
        self._recorder.catch_up(rollout)
        self._rollouts.unclaim(rollout.key)
        self._forget(str(rollout.key.ref))
        return Result(None, rivals)

    async def _resting(self, rollout: Rollout) -> Result:
        """Nothing of a rollout at rest is watched or decided; what is still to be told is told."""
        rest = self._rest(rollout)
        if not rollout.tells or rollout.spec is None or rollout.status is None:
            return rest
        due = await self._at_rest.tell(rollout, self._heard)
        return replace(rest, delay=None if due is None else max(0.0, due - self._clock.now()))

    def _deliveries(self, rollout: Rollout) -> Mapping[str, Delivery]:
        if self._postman is None or rollout.status is None or rollout.status.notifications is None:
            return {}
        return self._postman.found(rollout.key.ref, rollout.uid)

    def _heard(self, rollout: Rollout) -> telling.Heard:
        return telling.Heard(self._deliveries(rollout), mute=self._mute(rollout))

    def _mute(self, rollout: Rollout) -> bool:
        """Whether nothing more of it is begun to be sent here."""
        if self._postman is None:
            return False
        return self._postman.closing or rollout.partition in self._rollouts.leaving

    async def _look_again(self, rollout: Rollout) -> Result:
        rollout.failures += 1
        try:
            if not await self._read_again(rollout):
                return self._replaced(rollout)
        except ApiError as error:
            return self._failed(rollout, error)
        quick = rollout.failures <= QUICK_RETRIES
        return Result(0.0 if quick else self._backoff(rollout.failures - QUICK_RETRIES, LAST_RETRY))

    async def _read_again(self, rollout: Rollout) -> bool:
        """Take in the rollout as it stands at the API server; whether it is still there."""
        try:
            self._rollouts.put(await self._api.get(rollout.key.ref))
        except NotFound:
            self._rollouts.remove(rollout.key)
            return False
        rollout.starting = False
        return self._rollouts.get(rollout.key) is rollout

    def _replaced(self, rollout: Rollout) -> Result:
        """It is gone; one of the same name that was made since, and came in by our own look, is looked at now."""
        return Result(None if self._rollouts.get(rollout.key) is None else 0.0)

    def _failed(self, rollout: Rollout, error: ApiError) -> Result:
        """Try again later. Writes wait for that; judging, and the way back, go on at their own pace."""
        rollout.failures += 1
        going_back = rollout.status is not None and rollout.status.state is State.ROLLING_BACK
        delay = self._backoff(rollout.failures, LAST_ROLLBACK_RETRY if going_back else LAST_RETRY)
        if isinstance(error, Unavailable) and error.retry_after is not None and not going_back:
            delay = max(delay, min(error.retry_after, LAST_RETRY))
        with log_context(phase=phase_name(rollout.status)):
            log.warning("pass failed, next try in %.1f s: %s", delay, error)
        rollout.held_until = asyncio.get_running_loop().time() + delay
        return Result(self._beats.within(rollout, delay))

    def _backoff(self, failures: int, longest: float) -> float:
        return min(longest, FIRST_RETRY * 2.0 ** min(failures - 1, 12)) * self._rng.uniform(0.5, 1.0)

    async def _rounds(self, rollout: Rollout) -> Result:
        for _ in range(ROUNDS):
            if rollout.starting and not await self._read_again(rollout):
                return self._replaced(rollout)  # the write that began the run went unanswered: does it stand?
            rollout.parse()
            if rollout.status is None or rollout.spec is None:
                return await self._refuse(rollout)
            if rollout.at_rest and not rollout.deleting:
                return await self._resting(rollout)
            self._rollouts.claim(rollout)
            seen = rollout.seen
            decision = await self._decide(rollout)
            if self._rollouts.get(rollout.key) is not rollout:
                return Result(None)  # deleted meanwhile
            if rollout.seen is not seen and decision.status.state is not State.ROLLING_BACK:
                continue  # edited while Prometheus was asked: but for going back, go by what is wanted now
            waits = self._waits(rollout, decision)
            if waits is not None:
                return waits
            if not await self._may_begin(rollout, decision):
                continue
            if decision.status.state is State.ROLLED_BACK and rollout.in_flight and rollout.deleting:
                await self._performer.confirm_gone(self._target(rollout))
            try:
                again = await self._carry_out(rollout, decision)
            finally:
                rollout.claiming = False
            if self._rollouts.get(rollout.key) is not rollout:
                return Result(None)
            if not again:
                return Result(self._beats.after(rollout, decision))
        log.warning("%d decisions in one pass and no rest: looking again in %.0f s", ROUNDS, ROLLBACK_POLL)
        return Result(ROLLBACK_POLL)

    async def _may_begin(self, rollout: Rollout, decision: Decision) -> bool:
        """Whether a decision is carried out, as far as others are concerned; else it is decided anew."""
        if self._look_around is not None and not await self._knows_all(rollout, decision):
            return False
        return not _begins(rollout, decision) or self._claims(rollout, decision)

    async def _knows_all(self, rollout: Rollout, decision: Decision) -> bool:
        """Whether a run may begin on what is known. Other replicas may have let others begin: by the finalizer, which
        stands by now, they know of this one, and by what stands now this one knows of them. So of two that stand
        against each other at least one gives way."""
        if not rollout.has_finalizer:
            rollout.looked_around = False
        if rollout.looked_around or not decision.status.in_flight or rollout.in_flight or decision.urgent:
            return True
        assert self._look_around is not None
        pooled = rollout.spec is not None and rollout.spec.pool is not None
        await self._look_around("" if pooled else rollout.key.namespace)
        rollout.looked_around = rollout.has_finalizer
        return False

    def _stands_firm(self, rollout: Rollout, decision: Decision) -> Result | None:
        """Of two replicas' rollouts that are about to begin and know of each other, the one whose turn is first keeps
        its finalizer for a while, and the other one gives way."""
        gives_back = any(isinstance(action, RemoveFinalizer) for action in decision.actions)
        if self._look_around is None or rollout.deleting or rollout.in_flight or not gives_back:
            return None
        rivals = waiting.claimants(self._rollouts, rollout)
        if not rivals or any(waiting.before(other, rollout) for other in rivals) or rollout.gave_way >= CLAIM_LOOKS:
            rollout.gave_way = 0
            return None
        rollout.gave_way += 1
        return Result(CLAIM_POLL * self._rng.uniform(0.5, 1.5))

    def _claims(self, rollout: Rollout, decision: Decision) -> bool:
        """Whether a run may begin, or set its finalizer, after all. Asked again with no wait in between: of two that
        start at one moment, one is the first."""
        known = waiting.waited_for(self._rollouts, rollout, self._namespaces)
        turn_lost = known is not None and known.pool is not None and not known.pool.free
        if turn_lost or self._rollouts.taken(rollout):
            return False
        rollout.starting, rollout.claiming = decision.status.in_flight, True
        return True

    def _waits(self, rollout: Rollout, decision: Decision) -> Result | None:
        """Whether a decision is not carried out yet, and when it is looked at again."""
        wait = self._must_wait(rollout, decision)
        if wait > 0.0:
            return Result(self._beats.within(rollout, wait))
        if _begins(rollout, decision) and not self._starts.enter(rollout.key):
            return Result(self._beats.waiting(rollout))
        return self._stands_firm(rollout, decision)

    def _must_wait(self, rollout: Rollout, decision: Decision) -> float:
        """Seconds for which a decision is not carried out yet. The way back never waits."""
        if decision.urgent:
            return 0.0
        now = asyncio.get_running_loop().time()
        wait = rollout.held_until - now
        if rollout.in_flight and not decision.status.in_flight:
            # What was sent and given up, or by a process that is no more, may still arrive. While the run is open it is
            # put right.
            certain = max(rollout.certain_at - now, self._performer.certain_in(self._target(rollout)))
            return certain if decision.status.state is State.ROLLED_BACK else max(certain, wait)
        return wait

    async def _decide(self, rollout: Rollout) -> Decision:
        """What is true now. What does not rest on readings and cannot wait is decided before Prometheus has answered,
        or while it does not: it may hang for as long as its time-out."""
        facts = await self._facts(rollout)
        assert rollout.status is not None
        asked = self._gatherer.read(self._target(rollout), rollout.status, facts)
        if asked is None:
            return _on_all_routes(self._judge(rollout, facts), facts)
        answers = asyncio.get_running_loop().create_task(asked)
        try:
            while not answers.done():
                at_once = self._at_once(rollout, facts)
                if at_once is not None:
                    return at_once
                await asyncio.wait((answers, rollout.listen()), return_when=asyncio.FIRST_COMPLETED)
                rollout.parse()
                facts = await self._facts(rollout)  # as it is now: pods may have died meanwhile
        finally:
            answers.cancel()
        return _on_all_routes(self._judge(rollout, answers.result().on(facts)), facts)

    def _judge(self, rollout: Rollout, facts: Facts) -> Decision:
        assert rollout.spec is not None
        assert rollout.status is not None
        facts = replace(facts, mute=self._mute(rollout))  # as it is now: Prometheus may have been waited for
        return decide(rollout.spec, rollout.status, facts, self._clock.now())

    def _at_once(self, rollout: Rollout, facts: Facts) -> Decision | None:
        """A decision that needs no answers: the way back, and new's share put down to where it belongs. It is not
        put up before Prometheus was asked, which may want it down. On the way back slots may have to be waited for:
        who holds them is then awaited, as soon as nothing else is left to do or it has failed once."""
        assert rollout.spec is not None
        assert rollout.status is not None
        if not rollout.in_flight and not rollout.watched:
            return None
        decision = self._judge(rollout, facts)
        share = movement.share(rollout.spec, facts)
        lowers = all(isinstance(action, SetWeight) and action.weight < share for action in decision.actions)
        if not decision.urgent or not (decision.status.state is State.ROLLING_BACK or lowers):
            return None
        before = rollout.status
        waits = rollout.spec.traffic.shards is not None and before.state is State.ROLLING_BACK
        if waits and (rollout.failures or not decision.actions):
            return None
        seen = before.verify if decision.status.verify is not None else None
        judged, health = before.criteria, before.health
        said = {reported.key(severity) for severity in Severity} if before.reports or decision.status.reports else set()
        read = facts.readings.keys() | said | {finished_jobs.key(name) for name in facts.cron_jobs}
        read |= own_jobs.readings(rollout.spec, before).keys() | verifications.readings(rollout.spec, before).keys()
        if read:
            judged = as_far_as_read(rollout.spec, read, before.criteria, decision.status.criteria)
            health = criteria.health(judged)
        unread = {"criteria": judged, "health": health, "verify": seen}
        status = decision.status.model_copy(update=unread)
        return replace(decision, status=status)

    async def _facts(self, rollout: Rollout) -> Facts:
        assert rollout.spec is not None
        assert rollout.status is not None
        target = self._target(rollout)
        unread = await self._performer.settle_doubts(target)
        if rollout.status.state is State.ROLLING_BACK and rollout.status.reason is Reason.OLD_NOT_READY:
            # Traffic waits for old's pods: a watch that has fallen silent must not keep it waiting.
            await self._performer.refresh(target, workload_ref(rollout.spec.old, rollout.key.namespace))
        problems = self._rollouts.taken(rollout)
        if rollout.spec_problem is not None:
            problems = (rollout.spec_problem, *problems)
        facts = await self._gatherer.gather(
            target,
            rollout.status,
            generation=rollout.generation,
            deleting=rollout.deleting,
            has_finalizer=rollout.has_finalizer,
            problems=problems,
            refused=rollout.refused,
            recent_repairs=self._recent_repairs(rollout),
            requests=rollout.requests,
            requested_by=rollout.requested_by,
            hold=rollout.hold,
            reports=rollout.reports,
            attestations=rollout.attestations,
            unread=unread,
        )
        return replace(
            facts,
            gone_back=rollout.gone_back,
            waited_for=waiting.waited_for(self._rollouts, rollout, self._namespaces),
            deliveries=self._deliveries(rollout),
        )

    def _target(self, rollout: Rollout) -> Target:
        assert rollout.spec is not None
        return Target(rollout.key.ref, rollout.spec, rollout.resource_version, rollout.finalizers, rollout.uid)

    def _recent_repairs(self, rollout: Rollout) -> int:
        now = asyncio.get_running_loop().time()
        return sum(1 for at in rollout.repairs if now - at < REPAIR_WINDOW)

    async def _carry_out(self, rollout: Rollout, decision: Decision) -> bool:
        """Act and record in the order that the decision asks for; whether to decide again at once."""
        if decision.urgent:
            await self._act_first(rollout, decision)
        else:
            await self._recorder.record(rollout, decision)
            await self._act(rollout, decision)
        due = decision.next_due is not None and decision.next_due <= self._clock.now()
        return bool(decision.actions) or due

    async def _act_first(self, rollout: Rollout, decision: Decision) -> None:
        failed: ApiError | None = None
        try:
            await self._act(rollout, decision)
        except (NotLeading, asyncio.CancelledError):
            # Some of it may be done; whoever leads next may be this process.
            keep(rollout, decision)
            raise
        except ApiError as error:
            failed = error
        if not decision.lasting and failed is None and decision.actions:
            rollout.repairs = (*rollout.repairs[-MOST_REPAIRS:], asyncio.get_running_loop().time())
        if decision.lasting or failed is None:
            # A rollback is recorded even where the switch failed: it is decided, and goes on until it is done.
            try:
                await self._recorder.record(rollout, decision)
            except (Conflict, NotLeading):
                raise
            except ApiError as error:
                if failed is None:
                    raise
                raise failed from error  # where nothing can be written, what keeps traffic at new is what is told
        if failed is not None:
            raise failed

    async def _act(self, rollout: Rollout, decision: Decision) -> None:
        if not decision.actions:
            if rollout.refused is None or rollout.refused.reason is Reason.API_SERVER_FAILS:
                rollout.refused, rollout.refused_since = None, 0.0  # there is nothing left of what failed
            return
        try:
            changed = await self._performer.perform(self._target(rollout), decision.actions, urgent=decision.urgent)
        except (Forbidden, Invalid, Unavailable) as error:
            note_refusal(rollout, error, asyncio.get_running_loop().time())
            raise
        rollout.refused, rollout.refused_since = None, 0.0
        if changed is not None:
            if "deletionTimestamp" in changed["metadata"] and not changed["metadata"].get("finalizers"):
                self._rollouts.remove(rollout.key)
                self._forget(str(rollout.key.ref))
            else:
                self._rollouts.put(changed)

    async def _refuse(self, rollout: Rollout) -> Result:
        """The spec does not parse and there is no earlier one to go by: say so, touch nothing."""
        now = round(self._clock.now(), 3)
        status = with_invalid_spec(rollout, now)
        if status_json(status) != rollout.recorded:
            await self._recorder.record(rollout, Decision(status.model_copy(update={"refreshed": now}), write=True))
        return Result(None)


def _begins(rollout: Rollout, decision: Decision) -> bool:
    """Whether a run begins with this decision, or is about to."""
    if rollout.in_flight or decision.urgent:
        return False
    return decision.status.in_flight or any(isinstance(action, AddFinalizer) for action in decision.actions)


def _on_all_routes(decision: Decision, facts: Facts) -> Decision:
    """The decision, if it may rest on the routes that could be read: the way back alone. Raises Unavailable."""
    unread = next((problem for problem in facts.problems if problem.reason is Reason.ROUTE_UNREADABLE), None)
    if unread is not None and not decision.lasting:
        raise Unavailable(unread.message)
    return decision


__all__ = ["Reconciler", "Result"]
