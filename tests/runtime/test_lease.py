"""Leader election: one at a time, whatever happens to the leader. On virtual time."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest

from fakes.kube import Call, FakeKube
from syncrollout.ports import KindRef, NotLeading, Object, ObjectRef, PatchType, Unavailable
from syncrollout.runtime.lease import LeaderElector

pytestmark = [pytest.mark.looptime]

LEASE = ObjectRef(KindRef("coordination.k8s.io/v1", "Lease"), "ops", "syncrollout")


class Candidate:
    """An elector with a clock that can run ahead of the event loop: a process frozen by SIGSTOP sees that."""

    def __init__(self, kube: FakeKube, identity: str) -> None:
        self.frozen_for = 0.0
        self.story: list[str] = []
        self.quiet_for = -1.0
        """As it was when it began to lead."""
        self.started_at = -1.0
        self.elector = LeaderElector(
            kube.unguarded(),
            namespace="ops",
            identity=identity,
            on_started=self._start,
            on_lost=lambda: self.story.append("lost"),
            clock=lambda: asyncio.get_running_loop().time() + self.frozen_for,
            rng=random.Random(identity),
        )

    def _start(self) -> None:
        self.story.append("started")
        self.quiet_for, self.started_at = self.elector.quiet_for, asyncio.get_running_loop().time()

    def held(self) -> bool:
        return self.elector.held()


def spec(kube: FakeKube) -> Object:
    return dict((kube.read(LEASE) or {"spec": {}})["spec"])


async def start(*candidates: Candidate) -> None:
    for candidate in candidates:
        candidate.elector.start()
        await asyncio.sleep(0.1)


async def stop(*candidates: Candidate) -> None:
    for candidate in candidates:
        await candidate.elector.stop()


def cut_off(who: str) -> Callable[[Call], Awaitable[None]]:
    """A hook under which one identity's writes time out."""

    async def cut(call: Call) -> None:
        # A renewal names no holder; only the holder renews.
        if call.verb == "patch" and call.body["spec"].get("holderIdentity", who) == who:
            await asyncio.sleep(5)
            raise Unavailable("no answer within 5 s")

    return cut


async def test_one_leads_and_the_other_takes_over_within_seconds_of_a_clean_stop() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    await asyncio.sleep(120)
    assert (first.held(), second.held()) == (True, False)
    assert second.elector.holder == "first"
    await first.elector.stop()
    assert spec(kube)["holderIdentity"] == ""
    await asyncio.sleep(3.1)
    assert second.held()
    assert (first.story, second.story) == (["started", "lost"], ["started"])
    assert spec(kube)["leaseTransitions"] == 1
    await stop(second)


async def test_whoever_leads_next_knows_for_how_long_nobody_else_has_written() -> None:
    kube = FakeKube()
    first, second, third = Candidate(kube, "first"), Candidate(kube, "second"), Candidate(kube, "third")
    await start(first, second)
    assert first.quiet_for == 0, "nothing is known of what was before"
    await first.elector.stop()
    await asyncio.sleep(1.4)
    assert second.held()
    assert second.quiet_for == float("inf"), "it was given up after the last write"
    kube.before = cut_off("second")
    await start(third)
    await asyncio.sleep(16)
    assert third.held()
    assert third.quiet_for == 5, "the Lease has run out, and its holder has stopped five seconds before"
    await stop(second, third)


async def test_one_whose_claim_went_through_unheard_knows_no_more_of_what_was_before() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    lost: list[Call] = []

    async def lose_an_answer(call: Call) -> None:
        if call.verb == "patch" and call.body["spec"].get("holderIdentity") == "second" and not lost:
            lost.append(call)
            raise Unavailable("the connection broke")

    kube.before, kube.after = cut_off("first"), lose_an_answer
    await asyncio.sleep(20)
    assert lost
    assert second.held()
    assert 5 <= second.quiet_for < 7
    await stop(first, second)


async def test_nor_does_one_that_claimed_what_was_given_up_in_haste() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first)
    await first.elector.stop(clean=False)
    lost: list[Call] = []

    async def lose_an_answer(call: Call) -> None:
        if call.verb == "patch" and not lost:
            lost.append(call)
            raise Unavailable("the connection broke")

    kube.after = lose_an_answer
    before = asyncio.get_running_loop().time()
    await start(second)
    await asyncio.sleep(10)
    assert lost
    assert second.held()
    assert 0 <= second.quiet_for <= second.started_at - before
    await stop(second)


