"""The faults that a person can ask for, where they strike, and how to tell that they can be seen from outside."""

from __future__ import annotations

from dataclasses import dataclass

from demo.scene import Scene
from demo.services.faults import Fault


@dataclass(frozen=True, slots=True)
class Injection:
    """``phase`` in which the fault strikes; ``visible`` says in words what counts as seen; ``end`` is the state that
    the rollout is expected to come to; ``spoils``: there is damage to the data, which must be found and mended."""

    fault: Fault
    phase: str
    visible: str
    end: str
    spoils: bool = False


INJECTIONS = {
    "errors": Injection(
        Fault.ERRORS, "medium-traffic", "Prometheus shows new's error-rate above 3 percent", "RolledBack"
    ),
    "slow": Injection(Fault.SLOW, "small-traffic", "Prometheus shows new's duration at 2 times old's", "RolledBack"),
    "crash": Injection(Fault.CRASH, "medium-traffic", "the API server shows no available pod of new", "RolledBack"),
    "nodata": Injection(Fault.NODATA, "small-traffic", "Prometheus has no reading of new's duration", "Holding"),
    "dataloss": Injection(
        Fault.DATALOSS,
        "medium-traffic",
        "Prometheus shows more than 3 listings that new has lost",
        "RolledBack",
        spoils=True,
    ),
}


def is_visible(injection: Injection, scene: Scene, since: float) -> float | None:
    """When the fault could first be seen from outside (seconds of time.monotonic); None while it cannot.

    For a crash that is the moment at which the API server told of it, for the others it is now.
    """
    if injection.fault is Fault.CRASH:
        gone = [moment.when for moment in scene.available() if moment.when >= since and moment.value == 0]
        return gone[0] if gone else None
    return scene.clock() if _shows(injection.fault, scene) else None


def _shows(fault: Fault, scene: Scene) -> bool:
    if fault is Fault.ERRORS:
        rate = scene.read("error-rate", "new")
        return rate is not None and rate > 3.0
    if fault is Fault.DATALOSS:
        lost = scene.read("lost-listings", "new")
        return lost is not None and lost > 3.0
    if fault is Fault.SLOW:
        new, old = scene.read("duration", "new"), scene.read("duration", "old")
        return new is not None and old is not None and old > 0 and new >= 2.0 * old
    return scene.read("duration", "new") is None
