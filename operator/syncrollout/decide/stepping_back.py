"""The rule by which a failing phase gives way to the one before it, where its `onFailure` is StepBack.

Traffic first, like a rollback: weights are put down before it is recorded, and what is decided stays decided though it
cannot be written. From there it is the way forward again, from the phase before: its weights settle (slots change hands
fenced), an old that was stopped is brought back, the phase's time begins anew. Where that is not safely possible (the
first phase, too many steps back in this run, something that a person has to mend, an old without pods) everything goes
back instead.
"""

from __future__ import annotations

from typing import Final

from syncrollout.api.spec import OnFailure
from syncrollout.api.status import CriterionStatus, StepBackStatus
from syncrollout.api.words import Reason, Role, State
from syncrollout.decide import going_back, incidents, movement
from syncrollout.decide.autoscaling import autoscaled
from syncrollout.decide.outcome import Note, Outcome, next_text
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View, phase_status


def steps_back(v: View) -> Outcome | None:
    """A criterion speaks against new in a phase whose onFailure is StepBack, and there is a phase to step back to."""
    breach = v.breach()
    if not v.status.in_flight or breach is None or breach.role is Role.TRIGGER or v.phase is None:
        return None
    if v.phase.on_failure is not OnFailure.STEP_BACK or not _can(v):
        return None
    return _step(v, breach)


PATIENCE: Final = 60.0
"""Seconds in which the weights of a step back have to stand; after that everything goes back."""
PATIENCE_WITH_A_PROBLEM: Final = 10.0
"""The same, where a person has to mend something first: what moves forward would wait for that."""


def cannot_step_back(v: View) -> Outcome | None:
    """A step back was decided, and the weights do not follow: new keeps what it failed with. All goes back then, for
    that is not kept from anything by what a person has to mend. An old that was stopped is waited for all the same, and
    slots that are handed over have a time-out of their own."""
    if not _astray(v) or v.status.phase is None or v.phase is None:
        return None
    patience = PATIENCE_WITH_A_PROBLEM if v.facts.problems else PATIENCE
    if v.now < round(v.status.phase.entered + patience, 3):
        return None
    why = f"; {v.facts.problems[0].message}" if v.facts.problems else ""
    return going_back.gives_up(
        v, f"new still has {v.share} % after a step back to phase {v.phase.name} ({v.phase.weight} %){why}"
    )


def _astray(v: View) -> bool:
    if not v.status.in_flight or not v.stepped_back or v.phase is None or v.since is not None:
        return False
    return v.share > v.phase.weight and v.status.retired is None and v.spec.traffic.replicas is None


def patience_ends(v: View) -> list[float]:
    """When a step back that does not come about counts as failed."""
    if not _astray(v) or v.status.phase is None:
        return []
    return [round(v.status.phase.entered + patience, 3) for patience in (PATIENCE_WITH_A_PROBLEM, PATIENCE)]


def _can(v: View) -> bool:
    so_far = v.status.step_back.count if v.status.step_back is not None else 0
    if v.index <= 0 or so_far >= v.spec.rollback.max_step_backs:
        return False
    if v.facts.problems or autoscaled(v.spec, v.facts):
        return False
    return v.old.alive or v.status.retired is not None or v.spec.phases[v.index - 1].weight >= v.share


def _step(v: View, breach: CriterionStatus) -> Outcome:
    assert v.phase is not None
    before, index, count = v.spec.phases[v.index - 1], v.index - 1, len(v.spec.phases)
    status = phase_status(before, index, count, entered=v.now, since=None)
    if v.status.retired is not None and v.spec.traffic.replicas is None:
        step = movement.bring_back(v.spec, v.facts, v.status.retired, wholly=True)
    else:
        step = movement.toward(v.spec, v.facts, before, v.slots, careful=False)
    number = 1 + (v.status.step_back.count if v.status.step_back is not None else 0)
    which = f"step back {number} of {v.spec.rollback.max_step_backs}"
    why = f"{breach.message} ({incidents.place(breach)} of phase {v.phase.name}, {which})"
    text = f"Stepping back to phase {status.label}, from {v.share} % to {before.weight} %: {why}"
    record = StepBackStatus(
        count=number, from_phase=v.phase.name, to_phase=before.name, message=clip(breach.message), at=v.now
    )
    return Outcome(
        State.PROGRESSING,
        Reason.STEPPED_BACK,
        text,
        changes={"phase": status, "step_back": record, "verify": None},
        actions=step.actions,
        urgent=True,
        lasting=True,
        notes=(Note(Reason.STEPPED_BACK, text, "Warning"),),
        next=next_text(v, index, None),
        due=v.now if not step.actions else step.due,
    )