async def test_one_that_wins_its_own_lease_again_knows_that_nobody_else_has_written_since() -> None:
    kube = FakeKube()
    candidate = Candidate(kube, "first")
    await start(candidate)
    await asyncio.sleep(60)
    kube.before = cut_off("first")
    await asyncio.sleep(20)
    assert not candidate.held()
    kube.before = None
    await asyncio.sleep(10)
    assert candidate.story == ["started", "lost", "started"]
    assert candidate.quiet_for > 60
    await stop(candidate)


async def test_an_answer_that_nobody_could_foresee_does_not_end_the_election() -> None:
    kube = FakeKube()
    candidate = Candidate(kube, "first")
    await start(candidate)

    async def break_down(_: Call) -> None:
        raise KeyError("metadata")

    kube.after = break_down
    await asyncio.sleep(12)
    assert not candidate.held()
    assert "error of the operator's own: KeyError" in candidate.elector.problem
    kube.after = None
    await asyncio.sleep(2)
    assert candidate.held()
    await stop(candidate)


async def test_a_stop_that_cut_writes_short_says_so_to_the_next_one_and_costs_it_a_second() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    await first.elector.stop(clean=False)
    await asyncio.sleep(2.5)
    assert second.held()
    assert second.quiet_for == 0
    await stop(second)


async def test_a_lease_that_runs_out_is_taken_in_that_moment() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    await asyncio.sleep(20)
    kube.before = cut_off("first")
    renewed = max(call.at for call in kube.effects)
    await asyncio.sleep(renewed + 16.3 - asyncio.get_running_loop().time())
    assert second.held(), "its duration, and until the last renewal was seen"
    await stop(first, second)


async def test_holding_costs_one_write_every_five_seconds_and_nothing_else() -> None:
    kube = FakeKube()
    candidate = Candidate(kube, "first")
    await start(candidate)
    kube.log.clear()
    await asyncio.sleep(600)
    assert {call.verb for call in kube.log} == {"patch"}
    assert 119 <= len(kube.log) <= 121
    await stop(candidate)


async def test_a_leader_that_cannot_renew_lets_go_before_another_may_take_over() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    await asyncio.sleep(20)
    kube.before = cut_off("first")
    loop = asyncio.get_running_loop()
    lost_at = won_at = 0.0
    cut_at = loop.time()
    while not won_at and loop.time() < cut_at + 60:
        await asyncio.sleep(0.05)
        assert not (first.held() and second.held()), "two leaders"
        lost_at = lost_at or (0.0 if first.held() else loop.time())
        won_at = loop.time() if second.held() else 0.0
    assert won_at
    assert lost_at - cut_at <= 10.1
    assert won_at - lost_at >= 4.9, "time for requests in flight to end"
    assert won_at - cut_at <= 21, "and not much more than the Lease's duration"
    await asyncio.sleep(5)
    assert first.story == ["started", "lost"]
    await stop(first, second)


async def test_a_frozen_leader_knows_at_once_when_it_thaws() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    kube.may_write = first.held
    await start(first)
    await asyncio.sleep(7)
    assert first.held()
    first.frozen_for += 60
    assert not first.held(), "no code of its own has run since"
    with pytest.raises(NotLeading):
        await kube.create(ObjectRef(KindRef("v1", "ConfigMap"), "ops", "a"), {})
    await start(second)
    await asyncio.sleep(0.1)
    assert kube.all(KindRef("v1", "ConfigMap")) == []
    await stop(first, second)


async def test_an_edit_by_hand_or_a_lost_answer_does_not_unseat_the_leader() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    kube.edit(LEASE, {"metadata": {"labels": {"team": "ops"}}})
    await asyncio.sleep(30)
    lost = 0

    async def lose_some_answers(call: Call) -> None:
        nonlocal lost
        if call.verb == "patch" and lost < 3:
            lost += 1
            raise Unavailable("connection reset")

    kube.after = lose_some_answers
    await asyncio.sleep(60)
    assert lost == 3
    assert first.held()
    assert first.story == ["started"]
    await stop(first, second)


