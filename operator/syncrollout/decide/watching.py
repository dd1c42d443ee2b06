"""After completion: for `rollback.keepWatching` triggers are judged on, and everything may still go back to old.

A rollout that is watched is Completed and Ready, holds no finalizer and no route: it may be deleted or edited, and its
next revision or another rollout may begin, which ends the watch. So does an edit of what it moves, for then nothing is
left that it could put back. It ends by itself at its time, but not while an incident is open.
"""

from __future__ import annotations

from syncrollout.api.fields import format_duration
from syncrollout.api.status import WatchStatus
from syncrollout.api.words import Reason, State
from syncrollout.decide import incidents, watch
from syncrollout.decide.outcome import Note, Outcome
from syncrollout.decide.view import View


def begins(v: View) -> WatchStatus | None:
    """The watch of a run that completes now; None where none is asked for."""
    if not v.spec.rollback.keep_watching:
        return None
    until = round(v.now + v.spec.rollback.keep_watching, 3)
    return WatchStatus(until=until, moves=watch.moves(v.spec), last_good_revision=v.status.last_good_revision)


def watched(v: View) -> Outcome | None:
    """The run has completed and is watched, or is not any more."""
    record = v.status.watch
    if record is None or v.status.state is not State.COMPLETED or v.run_asked:
        return None
    if not v.watched:
        taken = next((p for p in v.facts.problems if p.reason is Reason.ROUTE_TAKEN), None)
        why = taken.message if taken is not None else "spec.old, spec.new or spec.traffic was changed"
        return _ends(v, f"Watched no longer: {why}")
    if v.incident is not None and incidents.is_open(v.incident):
        return Outcome(
            State.COMPLETED,
            incidents.reason_of(v.incident),
            f"Completed, and watched: {incidents.says(v.spec, v.incident)}",
            next=incidents.coming(v.spec, v.incident),
        )
    if v.now >= record.until:
        return _ends(v, f"Watched for {format_duration(v.spec.rollback.keep_watching)}: the new system stays")
    message = f"Completed: new has {v.share} %; {watch.says(record)}"
    if v.status.reason is Reason.COMPLETED:
        message = v.status.message
    return Outcome(State.COMPLETED, Reason.COMPLETED, message, next=watch.says(record), due=record.until)


def _ends(v: View, message: str) -> Outcome:
    return Outcome(
        State.COMPLETED,
        Reason.COMPLETED,
        message,
        changes={"watch": None},
        notes=(Note(Reason.WATCH_ENDED, message),),
        due=v.now,  # the pass that finds it at rest lets go of what it looked at
    )
