"""Approvals: a phase with `approval: Required` ends once a person who may has said so, besides all else.

    (nothing)  -> asked       all else is met; told once, and again after `spec.approval.remind`, and so on
    any        -> given       by the annotation `approve`, or by an entry of spec.approvals that was not there before
    given      -> (nothing)   it is as old as `spec.approval.expires`, and the phase is still there: to be given anew

An approval is of one entering of one phase in one run: it is kept with when the phase had been entered, so that after a
step back, an edit of the weight, or in the next run it says nothing. One for another phase than the present one is told
and never counts later: nobody can judge a phase that has not run.

Who may: `approvers` of the phase, else those of spec.approval, else whoever may change the SyncRollout. The operator
compares the name that was given with the users. Who is in a group it cannot know: where groups are named, another name
is believed, for an admission policy can let only members through. Without one every name is only as true as who has
written it.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import Approval, GivenApproval, Persons, Phase, SyncRolloutSpec
from syncrollout.api.status import DIGEST_LENGTH, REQUEST_LENGTH, AskedStatus, SaidOfPhase, SyncRolloutStatus
from syncrollout.api.words import Reason, State
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, moment, one_line

TOLD_SINGLY: Final = 3
"""Entries of spec.approvals that count for nothing are told one by one up to so many, of one pass."""


@dataclass(frozen=True, slots=True)
class Given:
    """What people have approved as it stands now."""

    approvals: tuple[SaidOfPhase, ...] = ()
    taken: str = ""
    asked: AskedStatus | None = None
    notes: tuple[Note, ...] = ()


def approvers_of(spec: SyncRolloutSpec, phase: Phase) -> Persons:
    """Who may approve a phase."""
    return phase.approvers if phase.approvers is not None else spec.approval.approvers


def who_may(approvers: Persons) -> str:
    """The same in words."""
    if not approvers.named:
        return "whoever may change this SyncRollout"
    users = ", ".join(approvers.users)
    groups = f"a member of {' or '.join(approvers.groups)}" if approvers.groups else ""
    return " or ".join(part for part in (users, groups) if part)


def may_not(approvers: Persons, by: str) -> str:
    """Why this name may not approve, in words; empty where it may, as far as can be known from a name."""
    if not by:
        return "it does not say who approves; give syncrollout.io/requested-by with it"
    if not approvers.named or approvers.groups or by in map(one_line, approvers.users):
        return ""
    return f"{by} may not approve it: that is for {who_may(approvers)}"


def split(line: str) -> tuple[str, str]:
    """The phase that a request names, and the words after it."""
    phase, _, words = line.partition(":")
    return phase.strip(), words.strip()


def pointless(spec: SyncRolloutSpec, status: SyncRolloutStatus, line: str, by: str | None) -> str:
    """Why an approval makes no sense now, in words; empty where it does. `by`: None where who asks is not known yet."""
    return _unfit(spec, status, split(line)[0], by)


def _unfit(spec: SyncRolloutSpec, status: SyncRolloutStatus, name: str, by: str | None) -> str:
    phase = next((each for each in spec.phases if each.name == name), None)
    if phase is None:
        return f"there is no phase {name}; begin with its name and a colon"
    if phase.approval is not Approval.REQUIRED:
        return f"phase {name} asks for no approval"
    if elsewhere := not_the_present(status, name):
        return elsewhere
    return may_not(approvers_of(spec, phase), by) if by is not None else ""


def not_the_present(status: SyncRolloutStatus, name: str) -> str:
    """Why nothing can be said of this phase now, in words; empty where the run is in it."""
    if status.state is State.ROLLING_BACK:
        return "everything is going back"
    if not status.in_flight or status.phase is None:
        return "no run is under way"
    if status.phase.name != name:
        return f"the run is in phase {status.phase.name}, and not in {name}"
    return ""


def hear(
    spec: SyncRolloutSpec, status: SyncRolloutStatus, asked_for: str, by: str, now: float, *, deleting: bool
) -> Given:
    """What is approved now. `asked_for`: the request, which makes sense, or empty; `by`: whose it is."""
    if deleting:
        return Given(status.approvals, status.approvals_taken, status.approval_asked)
    kept, notes = status.approvals, []
    asked = status.approval_asked
    if (old := current(spec, status)) is not None and now >= round(old.at + spec.approval.expires, 3):
        kept = tuple(each for each in kept if each is not old)
        asked = None
        lasts = format_duration(spec.approval.expires)
        text = f"The approval of phase {old.phase} by {old.by} is older than {lasts}: it has to be given anew"
        notes.append(Note(Reason.APPROVAL_EXPIRED, text, "Warning", old.by))
    new: list[tuple[str, str]] = [(by, split(asked_for)[1])] if asked_for else []
    entries = {digest(each): each for each in spec.approvals}
    known = [each for each in remembered(status.approvals_taken) if each in entries]
    fresh = {mark: each for mark, each in entries.items() if mark not in known}
    ignored: list[str] = []
    for entry in fresh.values():
        why_not = _entry_unfit(spec, status, entry)
        if why_not:
            ignored.append(f"spec.approvals has one of phase {entry.phase} by {one_line(entry.by)}, and {why_not}")
        else:
            new.append((one_line(entry.by), one_line(entry.reason)))
    notes += [Note(Reason.REQUEST_IGNORED, text, "Warning") for text in ignored[:TOLD_SINGLY]]
    if len(ignored) > TOLD_SINGLY:
        text = f"{len(ignored) - TOLD_SINGLY} more of spec.approvals count for nothing now"
        notes.append(Note(Reason.REQUEST_IGNORED, text, "Warning"))
    for who, why in new:
        assert status.phase is not None
        phase = status.phase
        said = SaidOfPhase(phase=phase.name, entered=phase.entered, by=who, reason=clip(why, REQUEST_LENGTH), at=now)
        kept = (*(each for each in kept if each.phase != phase.name), said)
        notes.append(Note(Reason.APPROVED, _approved(spec, said, phase.label), by=who))
    return Given(kept, "".join([*known, *fresh]), asked, tuple(notes))


def _entry_unfit(spec: SyncRolloutSpec, status: SyncRolloutStatus, entry: GivenApproval) -> str:
    if entry.revision is not None and entry.revision != status.revision:
        return f"it is meant for revision {entry.revision}, and the run is one of {status.revision or 'none yet'}"
    return _unfit(spec, status, entry.phase, one_line(entry.by))


def _approved(spec: SyncRolloutSpec, said: SaidOfPhase, label: str) -> str:
    phase = next(each for each in spec.phases if each.name == said.phase)
    approvers = approvers_of(spec, phase)
    listed = not approvers.named or said.by in map(one_line, approvers.users)
    member = "" if listed else f", as {who_may(Persons(groups=approvers.groups))}"
    why = f": {said.reason}" if said.reason else ""
    until = moment(said.at + spec.approval.expires)
    return f"Phase {label} is approved by {said.by}{member}, until {until}{why}"


def digest(entry: GivenApproval) -> str:
    """What is remembered of an entry of spec.approvals while it is there."""
    text = "\0".join((entry.phase, entry.by, entry.reason, entry.revision or ""))
    found = hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(found).decode()[:DIGEST_LENGTH]


def remembered(taken: str) -> tuple[str, ...]:
    """The digests in status.approvalsTaken."""
    return tuple(taken[start : start + DIGEST_LENGTH] for start in range(0, len(taken), DIGEST_LENGTH))


def current(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> SaidOfPhase | None:
    """The approval of the present phase, where it asks for one and has it."""
    if not required(spec, status):
        return None
    return next((each for each in status.approvals if is_of_present(each, status)), None)


def required(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> bool:
    """Whether the run is in a phase that asks for an approval."""
    if not status.in_flight or status.phase is None or status.state is State.ROLLING_BACK:
        return False
    name = status.phase.name
    return any(each.name == name and each.approval is Approval.REQUIRED for each in spec.phases)


def is_of_present(said: SaidOfPhase | None, status: SyncRolloutStatus) -> bool:
    """Whether it was said of the present entering of the present phase."""
    phase = status.phase
    return said is not None and phase is not None and (said.phase, said.entered) == (phase.name, phase.entered)


def asks_anywhere(spec: SyncRolloutSpec) -> bool:
    """Whether any phase asks for an approval."""
    return any(each.approval is Approval.REQUIRED for each in spec.phases)


def expires(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> float | None:
    """When the approval of the present phase counts no more."""
    given = current(spec, status)
    return round(given.at + spec.approval.expires, 3) if given is not None else None


def left(changes: Mapping[str, object], status: SyncRolloutStatus) -> dict[str, object]:
    """What was said of a phase that is left, or of a run that has ended, is said of nothing any more. `changes`: of the
    status, as they are about to be recorded."""
    after = status.model_copy(update={name: changes[name] for name in ("phase", "in_flight") if name in changes})
    gone: dict[str, object] = {}
    asked, phase = status.approval_asked, after.phase
    if asked is not None and not (after.in_flight and phase is not None and phase.entered == asked.entered):
        gone["approval_asked"] = None
    if status.skipped is not None and not (after.in_flight and is_of_present(status.skipped, after)):
        gone["skipped"] = None
    return gone


__all__ = [
    "Given",
    "approvers_of",
    "asks_anywhere",
    "current",
    "digest",
    "expires",
    "hear",
    "is_of_present",
    "left",
    "may_not",
    "not_the_present",
    "pointless",
    "required",
    "split",
    "who_may",
]
