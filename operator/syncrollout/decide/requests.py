"""What people ask for by annotations on the rollout, one for each verb. A value counts once.

The annotations belong to people (and to their Git): the operator never writes or removes them. It remembers in
status.requests the value that it has taken in last, and takes in one that differs; once the annotation is gone it is
forgotten, so that the same words count when they are said anew. What makes no sense at that moment is taken in all the
same and told: it never acts later, when its author has forgotten it. So is a value that says nothing.

With all of them goes one annotation more, `requested-by`: who asks. That is told, and kept with what has come of it.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Final

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import PERSON_LENGTH, REQUEST_LENGTH, RequestsStatus, RetryStatus, SyncRolloutStatus
from syncrollout.api.words import DrillMode, Reason, Request, Severity, State
from syncrollout.decide import approvals, by_hand, reported
from syncrollout.decide.facts import Facts
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, moment, one_line

CONTINUE: Final = "continue"
ROLLBACK: Final = "rollback"
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Heard:
    """What is asked for now and was not before, as far as it makes sense now; empty where nothing is."""

    by: str = ""
    """Who asks; empty where no name was given."""
    override: str = ""
    """Why the open incident is to be passed over."""
    decision: str = ""
    """`continue` or `rollback`: what a person has decided of the open incident."""
    decided: str = ""
    """The decision with all that was said with it."""
    rollback: str = ""
    """Why everything is to go back."""
    answer: str = ""
    """What is said to reports, after the number of the last one that it answers."""
    approve: str = ""
    """The phase that may end, and all that was said with it."""
    resume: str = ""
    """Why a hold is over."""
    skip: str = ""
    """The phase whose time is to be over, likewise."""
    drill: str = ""
    """That a drill begins, with all that was said with it."""
    ack: str = ""
    """What is said with the acknowledgement of trouble."""
    retry: RetryStatus | None = None
    """The next attempt that is asked for, now or earlier, and has not begun."""
    taken_in: RequestsStatus | None = None
    """All values taken in whose annotations are still there, these among them."""
    notes: tuple[Note, ...] = field(default=())


def remembered(value: str) -> str:
    """A value as it is kept in the status: one line, cut to a bounded length so that different ones stay different."""
    line = one_line(value)
    if len(line) <= REQUEST_LENGTH:
        return line
    digest = hashlib.sha256(line.encode("utf-8", "surrogatepass")).hexdigest()[:12]
    return f"{line[: REQUEST_LENGTH - len(digest) - 2]}… {digest}"


def name(requested_by: str) -> str:
    """A person's name as it is told and kept."""
    return clip(one_line(requested_by), PERSON_LENGTH)


def signed(by: str | None) -> str:
    """Who it is, to be said after something; empty where no name was given."""
    return f" by {by}" if by else ""


def fresh(requests: dict[Request, str], taken_in: dict[str, str]) -> dict[Request, str]:
    """The values that were not taken in yet; `taken_in` is status.requests as it stands on the wire."""
    lines = {request: remembered(value) for request, value in requests.items()}
    return {request: line for request, line in lines.items() if line != taken_in.get(key(request))}


def gone(requests: dict[Request, str], taken_in: dict[str, str]) -> set[str]:
    """The fields of status.requests that remember a value whose annotation is not there any more."""
    return set(taken_in) - {key(request) for request in requests}


def wants_back(asked: tuple[Request, str]) -> bool:
    """Whether one that was not taken in yet asks for everything to go back."""
    request, line = asked
    return (request is Request.ROLLBACK and bool(line)) or (request is Request.DECIDE and _first_word(line) == ROLLBACK)


def key(request: Request) -> str:
    """The field of status.requests in which its value is remembered."""
    return request.value.rpartition("/")[2]


def hear(spec: SyncRolloutSpec, status: SyncRolloutStatus, facts: Facts, now: float, *, active: bool) -> Heard:
    """What is asked for now. `active`: there is something that could go back. A rollout that is being deleted listens
    no more."""
    retry = status.retry if status.retry is not None and status.retry.revision == spec.revision else None
    before = status.requests or RequestsStatus()
    taken_in = before.model_dump(exclude_none=True)
    news, past = fresh(dict(facts.requests), taken_in), gone(dict(facts.requests), taken_in)
    by = name(facts.requested_by)
    if facts.deleting or not (news or past):
        return Heard(by=by, retry=retry, taken_in=status.requests)
    notes: list[Note] = []
    made: dict[str, str] = {}
    for request, line in sorted(news.items()):
        why_not = pointless(request, line, spec, status, active=active, by=by)
        if request is Request.RESUME and line:
            why_not = by_hand.still_held(status, facts.hold)
        if why_not:
            text = f"{request.value} says {clip(line, _SHOWN)!r}, and nothing was done: {why_not}"
            notes.append(Note(Reason.REQUEST_IGNORED, text, "Warning", by))
            continue
        made[key(request)] = line
        if request is Request.RETRY:
            retry = RetryStatus(revision=spec.revision, reason=line, asked=now, by=by or None)
            text = f"The next attempt at revision {spec.revision} was asked for{signed(by)}: {line}"
            notes.append(Note(Reason.RETRY_REQUESTED, text, by=by))
        if request is Request.ACK:
            notes.append(Note(Reason.ACKNOWLEDGED, f"The trouble is acknowledged{signed(by)}: {line}", by=by))
    decided = made.get(key(Request.DECIDE), "")
    return Heard(
        by=by,
        override=made.get(key(Request.OVERRIDE), ""),
        decision=_first_word(decided),
        decided=decided,
        rollback=made.get(key(Request.ROLLBACK), ""),
        answer=made.get(key(Request.ANSWER), ""),
        drill=made.get(key(Request.DRILL), ""),
        approve=made.get(key(Request.APPROVE), ""),
        skip=made.get(key(Request.SKIP), ""),
        resume=made.get(key(Request.RESUME), ""),
        ack=made.get(key(Request.ACK), ""),
        retry=retry,
        taken_in=_taken_in(before, news, past),
        notes=tuple(notes),
    )


