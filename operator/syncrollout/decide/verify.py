"""The share of traffic that reaches new, as `traffic.verify` reads it, held against the weight. Rules: `verifying.py`.

While routes mirror, nothing is verified: what counts requests at the backends would count the copies.
"""

from __future__ import annotations

from typing import Final

from syncrollout.api.spec import VERIFY, Phase, SyncRolloutSpec
from syncrollout.api.spec import Verify as VerifySpec
from syncrollout.api.status import VerifyStatus
from syncrollout.api.words import Unknown, Verdict
from syncrollout.decide.facts import Facts, Reading, ReadingKey

_NO_REQUESTS: Final = frozenset({Unknown.NO_DATA, Unknown.NOT_A_NUMBER})


def readings(spec: SyncRolloutSpec) -> frozenset[ReadingKey]:
    """What has to be read to verify: one reading, or none where nothing is verified."""
    verify = spec.traffic.verify
    return frozenset() if verify is None else frozenset({ReadingKey(verify.metric or VERIFY)})


def verified(spec: SyncRolloutSpec, phase: Phase) -> bool:
    """Whether a phase's share is verified."""
    return spec.traffic.verify is not None and not phase.mirrored


def judge(
    spec: SyncRolloutSpec, before: VerifyStatus | None, facts: Facts, weight: int, now: float
) -> VerifyStatus | None:
    """The share held against the weight that stands, percent; None where nothing is verified. `before`: as it was last
    judged; it says nothing once another weight stands."""
    verify = spec.traffic.verify
    if verify is None:
        return None
    if before is not None and before.weight != weight:
        before = None
    (key,) = readings(spec)
    reading = facts.readings.get(key, Reading(None, Unknown.NOT_ASKED, "not asked yet"))
    verdict, message = _verdict(verify, reading, weight)
    agreed = before.agreed if before is not None else None
    apart = before.apart_since if before is not None else None
    if verdict is Verdict.PASS:
        agreed, apart = agreed if agreed is not None else now, None
    elif verdict is Verdict.FAIL or agreed is None:
        apart = apart if apart is not None else now
    same = before is not None and (before.verdict, before.unknown) == (verdict, reading.unknown)
    return VerifyStatus(
        weight=weight,
        share=reading.value,
        verdict=verdict,
        unknown=reading.unknown,
        message=message,
        since=before.since if before is not None and same else now,
        agreed=agreed,
        apart_since=apart,
    )


def _verdict(verify: VerifySpec, reading: Reading, weight: int) -> tuple[Verdict, str]:
    if reading.value is None:
        hint = ""
        if reading.unknown in _NO_REQUESTS:
            hint = "; without requests there is no share: send some, or take traffic.verify out of the spec"
        return Verdict.UNKNOWN, f"the share of traffic that reaches new cannot be seen: {reading.message[:400]}{hint}"
    measured = f"{reading.value:.4g} % of the traffic reaches new, {weight} % is wanted"
    apart = abs(reading.value - weight) > verify.tolerance + 1e-9
    return (Verdict.FAIL if apart else Verdict.PASS), f"{measured} (within {verify.tolerance} points)"
