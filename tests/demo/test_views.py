"""What a person sees of a run: the live picture, the plain lines, the summary."""

from __future__ import annotations

import io
from dataclasses import replace

import pytest
from demo.live import parse_verdicts
from demo.scene import Criterion, Frame, Slots, Step, read_step
from demo.traffic import Answer, share_of_new
from demo.view import LiveView, PlainView, open_view
from demo.work import Counts
from prometheus_client import generate_latest
from rich.console import Console

from demo import summary
from syncrollout.api.status import CriterionStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import Role, StepState, Verdict
from syncrollout.api.words import Step as StepName
from syncrollout.runtime.telemetry import Telemetry

CRITERION = Criterion("Success", "error-rate", "percent", "below 1 percent", "Pass", "", 0.25, None)
FRAME = Frame(
    elapsed=12.3,
    phases=(("parallel-run", 0), ("small-traffic", 10), ("full-migration", 100)),
    state="Progressing",
    phase="small-traffic",
    message="2/3 small-traffic: 10 % on new",
    weight=10,
    share=9.6,
    requests=700,
    failed=0,
    criteria=(CRITERION,),
    events=("Normal  PhaseStarted: parallel-run",),
    old_processes=1,
    new_processes=1,
    slots=Slots(100, 500, 7, "Releasing", waiting_for=("listing-sync-v1-x",)),
    items=Counts(old=900, new=100),
)


def test_the_live_picture_holds_phase_weight_share_reading_and_event() -> None:
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=140, height=50)) as view:
        view.say("fault errors injected into the new system")
        view.show(FRAME)
    shown = out.getvalue()
    for text in (
        "Progressing",
        "▶ small-traffic 10 %",
        "● parallel-run 0 %",
        "○ full-migration 100 %",
        "0.25",
        "below 1 percent",
        "Pass",
        "PhaseStarted: parallel-run",
        "» fault errors injected",
        "700 requests in all, 0 failed",
        "slots of new, ConfigMap      10 %",
        "10 % handled by new; items of the last 3 s: 900 by old, 100 by new",
        "new below 100, old from 500; epoch 7, Releasing, waiting for listing-sync-v1-x",
    ):
        assert text in shown, text