def _taken_in(before: RequestsStatus, news: dict[Request, str], past: set[str]) -> RequestsStatus | None:
    now = dict.fromkeys(past) | {key(request): line for request, line in news.items()}
    after = before.model_copy(update=now)
    return after if after.model_dump(exclude_none=True) else None


def pointless(
    request: Request,
    line: str,
    spec: SyncRolloutSpec,
    status: SyncRolloutStatus,
    *,
    active: bool,
    by: str | None = None,
) -> str:
    """Why it makes no sense now, in words; empty where it does. `active`: there is something that could go back; `by`:
    who asks, None where that is not known yet."""
    status = status if active else _at_rest(status)
    if not line:
        return "it is empty; write why, for those who read the history later"
    match request:
        case Request.OVERRIDE:
            return _no_incident(status)
        case Request.DECIDE:
            return _no_incident(status) or _no_decision(line, status)
        case Request.ROLLBACK:
            if status.state is State.ROLLING_BACK:
                return "everything is going back already"
            return "" if status.in_flight or status.watch is not None else "no run is under way"
        case Request.DRILL:
            return _no_drill(line, status)
        case Request.RETRY:
            return _no_retry(spec, status)
        case Request.ACK:
            return _no_alarm(status)
        case Request.ANSWER:
            return reported.unanswerable(status, line) if active else "no run is under way"
        case Request.APPROVE:
            return approvals.pointless(spec, status, line, by)
        case Request.SKIP:
            return by_hand.no_skip(spec, status, line)
        case Request.RESUME:
            return by_hand.still_held(status, None)


def _no_retry(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> str:
    if status.state is not State.ROLLED_BACK:
        return "only a run that was rolled back can be tried again"
    if spec.revision != status.revision:
        return f"spec.revision is {spec.revision}, and the run that was rolled back is one of {status.revision}"
    return ""


def _at_rest(status: SyncRolloutStatus) -> SyncRolloutStatus:
    return status.model_copy(update={"incident": None, "watch": None, "in_flight": False})


def _no_alarm(status: SyncRolloutStatus) -> str:
    alarm = status.notifications.alarm if status.notifications is not None else None
    if alarm is None or alarm.ended is not None:
        return "there is no trouble that waits for an acknowledgement"
    return ""


def _no_incident(status: SyncRolloutStatus) -> str:
    if status.incident is None or status.state is State.ROLLING_BACK:
        return "no incident is open"
    if status.incident.overridden is not None:
        return f"the incident is overridden already: {status.incident.overridden}"
    return ""


def _no_decision(line: str, status: SyncRolloutStatus) -> str:
    word = _first_word(line)
    if word not in (CONTINUE, ROLLBACK):
        return "it has to begin with continue or rollback"
    if word == CONTINUE and status.incident is not None and status.incident.severity is Severity.HIGH:
        return f"the incident is of severity High: give a reason in {Request.OVERRIDE.value} instead"
    return ""


def drill_mode(line: str) -> DrillMode | None:
    """Which drill is asked for; None where none is."""
    return next((mode for mode in DrillMode if mode.value.lower() == _first_word(line)), None)


def _no_drill(line: str, status: SyncRolloutStatus) -> str:
    mode = drill_mode(line)
    if mode is None:
        return f"it has to begin with {' or '.join(each.value.lower() for each in DrillMode)}"
    if status.state is State.ROLLING_BACK:
        return "everything is going back, and that is no drill"
    if not status.in_flight and status.watch is None:
        return "no run is under way, and none is watched: there is nothing that could go back"
    if status.drill is not None and status.drill.running is not None:
        return f"a drill is under way already, since {moment(status.drill.running.started)}"
    return _no_live_drill(status) if mode is DrillMode.LIVE else ""


def _no_live_drill(status: SyncRolloutStatus) -> str:
    if status.state is not State.PROGRESSING or status.phase is None or status.phase.since is None:
        return (
            f"the rollout is {status.state.value}, and a live drill needs a phase that runs, with its weights standing"
        )
    if not status.phase.weight:
        return f"new has no traffic in phase {status.phase.name} that could go to old"
    if status.retired is not None:
        return "old is stopped: a live drill would have to start it, and to stop it again"
    if status.incident is not None and status.incident.overridden is None:
        return f"an incident is open: {status.incident.message}"
    return ""


def _first_word(line: str) -> str:
    return line.split(" ", 1)[0].strip(",;:.").lower()
