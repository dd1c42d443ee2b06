"""Live drills: all traffic really goes to old for a while, and comes back.

    Switching -> Standing     everything stands at old, and traffic.verify agrees where that is given
    Switching -> Returning    that takes longer than the budget of the switch, or old cannot take it
    Standing  -> Returning    it has stood for so long; or old is not well any more
    Returning -> (ended)      new has its share again; or that takes longer than the same budget

`away` is a rule of the machine: while the traffic is away it says where it is to be, as the rules of a phase do for its
weight. It stands behind all that goes back, and behind what a person has to mend: a breach in the middle of it is a
real rollback, and what it finds out of order ends it. Then the traffic comes back by the same careful steps that gave
it to new in the first place, and not while anything speaks against new.

The phase's time stands still meanwhile: what it had lasted is kept (`lasted`) and counts once the weights stand again.
What is judged begins anew then, for data of the time away says nothing about new with its traffic.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import DrillCheck, DrillRun, PhaseStatus, VerifyStatus
from syncrollout.api.words import DrillMode, DrillResult, DrillStage, Reason, Side, State, Verdict
from syncrollout.decide import calendar, doubts, gates, incidents, movement, verify
from syncrollout.decide.movement import Movement
from syncrollout.decide.outcome import Note, Outcome
from syncrollout.decide.phrases import clip, moment, readiness
from syncrollout.decide.view import View, phase_status

LIVE_FOR: Final = 300.0
"""Seconds at old where no `rollback.drill` says how many."""
BUDGET: Final = 300.0
"""Seconds that the switch may take where no procedure says how many."""


# ---- when --------------------------------------------------------------------------------------------------------


def impossible(v: View, outcome: Outcome) -> str:
    """Why no Live drill can begin now, in words; empty where one can."""
    phase = v.status.phase
    running = outcome.state is State.PROGRESSING and outcome.reason is Reason.PHASE_RUNNING
    if not running or phase is None or v.phase is None or v.since is None or "phase" in outcome.changes:
        return (
            f"the rollout is {outcome.state.value} ({outcome.reason.value}), and a live drill needs a phase that runs"
        )
    if not v.phase.weight:
        return f"new has no traffic in phase {phase.name} that could go to old"
    if v.status.retired is not None or v.phase.retire_old:
        return "old is stopped in this phase: a live drill would have to start it, and to stop it again"
    if incidents.is_open(v.incident):
        return "an incident is open"
    doubt = doubts.doubt(v)
    if doubt:
        return f"new could not be given its share again {doubt}"
    for which, workload in ((Side.OLD, v.old), (Side.NEW, v.new)):
        if not workload.complete and v.spec.traffic.replicas is None:
            return readiness(v.spec, which, workload)
    return ""


def outside(v: View) -> bool:
    """Whether the schedule's drill may not begin now: no window of it is open, or nothing may move for a freeze."""
    if v.spec.rollback.drill is None or gates.frozen(v):
        return True
    return not calendar.inside(v.spec.drill_windows, v.spec.drill_timezone, v.now)


def begins(v: View, run: DrillRun) -> tuple[DrillRun, PhaseStatus]:
    """The drill as it begins, and its phase, whose time stands still from now on."""
    assert v.phase is not None
    assert v.status.phase is not None
    assert v.since is not None
    before = v.status.phase
    lasted = round(before.lasted + v.now - v.since, 3)
    phase = phase_status(v.phase, v.index, len(v.spec.phases), entered=before.entered, since=None, lasted=lasted)
    stage = {"stage": DrillStage.SWITCHING, "until": round(v.now + _budget(v.spec), 3)}
    return run.model_copy(update=stage), phase.model_copy(update={"restarts": before.restarts})


def _budget(spec: SyncRolloutSpec) -> float:
    procedure = spec.rollback.procedure
    return procedure.switch.budget if procedure is not None else BUDGET


# ---- where the traffic is to be ----------------------------------------------------------------------------------


def away(v: View) -> Outcome | None:
    """A Live drill has the traffic: where it goes next."""
    run = _running(v)
    if run is None or v.phase is None or v.status.phase is None:
        return None
    label = v.status.phase.label
    if run.stage is DrillStage.RETURNING:
        step = movement.toward(v.spec, v.facts, v.phase, v.slots, careful=True)
        if step.settled or doubts.doubt(v):
            return None  # the rules of the phase go on from here, or say what is in the way
        text = f"Phase {label}: the drill is over, new gets {v.phase.weight} % again"
        return _on_its_way(v, step, text, f"{v.phase.weight} % to new", None)
    step = _to_old(v)
    assert run.until is not None
    standing = run.stage is DrillStage.STANDING
    text = _standing(v, run.until) if standing else f"Phase {label}: a drill switches all traffic to old"
    return _on_its_way(v, step, text, f"{v.phase.weight} % to new again", _seen(v) if step.settled else None)


def _standing(v: View, until: float) -> str:
    label = v.status.phase.label if v.status.phase is not None else ""
    return f"Phase {label}: a drill has all traffic at old until {moment(until)}"


def _on_its_way(v: View, step: Movement, text: str, coming: str, seen: VerifyStatus | None) -> Outcome:
    message = f"{text}: {step.message}" if step.message else text
    return Outcome(
        State.PROGRESSING,
        Reason.DRILLING,
        message,
        changes={"verify": seen},
        actions=step.actions,
        next=coming,
        due=step.due,
    )


