"""Rules by which a phase waits for traffic to follow the weights, where `traffic.verify` says how to see it.

Before it was seen in a phase, nothing counts but a share within the tolerance: the phase's time does not begin, and
after the timeout the phase holds and says why. Once it was seen, only a share that is measured to be elsewhere for the
timeout holds the phase: that no requests come at night says nothing against a router that obeyed in the evening.

Nothing here stands in the way back. Once everything stands at old, the rollback stays open until traffic was seen to be
back, for the timeout at most: meanwhile weights that somebody moves are put right, as in any rollback. Then it ends and
says what was seen. A share that cannot be seen is waited for no longer than a hiccup lasts.
"""

from __future__ import annotations

from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, VerifyStatus
from syncrollout.api.words import Reason, State, Verdict
from syncrollout.decide import verify
from syncrollout.decide.outcome import Outcome, hold, resumes
from syncrollout.decide.view import View

UNSEEN_FOR: Final = 10.0
"""Seconds after a rollback for which a share that cannot be seen is asked for again: nothing is learned by waiting for
a Prometheus that does not answer, and a hiccup passes in less."""


def waits(v: View) -> Outcome | None:
    """The weights of the phase stand, and the traffic was not seen to follow yet."""
    seen = v.verify
    if seen is None or seen.agreed is not None or v.status.phase is None:
        return None
    held = strays(v)
    if held is not None:
        return held
    return Outcome(
        State.PROGRESSING,
        Reason.VERIFYING,
        f"Phase {v.status.phase.label}: the weights stand, and traffic has yet to follow: {seen.message}",
        notes=resumes(v),
        next=v.status.next,
        due=patience_ends(v),
    )


def strays(v: View) -> Outcome | None:
    """The traffic has been elsewhere for longer than the timeout, or could not be seen in it."""
    seen, ends = v.verify, patience_ends(v)
    if seen is None or seen.apart_since is None or ends is None or v.now < ends or v.status.phase is None:
        return None
    label, lasted = v.status.phase.label, format_duration(v.now - seen.apart_since)
    if seen.share is None:
        why = f"whether traffic follows the weights is not known after {lasted}: {seen.message}"
        return hold(v, Reason.SHARE_UNKNOWN, f"Phase {label} holds: {why}")
    why = (
        f"the router does not obey: {_say(v.spec)} {seen.weight} % to new, and for {lasted} another share of the "
        f"traffic has reached it, {seen.share:.4g} % now; look at the router's controller and its log"
    )
    return hold(v, Reason.ROUTER_DISOBEYS, f"Phase {label} holds: {why}")


def patience_ends(v: View) -> float | None:
    """When a share that does not agree makes the phase hold."""
    asked, seen = v.spec.traffic.verify, v.verify
    if asked is None or seen is None or seen.apart_since is None:
        return None
    return round(seen.apart_since + asked.timeout, 3)


def _say(spec: SyncRolloutSpec) -> str:
    traffic = spec.traffic
    names = [str(route) for route in traffic.routes]
    if traffic.replicas is not None:
        names = [f"{side.workload}" for side in (spec.old, spec.new)]
    elif traffic.shards is not None:
        names.append(f"ConfigMap {traffic.shards.config_map}")
    if len(names) == 1:
        return f"{names[0]} says"
    return f"{', '.join(names[:-1])} and {names[-1]} say"


def back(v: View, cause: RollbackStatus) -> Outcome | RollbackStatus | str:
    """Everything stands at old: whether the traffic is back too. An outcome while that is waited for; else the rollback
    with the time at which it was seen, or a half sentence that says what was not."""
    asked = v.spec.traffic.verify
    if asked is None or v.facts.deleting:
        return cause
    if cause.confirmed is None:
        # Recorded before it is waited for, so that the time does not begin anew with every restart.
        return _still(v, cause.model_copy(update={"confirmed": v.now}), None, due=v.now)
    seen = verify.judge(v.spec, v.status.verify, v.facts, 0, v.now)
    assert seen is not None
    if seen.verdict is Verdict.PASS:
        return cause.model_copy(update={"verified": v.now})
    patience = asked.timeout if seen.verdict is Verdict.FAIL else min(asked.timeout, UNSEEN_FOR)
    ends = round(cause.confirmed + patience, 3)
    if v.now < ends:
        return _still(v, cause, seen, due=ends)
    if seen.verdict is Verdict.FAIL:
        after = format_duration(v.now - cause.confirmed)
        return f"but the router does not obey: after {after}, {seen.share:.4g} % of the traffic still reaches new"
    return f"whether traffic followed was not seen: {seen.message}"


def _still(v: View, cause: RollbackStatus, seen: VerifyStatus | None, *, due: float) -> Outcome:
    message = f"Rolling back: everything stands at old, traffic is watched until it follows. Cause: {cause.message}"
    return Outcome(
        State.ROLLING_BACK,
        cause.reason,
        message,
        changes={"rollback": cause, "verify": seen},
        next="all traffic at old",
        due=due,
    )
