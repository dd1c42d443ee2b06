"""Several replicas hold the partitions: evenly, each by one of them, and never beside a replica of another opinion."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from fakes.kube import Call, FakeKube
from syncrollout.ports import KindRef, ObjectRef, Unavailable
from syncrollout.runtime.lease import LeaderElector
from syncrollout.runtime.membership import Membership, Timing

pytestmark = [pytest.mark.looptime]

LEASE = KindRef("coordination.k8s.io/v1", "Lease")
GROUP = ObjectRef(LEASE, "ops", "syncrollout")
LEASE_SECONDS = 15.0
TIMING = Timing(lease_duration=LEASE_SECONDS)


class Replica:
    """One, with what it was told, in order."""

    def __init__(self, kube: FakeKube, identity: str, count: int, timing: Timing = TIMING) -> None:
        self.story: list[str] = []
        self.gained: list[tuple[float, float]] = []
        """When it gained one, and for how long it was told that nobody else had sent anything."""
        self.frozen_for = 0.0
        self.hand_over_takes = 0.5
        self.membership = Membership(
            kube.unguarded(),
            namespace="ops",
            name="syncrollout",
            identity=identity,
            count=count,
            on_gained=self._gain,
            on_lost=lambda part: self.story.append(f"lost {part}"),
            hand_over=self._hand_over,
            timing=timing,
            clock=lambda: asyncio.get_running_loop().time() + self.frozen_for,
            rng=random.Random(identity),
        )

    def _gain(self, partition: int) -> None:
        self.story.append(f"gained {partition}")
        self.gained.append((asyncio.get_running_loop().time(), self.membership.quiet_for(partition)))

    async def _hand_over(self, partition: int) -> bool:
        self.story.append(f"hands over {partition}")
        elector = self.membership._standing[partition]
        await asyncio.sleep(self.hand_over_takes)
        lost = elector is not self.membership._standing.get(partition)
        assert lost or self.membership.held(partition), "it is held until nothing is done for it any more"
        return True

    async def die(self) -> None:
        """Nothing is given up; every task of it ends."""
        for elector in self._electors():
            elector._held_until = float("-inf")
        await self.membership.stop()

    def _electors(self) -> Iterator[LeaderElector]:
        yield from self.membership._standing.values()
        if self.membership._seat is not None:
            yield self.membership._seat[1]


@contextmanager
def never_two(replicas: list[Replica]) -> Iterator[None]:
    """Looked at all the while: no partition is held by two, and nobody acts beside one of another opinion."""

    async def look() -> None:
        while True:
            holding = [(each.membership.count, each.membership.holding) for each in replicas]
            counts = {count for count, parts in holding if parts}
            assert len(counts) <= 1, f"two opinions act: {holding}"
            parts = [part for _, mine in holding for part in mine]
            assert len(parts) == len(set(parts)), f"two hold one partition: {holding}"
            await asyncio.sleep(0.05)

    looking = asyncio.get_running_loop().create_task(look())
    try:
        yield
        assert not looking.done(), looking.exception()
    finally:
        looking.cancel()


def held(replicas: list[Replica]) -> list[int]:
    return sorted(len(each.membership.holding) for each in replicas)


async def settled(replicas: list[Replica], wanted: list[int], *, within: float) -> None:
    """Wait until each holds its part."""
    for _ in range(round(10 * within)):
        if held(replicas) == wanted:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"{held(replicas)} after {within:g} s, not {wanted}")


def _of_partition(call: Call, partition: int) -> bool:
    return f"-partition-{partition}-of-" in call.ref.name


async def _until(there: Callable[[], bool]) -> None:
    for _ in range(1200):
        if there():
            return
        await asyncio.sleep(0.05)
    raise AssertionError("not within a minute")


async def stop(replicas: list[Replica]) -> None:
    for each in replicas:
        await each.membership.stop()


async def test_those_that_come_are_handed_their_part_and_what_stops_or_dies_is_stood_in_for() -> None:
    kube = FakeKube()
    replicas = [Replica(kube, f"r{number}", 4) for number in range(3)]
    with never_two(replicas):
        replicas[0].membership.start()
        await settled(replicas, [0, 0, 4], within=3)
        replicas[1].membership.start()
        await settled(replicas, [0, 2, 2], within=8)
        replicas[2].membership.start()
        await settled(replicas, [1, 1, 2], within=8)
        assert sum(line.startswith("hands over") for each in replicas for line in each.story) == 3
        await replicas[0].membership.stop()
        await settled(replicas, [0, 2, 2], within=5)
        await replicas[1].die()
        before = asyncio.get_running_loop().time()
        await settled(replicas, [0, 0, 4], within=LEASE_SECONDS + 5)
        assert asyncio.get_running_loop().time() - before > LEASE_SECONDS / 2, "not before its Leases have run out"
    await stop(replicas)


async def test_more_replicas_than_partitions_stand_by_until_there_is_a_seat() -> None:
    kube = FakeKube()
    replicas = [Replica(kube, f"r{number}", 2) for number in range(3)]
    with never_two(replicas):
        for each in replicas:
            each.membership.start()
            await asyncio.sleep(1.0)
        await settled(replicas, [0, 1, 1], within=10)
        first = next(each for each in replicas if each.membership.holding)
        await first.membership.stop()
        await settled(replicas, [0, 1, 1], within=12)
    await stop(replicas)


async def test_of_another_number_of_partitions_none_acts_while_any_of_the_old_one_does() -> None:
    kube = FakeKube()
    old = [Replica(kube, f"old{number}", 2) for number in range(2)]
    new = [Replica(kube, f"new{number}", 4) for number in range(2)]
    with never_two([*old, *new]):
        for each in old:
            each.membership.start()
        await settled(old, [1, 1], within=10)
        for each in new:
            each.membership.start()
        await asyncio.sleep(2 * LEASE_SECONDS)
        assert held(new) == [0, 0]
        assert "2-partitions" in new[0].membership.problem
        await old[0].membership.stop()
        await asyncio.sleep(2 * LEASE_SECONDS)
        assert held(new) == [0, 0], "the last one goes on alone"
        await old[1].membership.stop()
        await settled(new, [2, 2], within=LEASE_SECONDS + 10)
    await stop(new)


async def test_of_those_that_respect_a_lease_for_another_time_none_acts_while_any_other_does() -> None:
    kube = FakeKube()
    replicas = [Replica(kube, "r0", 2), Replica(kube, "r1", 2, Timing(30.0, 5.0, 10.0))]
    with never_two(replicas):
        for each in replicas:
            each.membership.start()
            await settled(replicas, [0, 2], within=5)
        await asyncio.sleep(2 * LEASE_SECONDS)
        assert "2-partitions-15s" in replicas[1].membership.problem
        assert held(replicas[:1]) == [2]
        await replicas[0].membership.stop()
        await settled(replicas, [0, 2], within=LEASE_SECONDS + 5)
    await stop(replicas)


async def test_one_that_acts_alone_and_several_never_act_beside_one_another() -> None:
    kube = FakeKube()
    now = asyncio.get_running_loop().time
    alone = LeaderElector(kube.unguarded(), namespace="ops", identity="alone", clock=now, rng=random.Random(1))
    several = [Replica(kube, "r0", 2)]
    several[0].membership.start()
    await settled(several, [2], within=5)
    alone.start()
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert not alone.held()
    await several[0].membership.stop()
    await asyncio.sleep(LEASE_SECONDS + 3)
    assert alone.held()
    assert (kube.read(GROUP) or {})["spec"]["holderIdentity"] == "alone"
    several.append(Replica(kube, "r1", 2))
    several[1].membership.start()
    await asyncio.sleep(2 * LEASE_SECONDS)
    assert held(several) == [0, 0]
    await alone.stop()
    await settled(several, [0, 2], within=5)
    await stop(several)


async def test_one_that_was_frozen_holds_nothing_from_the_moment_it_thaws() -> None:
    kube = FakeKube()
    replica = Replica(kube, "r0", 2)
    replica.membership.start()
    await settled([replica], [2], within=5)
    replica.frozen_for = 60.0
    assert not replica.membership.holding
    await asyncio.sleep(6.0)
    assert {"lost 0", "lost 1"} <= set(replica.story)
    await settled([replica], [2], within=10)
    await stop([replica])


async def test_what_was_lost_while_it_was_handed_over_and_won_again_is_not_given_up_for_that() -> None:
    kube = FakeKube()
    replicas = [Replica(kube, f"r{number}", 2) for number in range(2)]
    replicas[0].hand_over_takes = 30.0
    replicas[0].membership.start()
    await settled(replicas, [0, 2], within=5)
    replicas[1].membership.start()
    await asyncio.sleep(8.0)
    [handed] = replicas[0].membership._leaving
    await replicas[1].membership.stop()
    replicas[0].membership._go_out()
    replicas[0].membership._come_in()
    await settled(replicas, [0, 2], within=5)
    elector = replicas[0].membership._standing[handed]
    await asyncio.sleep(40.0)
    assert replicas[0].membership._standing[handed] is elector
    assert elector.held()
    replicas[0].hand_over_takes = 0.5
    replicas[1] = Replica(kube, "r2", 2)
    replicas[1].membership.start()
    await settled(replicas, [1, 1], within=15)
    await stop(replicas)


async def test_what_was_lost_and_won_again_while_it_is_handed_over_is_not_begun_with_again() -> None:
    kube = FakeKube(latency=0.4)
    replicas = [Replica(kube, f"r{number}", 2) for number in range(2)]
    first = replicas[0].membership
    replicas[0].hand_over_takes = 30.0
    first.start()
    await settled(replicas, [0, 2], within=5)
    replicas[1].membership.start()
    await asyncio.sleep(8.0)
    [handed] = first._leaving
    elector = first._standing[handed]
    await _until(lambda: first._group._held_until - elector._held_until > 1.5)

    async def down(_: object) -> None:
        raise Unavailable("down")

    kube.before = down
    await _until(lambda: not elector._leading)
    kube.before = None
    with never_two(replicas):
        await settled(replicas, [1, 1], within=40)
    assert f"lost {handed}" in replicas[0].story
    assert replicas[0].story.count(f"gained {handed}") == 1
    given = [call.body["spec"] for call in kube.log if call.verb == "patch" and _of_partition(call, handed)]
    assert [spec["holderIdentity"] for spec in given if spec.get("leaseDurationSeconds") == 1] == ["r0"], (
        "somebody else may have acted in between: whoever is next is told that nothing is certain"
    )
    await stop(replicas)


async def test_one_that_joins_others_does_not_take_what_came_before_them_for_past() -> None:
    kube = FakeKube()
    now = asyncio.get_running_loop().time
    passing = Replica(kube, "r0", 2)
    passing.membership.start()
    await settled([passing], [2], within=5)
    await stop([passing])
    alone = LeaderElector(kube.unguarded(), namespace="ops", identity="alone", clock=now, rng=random.Random(1))
    alone.start()
    await asyncio.sleep(LEASE_SECONDS + 5)  # there are Leases of the partitions, and nobody holds them
    assert alone.held()
    await alone.stop(clean=False)
    stopped = now()
    replicas = [Replica(kube, f"r{number}", 2) for number in (1, 2)]
    for each in replicas:
        each.membership.start()
    await settled(replicas, [1, 1], within=20)
    for each in replicas:
        for at, quiet in each.gained:
            assert quiet <= at - stopped
    await stop(replicas)


async def test_a_stop_in_the_middle_of_giving_a_partition_up_gives_it_up() -> None:
    kube = FakeKube()
    replicas = [Replica(kube, f"r{number}", 2) for number in range(2)]
    replicas[0].membership.start()
    await settled(replicas, [0, 2], within=5)
    giving = asyncio.Event()

    async def slow(call: Call) -> None:
        if "-partition-" in call.ref.name and call.verb == "patch" and not call.body["spec"].get("holderIdentity", "x"):
            giving.set()
            await asyncio.sleep(0.3)

    kube.before = slow
    replicas[1].membership.start()
    await giving.wait()
    await asyncio.sleep(0.1)
    await replicas[0].membership.stop()
    await settled(replicas, [0, 2], within=5)
    await stop(replicas)


async def test_a_lease_that_is_deleted_gives_nobody_what_another_one_holds() -> None:
    kube = FakeKube()
    passing, *replicas = [Replica(kube, f"r{number}", 3) for number in range(3)]
    passing.membership.start()
    await settled([passing], [3], within=5)
    replicas[0].membership.start()
    await settled([passing, replicas[0]], [1, 2], within=15)
    await passing.membership.stop()
    await settled(replicas, [0, 3], within=10)
    replicas[
        1
    ].membership.start()  # it has the lower seat now, and one partition: another would be its, if one were free
    rng = random.Random(1)
    with never_two(replicas):
        await settled(replicas, [1, 2], within=15)
        for _ in range(24):
            await asyncio.sleep(rng.uniform(6, 12))
            holding = max((each.membership.holding for each in replicas), key=len)
            kube.delete(ObjectRef(LEASE, "ops", f"syncrollout-partition-{rng.choice(sorted(holding))}-of-3"))
            await asyncio.sleep(8)
            assert held(replicas) == [1, 2]
    await stop(replicas)


async def test_an_answer_that_nobody_could_foresee_does_not_end_the_looking() -> None:
    kube = FakeKube()
    replicas = [Replica(kube, f"r{number}", 2) for number in range(2)]
    for each in replicas:
        each.membership.start()
    await settled(replicas, [1, 1], within=20)

    async def break_down(call: Call) -> None:
        if call.verb == "list":
            raise KeyError("metadata")

    kube.after = break_down
    await asyncio.sleep(10)
    kube.after = None
    replicas[0].membership._go_out()
    replicas[0].membership._come_in()
    await settled(replicas, [0, 1], within=1)
    await settled(replicas, [1, 1], within=20)
    await stop(replicas)


@pytest.mark.parametrize("seed", [0, 9, 25, 60, 99, 103])
async def test_however_slow_the_api_server_all_is_held_evenly_and_a_death_moves_only_what_the_dead_one_held(
    seed: int, caplog: pytest.LogCaptureFixture
) -> None:
    rng = random.Random(seed)
    most = rng.choice([0.1, 0.5, 1.0, 2.0])

    async def slow(_: object) -> None:
        await asyncio.sleep(rng.uniform(0, most))

    kube = FakeKube()
    kube.before = kube.after = slow
    replicas = [Replica(kube, f"r{seed}-{number}", 4) for number in range(3)]
    with never_two(replicas):
        for each in replicas:
            each.membership.start()
            await asyncio.sleep(rng.uniform(0, 2))
        await settled(replicas, [1, 1, 2], within=60)
        await asyncio.sleep(10)
        assert held(replicas) == [1, 1, 2]
        dead = replicas.pop(rng.randrange(3))
        before = [len(each.story) for each in replicas]
        await dead.die()
        await settled(replicas, [2, 2], within=80)
        await asyncio.sleep(10)
        for each, told in zip(replicas, before, strict=True):
            assert all(line.startswith("gained") for line in each.story[told:]), each.story
    assert not [record.message for record in caplog.records if record.levelname == "ERROR"]
    kube.before = kube.after = None
    await stop(replicas)
