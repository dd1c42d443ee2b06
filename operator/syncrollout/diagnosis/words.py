"""What may be wrong, and how sure one can be of it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from syncrollout.api.words import Side


class Trouble(StrEnum):
    """What is looked for: five troubles of the systems, then their pods, then the operator's own."""

    SLOW = "slow"
    INCONSISTENT = "inconsistent"
    MEMORY = "memory"
    AUTH = "auth"
    DATABASE = "database"
    PODS = "pods"
    RIGHTS = "rights"
    PROMETHEUS = "prometheus"
    ROUTE = "route"
    HANDOVER = "handover"
    CLOCK = "clock"
    OPERATOR = "operator"
    CRD = "crd"


OF_SYSTEMS: Final = (Trouble.SLOW, Trouble.INCONSISTENT, Trouble.MEMORY, Trouble.AUTH, Trouble.DATABASE)


class Source(StrEnum):
    """Where a sign was seen. Signs of different sources support each other; two of one source are one sign."""

    METRICS = "metrics"
    PODS = "pods"
    LOGS = "logs"
    STATUS = "status"
    JOBS = "jobs"
    ROUTES = "routes"
    LEASE = "lease"
    CRD = "crd"


class Strength(IntEnum):
    """What a sign is worth. Proof: the trouble itself was seen. Strong: seldom there without it. Weak: often so."""

    WEAK = 1
    STRONG = 2
    PROOF = 3


class Certainty(StrEnum):
    """How sure. The rules stand in `sure`."""

    CERTAIN = "certain"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True)
class Sign:
    """One thing that was seen and tells of a trouble; `side` is None where it is of neither system."""

    trouble: Trouble
    strength: Strength
    source: Source
    text: str
    side: Side | None = None


def sure(signs: Iterable[Sign]) -> Certainty | None:
    """How sure one can be of a trouble by its signs; None without any.

    Certain: a proof, or strong signs of two sources. Likely: a strong sign, or weak ones of two. Possible: else.
    """
    seen = tuple(signs)
    strong = {sign.source for sign in seen if sign.strength >= Strength.STRONG}
    if len(strong) > 1 or any(sign.strength is Strength.PROOF for sign in seen):
        return Certainty.CERTAIN
    if strong or len({sign.source for sign in seen}) > 1:
        return Certainty.LIKELY
    return Certainty.POSSIBLE if seen else None


__all__ = ["OF_SYSTEMS", "Certainty", "Sign", "Source", "Strength", "Trouble", "sure"]