async def test_a_lease_taken_by_force_is_given_up_at_the_next_renewal() -> None:
    kube = FakeKube()
    first = Candidate(kube, "first")
    await start(first)
    kube.edit(LEASE, {"spec": {"holderIdentity": "somebody"}})
    await asyncio.sleep(5.1)
    assert not first.held()
    assert first.story == ["started", "lost"]
    assert first.elector.holder == "somebody"
    await asyncio.sleep(16)
    assert first.held(), "somebody never renewed"
    await stop(first)


async def test_a_deleted_lease_does_not_make_two_leaders() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    await asyncio.sleep(6)
    kube.delete(LEASE)
    for _ in range(200):
        await asyncio.sleep(0.1)
        assert not (first.held() and second.held()), "two leaders"
    assert first.held()
    await stop(first, second)


async def test_a_renewal_cut_by_the_stop_does_not_keep_the_next_one_waiting() -> None:
    kube = FakeKube()
    first, second = Candidate(kube, "first"), Candidate(kube, "second")
    await start(first, second)
    reached = asyncio.Event()

    async def hang(call: Call) -> None:
        if call.verb == "patch":
            kube.after = None
            reached.set()
            await asyncio.sleep(4)

    kube.after = hang
    await reached.wait()
    await first.elector.stop()
    assert spec(kube)["holderIdentity"] == ""
    await asyncio.sleep(3.1)
    assert second.held()
    await stop(second)


async def test_missing_rights_are_named() -> None:
    kube = FakeKube()
    kube.forbid("create", LEASE.kind)
    first = Candidate(kube, "first")
    await start(first)
    await asyncio.sleep(3)
    assert '"create"' in first.elector.problem
    kube.allow("create", LEASE.kind)
    await asyncio.sleep(2)
    assert first.held()
    assert first.elector.problem == ""
    await stop(first)


async def test_the_stop_of_a_leader_without_a_server_ends_all_the_same() -> None:
    kube = FakeKube()
    first = Candidate(kube, "first")
    await start(first)

    async def refuse(call: Call) -> None:
        raise Unavailable("gone")

    kube.before = refuse
    await stop(first)
    assert not first.held()


@pytest.mark.parametrize("seed", range(12))
async def test_under_random_faults_there_are_never_two_leaders_and_soon_one(seed: int) -> None:
    kube = FakeKube(latency=0.02)
    rng = random.Random(seed)
    candidates = [Candidate(kube, f"{seed}-{name}") for name in "abc"]

    async def trouble(call: Call) -> None:
        await asyncio.sleep(rng.choice([0, 0, 0.1, 1.0, 4.9]))
        if rng.random() < 0.4:
            raise Unavailable("no luck")

    await start(*candidates)
    kube.before, kube.after = trouble, trouble
    for _ in range(600):
        await asyncio.sleep(rng.uniform(0.1, 1.0))
        for candidate in candidates:
            if candidate.held() and rng.random() < 0.02:
                candidate.frozen_for += rng.uniform(1, 30)
        assert sum(candidate.held() for candidate in candidates) <= 1, "two leaders"
    kube.before = kube.after = None
    await asyncio.sleep(20)
    assert sum(candidate.held() for candidate in candidates) == 1
    await stop(*candidates)


@pytest.mark.parametrize("times", [(15, 10, 10), (10, 5, 10), (15, 0, 10)])
async def test_times_that_cannot_be_safe_are_refused(times: tuple[float, float, float]) -> None:
    with pytest.raises(ValueError, match="renewal interval < renewal deadline < lease duration"):
        LeaderElector(
            FakeKube(),
            namespace="ops",
            identity="first",
            lease_duration=times[0],
            renew_every=times[1],
            renew_deadline=times[2],
        )


async def test_a_write_rests_on_what_was_read() -> None:
    kube = FakeKube()
    first = Candidate(kube, "first")
    await start(first)
    await asyncio.sleep(20)
    renewals = [call for call in kube.effects if call.verb == "patch"]
    assert renewals
    for call in renewals:
        assert call.patch_type is PatchType.MERGE
        assert call.before is not None
        assert call.body["metadata"]["resourceVersion"] == call.before["metadata"]["resourceVersion"]
    await stop(first)
