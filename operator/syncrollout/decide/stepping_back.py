"""The rule by which a failing phase gives way to the one before it, where its `onFailure` is StepBack.

Traffic first, like a rollback: weights are put down before it is recorded, and what is decided stays decided though it
cannot be written. From there it is the way forward again, from the phase before: its weights settle (slots change hands
fenced), an old that was stopped is brought back, the phase's time begins anew. Where that is not safely possible (the
first phase, too many steps back in this run, something that a person has to mend, an old without pods) everything goes
back instead.
"""

from __future__ import annotations

from syncrollout.api.spec import OnFailure
from syncrollout.api.status import CriterionStatus, StepBackStatus
from syncrollout.api.words import Reason, Role, State
from syncrollout.decide import movement
from syncrollout.decide.autoscaling import autoscaled
from syncrollout.decide.outcome import Note, Outcome, next_text
from syncrollout.decide.phrases import clip
from syncrollout.decide.view import View, phase_status


def steps_back(v: View) -> Outcome | None:
    """A criterion of rollbackOn holds in a phase whose onFailure is StepBack, and there is a phase to step back to."""
    breach = v.breach()
    if not v.status.in_flight or breach is None or breach.role is not Role.ROLLBACK_ON or v.phase is None:
        return None
    if v.phase.on_failure is not OnFailure.STEP_BACK or not _can(v):
        return None
    return _step(v, breach)


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
    why = f"{breach.message} (rollbackOn of phase {v.phase.name}, {which})"
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