def _running(v: View) -> DrillRun | None:
    run = v.status.drill.running if v.status.drill is not None else None
    return run if run is not None and run.mode is DrillMode.LIVE and v.status.in_flight else None


def _to_old(v: View) -> Movement:
    assert v.phase is not None
    nothing = v.phase.model_copy(update={"weight": 0})
    return movement.toward(v.spec, v.facts, nothing, v.slots, careful=False)


def _seen(v: View) -> VerifyStatus | None:
    """Whether the traffic itself is at old, where that can be seen."""
    before = v.status.verify if v.status.verify is not None and v.status.verify.weight == 0 else None
    return verify.judge(v.spec, before, v.facts, 0, v.now)


# ---- how far it is -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Moment:
    """How far a Live drill is after this pass; `ended`: it is over. `message`: what the rollout says of itself then."""

    run: DrillRun
    message: str = ""
    ended: bool = False
    notes: tuple[Note, ...] = ()
    due: float | None = None


def goes_on(v: View, outcome: Outcome, run: DrillRun) -> Moment:
    """The next stage of a drill, if its time has come."""
    assert run.until is not None
    if run.stage is DrillStage.RETURNING:
        return _returns(v, outcome, run, run.until)
    wrong = _wrong(v, outcome, run)
    if wrong:
        return _gives_up(v, run, wrong)
    if run.stage is DrillStage.STANDING:
        if v.now < run.until:
            return Moment(run, due=run.until)
        stood = format_duration(v.now - run.started)
        return _back(v, _with(run, "Stood at old", "", 0.0, f"until {stood} after the drill began"))
    return _switches(v, run, run.until)


def _wrong(v: View, outcome: Outcome, run: DrillRun) -> str:
    """What makes it pointless or dangerous to go on, in words."""
    if outcome.reason is not Reason.DRILLING:
        return outcome.message
    # By replicas old may have had none when it began: that it gets them is what is waited for.
    grows = v.spec.traffic.replicas is not None and run.stage is DrillStage.SWITCHING
    if not v.old.alive and not grows:
        return readiness(v.spec, Side.OLD, v.facts.old)
    step = _to_old(v)
    return step.message if step.waiting is not None and v.spec.traffic.replicas is None else ""


def _switches(v: View, run: DrillRun, until: float) -> Moment:
    step = _to_old(v)
    took = v.now - run.started
    seen = _seen(v) if step.settled else None
    if step.settled and (seen is None or seen.verdict is Verdict.PASS):
        how = "seen by traffic.verify" if seen is not None else ""
        ends = round(v.now + _live_for(v.spec), 3)
        stands = _with(run, "All traffic at old", "", took, how).model_copy(
            update={"stage": DrillStage.STANDING, "until": ends}
        )
        text = f"The drill has all traffic at old after {format_duration(took)}, until {moment(ends)}"
        return Moment(stands, _standing(v, ends), notes=(Note(Reason.DRILL_AT_OLD, text),), due=ends)
    if v.now < until:
        return Moment(run, due=until)
    why = f"the router does not obey: {seen.message}" if seen is not None else step.message or "weights do not stand"
    return _gives_up(v, run, f"not all traffic is at old after {format_duration(took)}: {why}")


def _live_for(spec: SyncRolloutSpec) -> float:
    return spec.rollback.drill.live_for if spec.rollback.drill is not None else LIVE_FOR


def _gives_up(v: View, run: DrillRun, why: str) -> Moment:
    name = "All traffic at old" if run.stage is DrillStage.SWITCHING else "Stood at old"
    failed = _with(run, name, why, v.now - run.started, "").model_copy(update={"trouble": clip(why)})
    return _back(v, failed)


def _back(v: View, run: DrillRun) -> Moment:
    until = round(v.now + _budget(v.spec), 3)
    return Moment(run.model_copy(update={"stage": DrillStage.RETURNING, "until": until}), due=v.now)


def _returns(v: View, outcome: Outcome, run: DrillRun, until: float) -> Moment:
    took = v.now - (until - _budget(v.spec))
    stands = outcome.changes.get("phase", v.status.phase)
    weight = v.phase.weight if v.phase is not None else run.weight
    name = f"Back at {weight} %"
    if isinstance(stands, PhaseStatus) and stands.since is not None:
        return Moment(_with(run, name, "", max(0.0, took), ""), ended=True)
    if v.suspended and v.phase is not None and v.share == v.phase.weight:
        return Moment(_with(run, name, "", max(0.0, took), "and the rollout is suspended"), ended=True)
    if v.now < until:
        return Moment(run, due=until)
    return Moment(_with(run, name, outcome.message, max(0.0, took), ""), ended=True)


def _with(run: DrillRun, name: str, why_not: str, seconds: float, well: str) -> DrillRun:
    check = DrillCheck(
        name=name,
        result=DrillResult.FAILED if why_not else DrillResult.PASSED,
        message=clip(why_not or well, 512),
        seconds=round(seconds, 3),
    )
    return run.model_copy(update={"checks": (*run.checks, check)})


__all__ = ["Moment", "away", "begins", "goes_on", "impossible", "outside"]
