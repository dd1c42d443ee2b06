"""Which part of all rollouts is whose, where several replicas of the operator act: pure functions.

A rollout belongs to one of `count` partitions, by its uid and nothing else, for as long as it lives. Partitions are
held by replicas, each by a Lease of its own; a replica has a seat (a small number, by a Lease too), by which the others
know that it is there. What `plan` says is a wish: the Leases alone decide, so that replicas that see things
differently for a while never act both.

The hash of a uid, and ranges of it, are those of the API server's own shard selectors: what a server would select and
what a replica acts for are the same. Why it is not asked for that part alone: docs/adr/scale-out.md
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final

MOST: Final = 64
"""Partitions at most: each is a Lease that somebody renews."""
_SPACE: Final = 1 << 64
_FNV_OFFSET: Final = 0xCBF29CE484222325
_FNV_PRIME: Final = 0x100000001B3


def fnv1a(text: str) -> int:
    """FNV-1a, 64 bits, of the text as UTF-8."""
    value = _FNV_OFFSET
    for byte in text.encode():
        value = (value ^ byte) * _FNV_PRIME % _SPACE
    return value


@lru_cache(maxsize=1 << 16)
def partition_of(uid: str, count: int) -> int:
    """The partition, from 0, of a rollout. Ranges are of one size; the last one takes what is left over."""
    return min(fnv1a(uid) // (_SPACE // count), count - 1) if count > 1 else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What each seat should do next. Nobody stands in both for one partition."""

    take: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """By seat: the partitions without a holder that it should stand for."""
    give: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    """By seat: those that it should give up, for others have too few."""
    quota: Mapping[int, int] = field(default_factory=dict)
    """By seat: how many it should hold."""

    @property
    def settled(self) -> bool:
        """Everything is where it belongs."""
        return not self.take and not self.give


def _quotas(count: int, held: Mapping[int, int]) -> dict[int, int]:
    """How many partitions each seat is to hold: as many as the others, or one more, which those have who hold most.
    `held`: how many each holds."""
    if not held:
        return {}
    each, more = divmod(count, len(held))
    ordered = sorted(held, key=lambda seat: (-held[seat], seat))
    return {seat: each + (rank < more) for rank, seat in enumerate(ordered)}


def plan(count: int, seats: Iterable[int], holders: Mapping[int, int | None]) -> Plan:
    """From who is there and who holds what to what each should do. `holders` has the partitions that are held: by
    which seat, None for somebody who has none (any more). All who see the same plan the same.

    Nothing moves but what must: a seat gives only what it has too much, and only partitions without a holder are taken.
    Of those each goes to the seat that is drawn to it most (rendezvous hashing) among those that have too few.
    """
    held: dict[int, list[int]] = {seat: [] for seat in sorted(seats)}
    for partition, seat in holders.items():
        if seat in held:
            held[seat].append(partition)
    quota = _quotas(count, {seat: len(each) for seat, each in held.items()})
    lack = {seat: quota[seat] - len(held[seat]) for seat in quota}
    take: dict[int, list[int]] = {}
    for partition in range(count):
        hungry = [seat for seat in quota if lack[seat] > 0]
        if partition in holders or not hungry:
            continue
        seat = max(hungry, key=lambda each: _drawn(each, partition))
        lack[seat] -= 1
        take.setdefault(seat, []).append(partition)
    give = {
        seat: tuple(sorted(sorted(held[seat], key=lambda each: _drawn(seat, each))[: -lack[seat]]))
        for seat in quota
        if lack[seat] < 0
    }
    return Plan({seat: tuple(each) for seat, each in take.items()}, give, quota)


@lru_cache(maxsize=1 << 12)
def _drawn(seat: int, partition: int) -> int:
    """How much a seat is drawn to a partition."""
    return int.from_bytes(hashlib.blake2b(f"{seat}/{partition}".encode(), digest_size=8).digest())


__all__ = ["MOST", "Plan", "fnv1a", "partition_of", "plan"]
