"""What is posted to the receiver of alerts: refused in words, or taken in within bounds, and it wakes nobody else."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Iterator
from functools import cache

from pydantic import ValidationError

from decide.plans import parse, two_phases
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.decide import criteria
from syncrollout.observe.alerts import Payload, PushedAlerts

KEEP = 300.0
_MOST = 8
"""Alerts that are kept here, so that a small payload reaches the bound."""
_FIRING = {
    "status": "firing",
    "labels": {"alertname": "Loss", "namespace": "listings", "severity": "page"},
    "annotations": {"summary": "rows are lost"},
    "startsAt": "2030-01-01T10:00:10.5Z",
    "endsAt": "0001-01-01T00:00:00Z",
    "generatorURL": "http://prometheus/graph",
    "fingerprint": "c0ffee",
}


@cache
def _asking() -> SyncRolloutSpec:
    return parse(two_phases(rollback={"triggers": [{"severity": "Critical", "alert": "Loss"}]}))


def seeds() -> Iterator[bytes]:
    """Payloads as Alertmanager posts them."""
    head = {"version": "4", "groupKey": "{}", "status": "firing", "receiver": "syncrollout", "truncatedAlerts": 0}
    resolved = _FIRING | {"status": "resolved", "endsAt": "2030-01-01T10:05:00+09:00"}
    elsewhere = _FIRING | {"labels": {"alertname": "Loss", "namespace": "others"}}
    odd = _FIRING | {"startsAt": "0001-01-01T00:00:00+14:00", "endsAt": "9999-12-31T23:59:59-14:00"}
    for alerts in ([], [_FIRING], [_FIRING, resolved], [elsewhere], [odd], [_FIRING] * 12):
        yield json.dumps(head | {"alerts": alerts}).encode()


def try_payload(data: bytes) -> None:
    """The bytes are the body of a post that has the token."""
    try:
        payload = Payload.model_validate_json(data)
    except ValidationError:
        return
    asyncio.run(_take(payload))


async def _take(payload: Payload) -> None:
    pushed = PushedAlerts(keep=KEEP, most=_MOST, most_of_a_name=_MOST)
    asking = _asking()
    taken = pushed.take(payload, [("listings", "listings", asking), ("quiet", "quiet", parse(two_phases()))])
    assert taken.news + taken.repeated + taken.unasked == len(payload.alerts)
    assert set(taken.wake) <= {"listings"}, "a rollout that asks about no alert is woken by none"
    assert len(pushed) <= _MOST
    for reading in pushed.readings(asking, "listings", criteria.all_readings(asking)).values():
        assert reading.value is not None
        assert reading.value > 0
        assert math.isfinite(reading.value)
        assert reading.message.isprintable()
    again = pushed.take(payload, [("listings", "listings", asking)])
    assert again.unasked == taken.unasked, "the same payload a second time is not asked about any more or any less"


__all__ = ["seeds", "try_payload"]
