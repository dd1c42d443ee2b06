"""Who obeys an epoch by its own word: the gauge that each worker exports, asked of the rollout's Prometheus. Pure.

    syncrollout_shards_epoch{uid="<uid of the pod>"}    the epoch that it obeys: of no slot it lost is an item in flight

A query gives one number, so the answers of many pods are put into one: of each pod two bits, the lower where it obeys,
the upper where it reports an epoch that does not exist yet. Epochs only rise and a uid is never used again, so an old
sample can delay a handover but never lie. Of a pod with several series (two containers, say) the lowest one counts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import Enum
from typing import Final

METRIC: Final = "syncrollout_shards_epoch"
BITS: Final = 2
MOST: Final = 24
"""Pods of one query: their bits fit exactly into the whole numbers of a float."""


class Ack(Enum):
    """What is known of one pod."""

    WAITING = 0
    OBEYS = 1
    AHEAD = 2


def query(uids: Sequence[str], epoch: int) -> str:
    """The PromQL for at most `MOST` pods: who reports the epoch, which is the latest, and who one after it."""
    parts = []
    for place, uid in enumerate(uids):
        series = f"{METRIC}{{uid={json.dumps(uid)}}}"
        bits = f"(min({series}) >= bool {epoch}) + {1 << (BITS - 1)} * (max({series}) > bool {epoch})"
        parts.append(f"(({bits}) * {1 << (BITS * place)} or vector(0))")
    return " + ".join(parts)


def answers(value: float, count: int) -> tuple[Ack, ...]:
    """What the number says of each of `count` pods, in their order."""
    bits = int(value)
    found = []
    for place in range(count):
        one = bits >> (BITS * place) & ((1 << BITS) - 1)
        found.append(Ack.AHEAD if one & Ack.AHEAD.value else Ack(one))
    return tuple(found)


__all__ = ["METRIC", "MOST", "Ack", "answers", "query"]