def test_plain_lines_come_on_change_only_and_hold_no_control_codes(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    view.show(FRAME)
    first = capsys.readouterr().out
    view.show(FRAME)
    assert capsys.readouterr().out == ""
    failing = replace(CRITERION, verdict="Fail", live=33.3)
    view.show(
        replace(
            FRAME,
            elapsed=14.0,
            state="RollingBack",
            weight=0,
            criteria=(failing,),
            events=(*FRAME.events, "Warning CriterionBreached: error-rate"),
        )
    )
    second = capsys.readouterr().out
    assert "\x1b" not in first + second
    assert first.splitlines() == [
        "  12.3 s  state    Progressing small-traffic: 2/3 small-traffic: 10 % on new",
        "  12.3 s  weight   10 % of new, at the API server",
        "  12.3 s  slots    new below 100, old from 500; epoch 7, Releasing, waiting for listing-sync-v1-x",
        "  12.3 s  verdict  Pass: Success error-rate below 1 percent; reads 0.25 percent",
        "  12.3 s  event    Normal  PhaseStarted: parallel-run",
    ]
    assert "state    RollingBack small-traffic" in second
    assert "weight   0 % of new" in second
    assert "verdict  Fail: Success error-rate below 1 percent; reads 33.3 percent" in second
    assert second.count("event") == 1


def test_items_are_told_with_the_share_at_the_proxy_and_dry_runs_apart(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    view.show(FRAME)
    shadow = Slots(0, 0, 1, "Settled", shadow=True)
    capsys.readouterr()
    view.show(replace(FRAME, elapsed=60.0, slots=shadow))
    view.show(replace(FRAME, elapsed=90.0, slots=shadow, items=Counts(400, 0, 399)))
    assert capsys.readouterr().out.splitlines() == [
        "  60.0 s  slots    new below 0, old from 0, shadow; epoch 1, Settled",
        "  90.0 s  proxy    10 % answered by new; 700 requests in all, 0 failed",
        "  90.0 s  items    0 % handled by new; items of the last 3 s: 400 by old, 0 by new, 399 in dry-run",
    ]


STEPS = (
    Step("Switch", "Succeeded", 20.0, 2.4, "all traffic is at old"),
    Step("VerifyData", "Failed", 20.0, 1.7, "damage: 31 lost, 22 doubled, 14 changed, of 412 listings"),
    Step("Restore", "Running", 20.0, 0.6, ""),
    Step("VerifyAgain", "Waiting", 20.0, None, ""),
)


def test_the_steps_of_a_rollback_are_told_once_each_with_their_time_against_the_budget(
    capsys: pytest.CaptureFixture[str],
) -> None:
    view = PlainView()
    view.show(FRAME)
    capsys.readouterr()
    back = replace(FRAME, state="Progressing", steps=STEPS, progress="40% 160 of 400 listings, 23 restored")
    view.show(back)
    view.show(back)
    view.show(replace(back, steps=(*STEPS[:2], Step("Restore", "Overrun", 20.0, 20.1, "has used up its 20s"))))
    assert [line[10:] for line in capsys.readouterr().out.splitlines()] == [
        "step     Switch Succeeded after 2.4 s of 20 s: all traffic is at old",
        "step     VerifyData Failed after 1.7 s of 20 s: damage: 31 lost, 22 doubled, 14 changed, of 412 listings",
        "step     Restore Running, for 20 s at most",
        "progress 40% 160 of 400 listings, 23 restored",
        "step     Restore Overrun after 20.1 s of 20 s: has used up its 20s",
    ]


def test_a_step_is_read_as_the_operator_writes_it() -> None:
    began = StepStatus(
        name=StepName.VERIFY_DATA,
        state=StepState.RUNNING,
        budget_seconds=20,
        started=100.0,
        deadline=120.0,
        output="checked\ndamage: 3 lost",
    )
    ended = began.model_copy(update={"state": StepState.FAILED, "finished": 104.5})
    waits = StepStatus(name=StepName.RESTORE, budget_seconds=30)
    late = began.model_copy(update={"state": StepState.SUCCEEDED, "finished": 120.5, "output": "", "message": "well"})
    told = [read_step(one.model_dump(mode="json", by_alias=True), 101.5) for one in (began, ended, waits, late)]
    assert told == [
        Step("VerifyData", "Running", 20.0, 1.5, "damage: 3 lost"),
        Step("VerifyData", "Failed", 20.0, 4.5, "damage: 3 lost"),
        Step("Restore", "Waiting", 30.0, None, ""),
        Step("VerifyData", "Succeeded", 20.0, 20.5, "well"),
    ]
    assert [one.late for one in told] == [False, False, False, True]


def test_the_live_picture_holds_the_steps_and_how_far_the_one_under_way_is() -> None:
    out = io.StringIO()
    with LiveView(Console(file=out, force_terminal=True, width=160, height=50)) as view:
        view.show(replace(FRAME, steps=STEPS, progress="40% 160 of 400 listings, 23 restored"))
    shown = out.getvalue()
    for text in ("VerifyData", "1.7 s", "damage: 31 lost", "Waiting", "40% 160 of 400 listings, 23 restored"):
        assert text in shown, text


def test_output_that_is_no_terminal_gets_plain_lines() -> None:
    assert isinstance(open_view(Console(file=io.StringIO())), PlainView)
    assert isinstance(open_view(Console(file=io.StringIO(), force_terminal=True)), LiveView)


def test_the_share_counts_answers_by_version_and_leaves_out_those_that_name_none() -> None:
    answers = [Answer(1.0, "old", 200, 0.1)] * 3 + [Answer(1.0, "new", 500, 0.1), Answer(1.0, None, 503, 0.1)]
    assert share_of_new(answers) == 25.0
    assert share_of_new([Answer(1.0, None, 0, 5.0)]) is None


def test_the_summary_is_a_table_of_labels_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    summary.show([("ended", "Completed"), ("failed requests", "0")], Console(file=io.StringIO()))
    assert capsys.readouterr().out == "\nsummary\n  ended            Completed\n  failed requests  0\n"


def test_verdicts_are_read_from_the_operators_metrics() -> None:
    telemetry = Telemetry()
    status = SyncRolloutStatus(
        criteria=(
            _criterion(Role.SUCCESS, "error-rate", Verdict.UNKNOWN),
            _criterion(Role.ROLLBACK_ON, "error-rate", Verdict.PASS),
            _criterion(Role.TRIGGER, "lost-listings", Verdict.FAIL),
        )
    )
    telemetry.observe_status("listings", "listing-sync", status)
    telemetry.observe_status("listings", "another", SyncRolloutStatus(criteria=status.criteria[:1]))
    text = generate_latest(telemetry.registry).decode()
    assert parse_verdicts(text, "listings", "listing-sync") == {
        ("Success", "error-rate"): "Unknown",
        ("RollbackOn", "error-rate"): "Pass",
        ("Trigger", "lost-listings"): "Fail",
    }


def _criterion(role: Role, metric: str, verdict: Verdict) -> CriterionStatus:
    return CriterionStatus(id=f"{role}/{metric}", role=role, metric=metric, limit="below 1", verdict=verdict, since=0.0)
