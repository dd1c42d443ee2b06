"""The course of a run: what is waited for, what is done, what is measured, and whether it ended as it should."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from demo.database import Comparison, Database
from demo.fleet import Fleet
from demo.injection import Injection, is_visible
from demo.scene import Scene
from demo.services.faults import Fault
from demo.traffic import Answer, share_of_new
from demo.view import View
from demo.work import some
from syncrollout.shards import SLOTS

_TICK = 0.03
_FRAME_EVERY = 0.2
_PHASE_WAIT = 120.0
_COMPLETION_WAIT = 240.0
_REACTION_WAIT = 60.0
_INTO_PHASE = 4.0  # seconds of the phase that pass before a fault strikes: the share at the proxy can be seen
_HOLD_SHOWN = 6.0
_AFTERWARDS = 3.0  # seconds of load after the end: does old really answer everything?
_HANDLED_WAIT = 20.0  # a run over all items takes a second
LETTING_GO = 1.0
"""Seconds after weight 0 at the API server in which the proxy may still ask new: it hears of it by its own watch."""


class Unexpected(Exception):
    """The run did not end as it should; the message is the sentence for the person."""


@dataclass(slots=True)
class FaultTimes:
    """Seconds of time.monotonic; None where it did not come to it."""

    injected: float | None = None
    visible: float | None = None
    weight_zero: float | None = None
    items_back: float | None = None
    last_new: float | None = None
    held: float | None = None
    lifted: float | None = None
    went_on: float | None = None


@dataclass(frozen=True, slots=True)
class Handled:
    """At the end each of ``keys`` was to be handled once more; nobody handled those in ``lost``."""

    keys: int
    lost: list[str]


class Desk(Protocol):
    """Where the data is looked after."""

    @property
    def database(self) -> Database: ...

    def stop_editing(self) -> None: ...


@dataclass(slots=True)
class Story:
    """Drives one run. Call it from the thread that made the fleet."""

    scene: Scene
    fleet: Fleet
    view: View
    desk: Desk
    check: Callable[[], None]
    """Raises Unexpected where something that must run has ended, such as the operator."""
    beside: Callable[[Fault], None] = lambda _fault: None
    """What else a fault needs besides the process being told: on real pods, a template that crashes."""
    handled: Handled | None = None
    """What became of the items; None where it did not come to that."""
    stands: Comparison | None = None
    """What stands in the database at the end; None where it did not come to that."""

    def forward(self) -> None:
        """No fault: all five phases, then Completed. Raises Unexpected."""
        self._until(lambda: self._ended("Completed"), _COMPLETION_WAIT, "the rollout to be Completed")
        self._spin(_AFTERWARDS)
        self._demand_share(100.0)
        self._demand_no_failure()
        self._demand_items()
        if self.fleet.running("old"):
            raise Unexpected("the rollout is Completed but the old system still runs")

    def with_fault(self, injection: Injection, times: FaultTimes) -> None:
        """The fault strikes in its phase; back to old, or hold and go on. Fills ``times``; raises Unexpected."""
        what = f"phase {injection.phase} to have traffic on new"
        self._until(lambda: self._strikes(injection), _PHASE_WAIT, what)
        self._spin(_INTO_PHASE)
        self.desk.database.remember()
        times.injected = time.monotonic()
        if injection.fault is Fault.CRASH:
            self.fleet.stay_down.add("new")
        self.beside(injection.fault)
        self.fleet.inject("new", injection.fault)
        self.view.say(f"fault {injection.fault} injected into the new system")
        self._until(lambda: self._seen(injection, times), _REACTION_WAIT, f"the fault to show: {injection.visible}")
        if injection.end == "Holding":
            self._hold(times)
            self._demand_no_failure()
            self._demand_items()
        else:
            self._back(injection, times)

    def _seen(self, injection: Injection, times: FaultTimes) -> bool:
        if times.visible is None and times.injected is not None:
            times.visible = is_visible(injection, self.scene, times.injected)
            if times.visible is not None:
                self.view.say(f"{injection.visible}, {times.visible - times.injected:.2f} s after it was injected")
        # the operator asks Prometheus itself, and may be the first of the two to see the breach
        return times.visible is not None or self.scene.weight == 0

    def _back(self, injection: Injection, times: FaultTimes) -> None:
        self._until(lambda: self.scene.weight == 0, _REACTION_WAIT, "new's weight to be 0 in the HTTPRoute")
        times.weight_zero = self.scene.weights()[-1].when
        if times.visible is not None and times.visible > times.weight_zero:
            times.visible = None  # the operator had acted on it before the demo looked
        self.view.say("all weight is back at old, at the API server")
        self._until(lambda: self._ended("RolledBack"), _REACTION_WAIT, "the rollout to be RolledBack")
        self._spin(_AFTERWARDS)
        self._demand_share(0.0)
        self._demand_no_failure(since=times.weight_zero + LETTING_GO)
        from_new = [a for a in self.scene.answers(times.injected or 0.0) if a.version == "new"]
        times.last_new = from_new[-1].ended if from_new else None
        given = [moment.when for moment in self.scene.work.assignments() if moment.value.old_from == 0]
        times.items_back = min((when for when in given if when >= (times.injected or 0.0)), default=None)
        if self.scene.weight != 0:
            raise Unexpected(f"RolledBack, but new's weight is {self.scene.weight} again")
        self._demand_items(undone=injection.spoils)
        self._demand_steps(injection.spoils)

    def _demand_steps(self, spoils: bool) -> None:
        """Damage was found and mended where there was some, and nothing was touched where there was none; and none took
        longer than its budget without saying so."""
        steps = {step.name: step for step in self.scene.steps}
        found = {name: step.state for name, step in steps.items()}
        mended = ("Failed", "Succeeded", "Succeeded") if spoils else ("Succeeded", "Skipped", "Skipped")
        due = dict(zip(("VerifyData", "Restore", "VerifyAgain"), mended, strict=True))
        due |= {"Switch": "Succeeded", "VerifySystem": "Succeeded", "Evidence": "Succeeded"}
        for name, state in due.items():
            if found.get(name) != state:
                says = steps[name].says if name in steps else "it is not in the status"
                raise Unexpected(f"step {name} should be {state}, and is {found.get(name, 'missing')}: {says}")
        late = [step for step in steps.values() if step.late and step.state != "Overrun"]
        if late:
            step = late[0]
            raise Unexpected(f"step {step.name} took {step.taken:.1f} s of {step.budget:.0f} s, and is {step.state}")

    def _hold(self, times: FaultTimes) -> None:
        phase, weight = self.scene.phase, self.scene.weight
        self._until(lambda: self._ended("Holding"), _REACTION_WAIT, "the rollout to be Holding")
        times.held = time.monotonic()
        self.view.say("held: without data the rollout neither goes on nor back")
        self._spin(_HOLD_SHOWN)
        if (self.scene.state, self.scene.phase, self.scene.weight) != ("Holding", phase, weight):
            raise Unexpected(
                f"the hold did not last: {self.scene.state} in {self.scene.phase} at {self.scene.weight} %, "
                f"expected Holding in {phase} at {weight} %"
            )
        times.lifted = time.monotonic()
        self.fleet.inject("new", Fault.NONE)
        self.view.say("fault lifted: the new system exports its metrics again")
        self._until(lambda: self.scene.phase not in {phase, ""}, _REACTION_WAIT, "the rollout to go on")
        times.went_on = time.monotonic()
        self.view.say(f"the rollout goes on: {self.scene.phase}")
        self._spin(_AFTERWARDS)

    def _strikes(self, injection: Injection) -> bool:
        planned = next(p.weight for p in self.scene.plan.spec.phases if p.name == injection.phase)
        self._not_ended_early()
        return self.scene.phase == injection.phase and self.scene.weight == planned and self._handed_over(planned)

    def _handed_over(self, weight: int) -> bool:
        slots, mark = self.scene.slots, weight * SLOTS // 100
        # stage GivenBack is over too: new was stopped, as it did not let go by itself
        return slots is not None and slots.stage != "Releasing" and slots.new_below == slots.old_from == mark

    def _ended(self, state: str) -> bool:
        if self.scene.state == state:
            return True
        self._not_ended_early(allowed=state)
        return False

    def _not_ended_early(self, allowed: str = "") -> None:
        state = self.scene.state
        if state in {"Completed", "RolledBack"} and state != allowed:
            raise Unexpected(f"the rollout ended {state}: {self.scene.status.get('message')}")
        if state == "RollingBack" and allowed != "RolledBack":
            raise Unexpected(f"the rollout rolls back: {self.scene.status.get('message')}")

    def _demand_share(self, percent: float) -> None:
        share = share_of_new(self.scene.answers(time.monotonic() - _AFTERWARDS / 2))
        if share != percent:
            shown = "no answers" if share is None else f"{share:.1f} %"
            raise Unexpected(f"at the proxy new should answer {percent:.0f} % at the end, measured {shown}")

    def _demand_no_failure(self, since: float = 0.0) -> None:
        failed = failures(self.scene.answers(since))
        if failed:
            first = failed[0]
            raise Unexpected(
                f"{len(failed)} client requests failed at the proxy, the first {first.ended - self.scene.began:.1f} s "
                f"after the start with status {first.status or 'none'}"
            )

    def _demand_items(self, *, undone: bool = False) -> None:
        """Every item of the sheet is handled once more, by its owner; none was ever handled by two at once. And then
        the database holds what is in the sheet, row for row; ``undone``: nothing of it written by new."""
        work = self.scene.work
        self.desk.stop_editing()
        self._until(lambda: self._handed_over(self.scene.weight or 0), _REACTION_WAIT, "all slots to have an owner")
        demand = work.demand(time.monotonic())
        deadline = demand.since + _HANDLED_WAIT
        due = 0.0
        while (lost := work.lost(demand)) and time.monotonic() < deadline:
            due = self._tick(due)
        self.handled = Handled(len(demand.revisions), lost)
        account = work.account(self.scene.began)
        for what, sentences in (
            (f"of {self.handled.keys} items were lost: nobody handled them in {_HANDLED_WAIT:.0f} s at the end", lost),
            ("items were handled by somebody else than their owner", work.strays(demand)),
            ("items were handled by both systems at once", account.at_once),
            ("items changed hands more often than they were handed over", account.to_and_fro),
        ):
            if sentences:
                raise Unexpected(f"{len(sentences)} {what}: {some(sentences)}")
        self.stands = self.desk.database.compare(undone=undone)
        if self.stands.differences:
            wrong = f"{len(self.stands.differences)} of {self.stands.listings} listings are not what they must be"
            raise Unexpected(f"{wrong} in the database: {some(self.stands.differences)}")

    def _until(self, condition: Callable[[], bool], seconds: float, what: str) -> None:
        deadline = time.monotonic() + seconds
        due = 0.0
        while not condition():
            if time.monotonic() >= deadline:
                state = f"{self.scene.state or 'no status'}: {self.scene.status.get('message', '')}"
                raise Unexpected(f"waited {seconds:.0f} s for {what}; the rollout says {state}")
            due = self._tick(due)
        self._show()

    def _spin(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        due = 0.0
        while time.monotonic() < end:
            due = self._tick(due)

    def _tick(self, due: float) -> float:
        self.fleet.tick()
        if time.monotonic() >= due:
            self._show()
            self.check()
            due = time.monotonic() + _FRAME_EVERY
        time.sleep(_TICK)
        return due

    def _show(self) -> None:
        running = self.fleet.running("old"), self.fleet.running("new")
        self.view.show(self.scene.frame(*running, self.fleet.steps.progress()))


def failures(answers: list[Answer]) -> list[Answer]:
    """The requests that got no answer of 2xx."""
    return [answer for answer in answers if answer.failed]
