"""Which rollout is whose, and who holds what: pure functions."""

from __future__ import annotations

import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncrollout.runtime.partitions import MOST, fnv1a, partition_of, plan

_SPREAD = 0x9E3779B97F4A7C15F39CC0605CEDC835
UIDS = [str(uuid.UUID(int=number * _SPREAD % (1 << 128), version=4)) for number in range(4000)]
COUNTS = st.integers(1, 16) | st.just(MOST)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", 0xCBF29CE484222325),
        ("a", 0xAF63DC4C8601EC8C),
        ("foobar", 0x85944171F73967E8),
    ],
)
def test_the_hash_is_the_one_that_its_authors_publish(text: str, value: int) -> None:
    assert fnv1a(text) == value


@pytest.mark.parametrize(
    ("uid", "of_2", "of_4", "of_7"),
    [
        ("2f1c7d0e-8a53-4b0e-9c56-1f0d3f6c2a11", 0, 1, 2),
        ("9b7b1f52-6f0f-4d38-8f6e-0c5a0c8d1e22", 0, 0, 1),
        ("e0a4c7d3-5b1e-4f6a-8c2d-7f9b3a1d5e60", 0, 0, 0),
        ("abc", 1, 3, 6),
    ],
)
def test_vectors_as_the_api_server_s_own_code_has_them(uid: str, of_2: int, of_4: int, of_7: int) -> None:
    assert [partition_of(uid, count) for count in (1, 2, 4, 7)] == [0, of_2, of_4, of_7]


@pytest.mark.parametrize("count", [2, 3, 4, 8, 16])
def test_partitions_are_about_equal(count: int) -> None:
    sizes = [0] * count
    for uid in UIDS:
        sizes[partition_of(uid, count)] += 1
    assert max(sizes) < 1.25 * len(UIDS) / count
    assert min(sizes) > 0.75 * len(UIDS) / count


@given(count=COUNTS, uid=st.text(max_size=40))
def test_every_uid_has_one_partition_and_a_shard_selector_of_its_range_says_the_same(count: int, uid: str) -> None:
    mine = partition_of(uid, count)
    assert 0 <= mine < count
    selecting = [part for part in range(count) if _selects(_selector(part, count), uid)]
    assert selecting == [mine]


def _selector(partition: int, count: int) -> str:
    """What an API server would be given as `shardSelector` for one partition."""
    span = 2**64 // count
    low, high = partition * span, 2**64 if partition == count - 1 else (partition + 1) * span
    return f"shardRange(object.metadata.uid, '{low:#018x}', '{high:#018x}')"


def _selects(text: str, uid: str) -> bool:
    """What the API server makes of it."""
    _, low, high = text.removesuffix(")").split(", ")
    return int(low.strip("'"), 16) <= fnv1a(uid) < int(high.strip("'"), 16)


class Replicas:
    """Who is there and who holds what, with Leases that let nobody hold what another one holds."""

    def __init__(self, count: int) -> None:
        self.count = count
        self.seats: set[int] = set()
        self.holders: dict[int, int | None] = {}
        self.moved = 0

    def come(self, seat: int) -> None:
        self.seats.add(seat)

    def die(self, seat: int) -> None:
        """Its Leases run out."""
        self.seats.discard(seat)
        self.holders = {part: by for part, by in self.holders.items() if by != seat}

    def step(self, seat: int, *, seats: set[int], holders: dict[int, int | None]) -> bool:
        """One of them acts, on what it believes; whether anything came of it."""
        wish, before = plan(self.count, seats, holders), dict(self.holders)
        for part in wish.give.get(seat, ()):
            if self.holders.get(part) == seat:
                del self.holders[part]
                self.moved += 1
        for part in wish.take.get(seat, ()):
            self.holders.setdefault(part, seat)
        return self.holders != before

    def settle(self) -> int:
        """All act on what is true, in turn; how many rounds that took."""
        for rounds in range(10):
            stepped = [self.step(seat, seats=self.seats, holders=dict(self.holders)) for seat in sorted(self.seats)]
            if not any(stepped):
                return rounds
        raise AssertionError(f"never settled: {self.seats} {self.holders}")

    def even(self) -> bool:
        loads = [sum(by == seat for by in self.holders.values()) for seat in self.seats]
        return len(self.holders) == self.count and max(loads) - min(loads) <= 1


HELD = st.dictionaries(st.integers(0, 63), st.integers(0, 9))
CHANGES = st.lists(st.tuples(st.sampled_from(["come", "die"]), st.integers(0, 7)), min_size=1, max_size=12)


@settings(max_examples=40)
@given(count=COUNTS, changes=CHANGES)
def test_whoever_comes_and_goes_all_is_held_evenly_again_after_few_rounds(
    count: int, changes: list[tuple[str, int]]
) -> None:
    replicas = Replicas(count)
    for what, seat in changes:
        (replicas.come if what == "come" else replicas.die)(seat)
        if replicas.seats:
            assert replicas.settle() <= 3
            assert replicas.even()


@settings(max_examples=40)
@given(
    count=COUNTS,
    seats=st.sets(st.integers(0, 7), min_size=1),
    views=st.lists(st.tuples(st.integers(0, 7), st.sets(st.integers(0, 7)), st.integers(0, 3)), max_size=20),
)
def test_whatever_each_believes_they_settle_once_they_see_the_truth(
    count: int, seats: set[int], views: list[tuple[int, set[int], int]]
) -> None:
    replicas = Replicas(count)
    replicas.seats = set(seats)
    past: list[dict[int, int | None]] = [{}]
    for seat, believed, age in views:
        if seat in replicas.seats:
            replicas.step(seat, seats=believed | {seat}, holders=past[max(0, len(past) - 1 - age)])
            past.append(dict(replicas.holders))
    replicas.settle()
    assert replicas.even()


@settings(max_examples=40)
@given(count=COUNTS, seats=st.sets(st.integers(0, 7), min_size=2), seat=st.integers(0, 7))
def test_one_that_comes_moves_its_share_and_one_that_dies_nothing_of_the_others(
    count: int, seats: set[int], seat: int
) -> None:
    replicas = Replicas(count)
    replicas.seats = seats - {seat}
    replicas.settle()
    replicas.moved = 0
    replicas.come(seat)
    replicas.settle()
    assert replicas.moved == count // len(replicas.seats)
    replicas.moved = 0
    replicas.die(seat)
    replicas.settle()
    assert replicas.moved == 0


@given(count=COUNTS, seats=st.sets(st.integers(0, 7), min_size=1), held=HELD)
def test_a_plan_takes_what_nobody_holds_and_gives_what_is_its_own(
    count: int, seats: set[int], held: dict[int, int]
) -> None:
    holders: dict[int, int | None] = {part: by for part, by in held.items() if part < count}
    wish = plan(count, seats, holders)
    taken = [part for each in wish.take.values() for part in each]
    assert len(taken) == len(set(taken))
    assert not set(taken) & holders.keys()
    assert all(holders[part] == seat for seat, each in wish.give.items() for part in each)
    assert wish.take.keys() | wish.give.keys() <= seats
    assert not wish.take.keys() & wish.give.keys()
    assert sum(wish.quota.values()) == count


def test_somebody_without_a_seat_keeps_what_it_holds() -> None:
    wish = plan(4, {0, 1}, {0: None, 1: 0, 2: 1})
    assert sum(len(each) for each in wish.take.values()) == 1
    assert not wish.give
