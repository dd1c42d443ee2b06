"""Whether a run ended as it should: the demo must not call a bad end a good one."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from demo.database import Comparison
from demo.fleet import Fleet
from demo.injection import INJECTIONS
from demo.plan import Plan, load_plan
from demo.scene import Moment, Scene, Slots, Step
from demo.services.faults import Fault
from demo.story import FaultTimes, Story, Unexpected
from demo.traffic import Answer
from demo.view import PlainView
from demo.work import Account, Counts, Demand

from demo import story
from syncrollout.shards import Assignment

Act = Callable[["Stage"], None]


@dataclass
class Items:
    """What is told of the items: nothing wrong, unless a test says so."""

    lost_keys: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    both: list[str] = field(default_factory=list)
    fro: list[str] = field(default_factory=list)

    def assignments(self) -> list[Moment]:
        return []

    def demand(self, now: float) -> Demand:
        return Demand(now, {"L1": 1, "L2": 1}, Assignment(1, 0, 0))

    def lost(self, _demand: Demand) -> list[str]:
        return self.lost_keys

    def strays(self, _demand: Demand) -> list[str]:
        return self.stray

    def account(self, _since: float) -> Account:
        return Account(Counts(10, 10, 0), 2, self.both, self.fro, 1.0)


QUIET = (
    Step("Switch", "Succeeded", 20.0, 1.0, ""),
    Step("VerifyData", "Succeeded", 20.0, 2.0, "no damage"),
    Step("Restore", "Skipped", 20.0, 0.0, ""),
    Step("VerifyAgain", "Skipped", 20.0, 0.0, ""),
    Step("VerifySystem", "Succeeded", 30.0, 2.0, ""),
    Step("Evidence", "Succeeded", 60.0, 0.1, ""),
)
MENDED = (
    QUIET[0],
    Step("VerifyData", "Failed", 20.0, 2.0, "damage: 3 lost"),
    Step("Restore", "Succeeded", 20.0, 2.0, ""),
    Step("VerifyAgain", "Succeeded", 20.0, 2.0, ""),
    *QUIET[4:],
)


@dataclass
class Data:
    """The people at the sheet, and the database: as it must be, unless a test says so."""

    differences: list[str] = field(default_factory=list)
    asked: list[bool] = field(default_factory=list)
    remembered: int = 0
    edited: bool = True

    @property
    def database(self) -> Any:
        return self

    def stop_editing(self) -> None:
        self.edited = False

    def remember(self) -> None:
        self.remembered += 1

    def compare(self, *, undone: bool) -> Comparison:
        assert not self.edited, "a sheet that is being edited cannot be compared"
        self.asked.append(undone)
        return Comparison(2, 2, self.differences)


@dataclass
class Stage:
    """Scene and fleet in one: acts follow each other, one a tick, each changing what is to be seen."""

    acts: list[Act]
    now: float = 100.0
    state: str = "Progressing"
    phase: str = "parallel-run"
    weight: int = 0
    fault: Fault = Fault.NONE
    stay_down: set[str] = field(default_factory=set)
    old_running: int = 1
    share: float = 0.0
    failing: bool = False
    old_failing: bool = False
    began: float = 100.0
    log: list[Answer] = field(default_factory=list)
    moves: list[Moment] = field(default_factory=lambda: [Moment(100.0, 0)])
    gone: list[Moment] = field(default_factory=list)
    work: Items = field(default_factory=Items)
    slots: Slots | None = field(default_factory=lambda: Slots(0, 0, 1, "Settled"))
    plan: Plan = field(default_factory=lambda: load_plan("http://prometheus:9090"))
    taken: tuple[Step, ...] = QUIET

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.taken

    def tick(self) -> None:
        self.now += 0.5
        if self.acts:
            self.acts.pop(0)(self)
        for index in range(20):
            version = "new" if index < self.share / 5 else "old"
            failed = self.failing if version == "new" else self.old_failing
            self.log.append(Answer(self.now, version, 500 if failed else 200, 0.01))

    @property
    def status(self) -> dict[str, Any]:
        return {"message": "as told by the operator"}

    def answers(self, since: float = 0.0) -> list[Answer]:
        return [answer for answer in self.log if answer.ended >= since]

    def weights(self) -> list[Moment]:
        return self.moves

    def available(self) -> list[Moment]:
        return self.gone

    def clock(self) -> float:
        return self.now

    def read(self, metric: str, version: str) -> float | None:
        if self.fault is Fault.NODATA and version == "new":
            return None
        if metric == "lost-listings":
            return 40.0 if self.fault is Fault.DATALOSS and version == "new" else 0.0
        if metric == "error-rate":
            return 30.0 if self.fault is Fault.ERRORS and version == "new" else 0.2
        return 1.0 if self.fault is Fault.SLOW and version == "new" else 0.2

    def running(self, version: str) -> int:
        return self.old_running if version == "old" else 1

    def inject(self, _version: str, fault: Fault) -> None:
        self.fault = fault

    def frame(self, *_: int) -> None:
        return None


@dataclass
class Crew:
    """The fleet of a stage."""

    stage: Stage
    stay_down: set[str] = field(default_factory=set)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.stage, name)

    @property
    def steps(self) -> Any:
        return self

    def progress(self) -> str:
        return ""


def go(phase: str, weight: int, state: str = "Progressing") -> Act:
    def act(stage: Stage) -> None:
        stage.phase, stage.state = phase, state
        if weight != stage.weight:
            stage.moves.append(Moment(stage.now, weight))
        stage.weight, stage.share = weight, float(weight)
        stage.slots = Slots(10 * weight, 10 * weight, 1, "Settled")

    return act


def nothing(_: Stage) -> None:
    return None


def failing(stage: Stage) -> None:
    stage.failing = True


def retire(stage: Stage) -> None:
    stage.old_running = 0


@pytest.fixture(autouse=True)
def stage_time(monkeypatch: pytest.MonkeyPatch) -> list[Stage]:
    """The story's clock is the stage's: a tick is half a second and takes no time."""
    current: list[Stage] = []

    class Clock:
        @staticmethod
        def monotonic() -> float:
            return current[0].now if current else time.monotonic()

        @staticmethod
        def sleep(_: float) -> None:
            return None

    monkeypatch.setattr(story, "time", Clock)
    return current


class Silent(PlainView):
    def show(self, frame: object) -> None:
        return None


def tell(
    acts: list[Act],
    stage_time: list[Stage],
    fault: str = "",
    work: Items | None = None,
    *,
    data: Data | None = None,
    steps: tuple[Step, ...] = QUIET,
) -> tuple[Stage, FaultTimes]:
    stage = Stage(acts, work=work or Items(), taken=steps)
    stage_time[:] = [stage]
    told = Story(cast(Scene, stage), cast(Fleet, Crew(stage)), Silent(), data or Data(), lambda: None)
    times = FaultTimes()
    if fault:
        told.with_fault(INJECTIONS[fault], times)
    else:
        told.forward()
    return stage, times


WAY = [
    go("small-traffic", 10),
    go("medium-traffic", 50),
    go("full-traffic", 100),
    go("full-migration", 100),
]
DONE = go("full-migration", 100, "Completed")


def test_all_phases_to_completed_is_the_good_end(stage_time: list[Stage]) -> None:
    tell([*WAY, retire, DONE], stage_time)


@pytest.mark.parametrize(
    ("acts", "sentence"),
    [
        ([*WAY, DONE], "old system still runs"),
        ([*WAY, retire, failing, DONE], r"\d+ client requests failed at the proxy, the first .* status 500"),
        ([*WAY, retire, DONE, go("full-migration", 50, "Completed")], "measured 50.0 %"),
        ([go("small-traffic", 10), go("small-traffic", 0, "RollingBack")], "rolls back: as told by the operator"),
        ([go("small-traffic", 0, "RolledBack")], "ended RolledBack: as told by the operator"),
        ([go("small-traffic", 10)], "waited 240 s for the rollout to be Completed; the rollout says Progressing"),
    ],
)
def test_any_other_end_is_told_in_a_sentence(acts: list[Act], sentence: str, stage_time: list[Stage]) -> None:
    with pytest.raises(Unexpected, match=sentence):
        tell(acts, stage_time)


@pytest.mark.parametrize(
    ("work", "sentence"),
    [
        (Items(lost_keys=["L2"]), "1 of 2 items were lost: nobody handled them in 20 s at the end: L2"),
        (Items(stray=["L1 was handled by old"]), "1 items were handled by somebody else than their owner: L1 was"),
        (Items(both=["L1 by old and new", "L2 by old and new"]), "2 items were handled by both systems at once: L1 by"),
        (Items(fro=["L1 went to and fro"]), "1 items changed hands more often than they were handed over: L1 went"),
    ],
)
@pytest.mark.parametrize("fault", ["", "errors"])
def test_items_that_went_wrong_are_a_bad_end(work: Items, sentence: str, fault: str, stage_time: list[Stage]) -> None:
    back = [go("medium-traffic", 50), *[nothing] * 12, go("medium-traffic", 0, "RolledBack")]
    with pytest.raises(Unexpected, match=sentence):
        tell(back if fault else [*WAY, retire, DONE], stage_time, fault, work)


def test_slots_that_stay_with_nobody_are_a_bad_end(stage_time: list[Stage]) -> None:
    def half(stage: Stage) -> None:
        stage.slots = Slots(500, 1000, 7, "Releasing", waiting_for=("old-1",))

    with pytest.raises(Unexpected, match="waited 60 s for all slots to have an owner"):
        tell([*WAY, retire, DONE, half], stage_time)


def test_a_rollback_is_timed_from_the_moment_at_which_the_fault_shows(stage_time: list[Stage]) -> None:
    into_phase = [nothing] * 12
    stage, times = tell(
        [
            go("medium-traffic", 50),
            *into_phase,
            go("medium-traffic", 0, "RollingBack"),
            go("medium-traffic", 0, "RolledBack"),
        ],
        stage_time,
        "errors",
    )
    assert stage.fault is Fault.ERRORS
    assert times.injected is not None
    assert times.visible is not None
    assert times.weight_zero is not None
    assert times.last_new is not None
    assert times.injected <= times.visible <= times.weight_zero
    assert times.last_new < times.weight_zero


def test_a_fault_that_nobody_acts_on_is_a_bad_end(stage_time: list[Stage]) -> None:
    with pytest.raises(Unexpected, match="waited 60 s for new's weight to be 0"):
        tell([go("small-traffic", 10)], stage_time, "slow")


def test_answers_from_new_after_the_rollback_are_a_bad_end(stage_time: list[Stage]) -> None:
    def leak(stage: Stage) -> None:
        stage.share = 10.0

    acts = [go("medium-traffic", 50), *[nothing] * 12, go("medium-traffic", 0, "RolledBack"), leak]
    with pytest.raises(Unexpected, match="new should answer 0 % at the end, measured 10"):
        tell(acts, stage_time, "errors")


def test_requests_that_fail_long_after_the_rollback_are_a_bad_end(stage_time: list[Stage]) -> None:
    def old_fails(stage: Stage) -> None:
        stage.old_failing = True

    acts = [go("medium-traffic", 50), *[nothing] * 12, go("medium-traffic", 0, "RolledBack"), *[nothing] * 3, old_fails]
    with pytest.raises(Unexpected, match=r"\d+ client requests failed at the proxy, .* status 500"):
        tell(acts, stage_time, "errors")


def test_a_hold_lasts_while_there_is_no_data_and_ends_when_there_is(stage_time: list[Stage]) -> None:
    def go_on(stage: Stage) -> None:
        if stage.fault is Fault.NONE:
            go("medium-traffic", 50)(stage)

    hold = [nothing] * 12 + [go("small-traffic", 10, "Holding")]
    stage, times = tell([go("small-traffic", 10), *hold, *[go_on] * 30], stage_time, "nodata")
    assert stage.fault is Fault.NONE
    assert times.held is not None
    assert times.lifted is not None
    assert times.lifted - times.held >= 6.0
    assert times.went_on is not None


def test_a_hold_that_breaks_by_itself_is_a_bad_end(stage_time: list[Stage]) -> None:
    hold = [nothing] * 12 + [go("small-traffic", 10, "Holding"), nothing, go("medium-traffic", 50)]
    with pytest.raises(Unexpected, match="the hold did not last: Progressing in medium-traffic at 50 %"):
        tell([go("small-traffic", 10), *hold], stage_time, "nodata")


BACK = [go("medium-traffic", 50), *[nothing] * 12, go("medium-traffic", 0, "RolledBack")]


def test_damage_that_was_found_and_mended_is_a_good_end_and_nothing_of_new_may_be_left(stage_time: list[Stage]) -> None:
    data = Data()
    stage, _ = tell([*BACK], stage_time, "dataloss", data=data, steps=MENDED)
    assert stage.fault is Fault.DATALOSS
    assert data.remembered == 1, "what the database held before the fault"
    assert data.asked == [True]


@pytest.mark.parametrize(
    ("fault", "steps", "sentence"),
    [
        ("dataloss", QUIET, "step VerifyData should be Failed, and is Succeeded: no damage"),
        ("errors", MENDED, "step VerifyData should be Succeeded, and is Failed: damage: 3 lost"),
        ("dataloss", (*MENDED[:3], *MENDED[4:]), "step VerifyAgain should be Succeeded, and is missing"),
        (
            "dataloss",
            (*MENDED[:2], Step("Restore", "Succeeded", 20.0, 20.5, ""), *MENDED[3:]),
            "step Restore took 20.5 s of 20 s, and is Succeeded",
        ),
    ],
)
def test_steps_that_ended_otherwise_or_were_late_in_silence_are_a_bad_end(
    fault: str, steps: tuple[Step, ...], sentence: str, stage_time: list[Stage]
) -> None:
    with pytest.raises(Unexpected, match=sentence):
        tell([*BACK], stage_time, fault, steps=steps)


@pytest.mark.parametrize("fault", ["", "errors", "dataloss"])
def test_a_row_that_is_not_what_it_must_be_is_a_bad_end(fault: str, stage_time: list[Stage]) -> None:
    data = Data(differences=["L00003: it is lost"])
    acts = [*BACK] if fault else [*WAY, retire, DONE]
    with pytest.raises(Unexpected, match="1 of 2 listings are not what they must be in the database: L00003: it is l"):
        tell(acts, stage_time, fault, data=data, steps=MENDED if fault == "dataloss" else QUIET)
