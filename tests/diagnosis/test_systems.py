"""The five troubles of the systems: found where they are, and not where they are not."""

from __future__ import annotations

import shlex
from dataclasses import replace

import pytest

from diagnosis.made import MIB, NOW, SINCE, facts, line, pod, spec, status
from syncrollout.api.spec import Sign as Told
from syncrollout.api.words import Side
from syncrollout.diagnosis.facts import Facts, Logs, Matched, Memory, Reading, Workload
from syncrollout.diagnosis.find import Finding, diagnose
from syncrollout.diagnosis.words import OF_SYSTEMS, Certainty, Trouble

STEP = {"budgetSeconds": 900, "started": SINCE, "finished": SINCE}


def found(some: Facts, trouble: Trouble) -> Finding:
    """The one finding of it; there is none of anything else."""
    (finding,) = diagnose(some).findings
    assert finding.trouble is trouble
    return finding


def nothing(some: Facts) -> bool:
    return not diagnose(some).findings


def commands(finding: Finding) -> list[str]:
    return [action.command for action in finding.actions if action.command]


def said(trouble: Trouble, side: Side = Side.NEW, *, lines: int = 5, strong: bool = True) -> Logs:
    return Logs(side, 200, (Matched(side, trouble, "what", strong, lines, "a line"),))


def reading(new: float, old: float, before: float | None = None, **told: object) -> Reading:
    more = {"metric": "duration", "tells": "Slow"} | told
    series = line(new, new) if before is None else (*line(before, before)[:50], *line(new, new)[50:])
    return Reading(Told.model_validate(more), "seconds", new=series, old=line(old, old))


def test_where_all_is_well_nothing_is_found() -> None:
    well = facts(
        memory=(Memory("new-a", Side.NEW, line(200 * MIB, 201 * MIB)),),
        throttled={Side.NEW: 0.05},
        readings=(reading(1.1, 1.0),),
        logs=(Logs(Side.NEW, 500), Logs(Side.OLD, 500)),
    )
    diagnosis = diagnose(well)
    assert diagnosis.findings == ()
    assert diagnosis.clear == tuple(Trouble)
    assert diagnosis.blind == ()


# ---- memory


def test_a_killed_container_is_certain() -> None:
    killed = pod(restarts=2, ended="OOMKilled", exit_code=137, ended_at=NOW - 600)
    finding = found(facts(pods=(killed,)), Trouble.MEMORY)
    assert finding.certainty is Certainty.CERTAIN
    assert finding.sides == (Side.NEW,)
    assert [sign.text for sign in finding.signs] == [
        "container app of pod new-a was killed for want of memory at 2026-01-05T11:50:00Z (2 restarts)"
    ]
    assert {
        "kubectl -n listings top pods --containers -l app=new",
        "kubectl -n listings logs new-a --all-containers --previous --tail=100",
        "kubectl -n listings rollout restart deployment/web-v2",
        "kubectl -n listings set resources deployment/web-v2 --limits=memory=768Mi",
        "kubectl syncrollout rollback move -m 'memory leak' -n listings",
    } <= set(commands(finding))


def test_a_container_that_was_killed_last_week_is_no_proof() -> None:
    killed = pod(restarts=1, ended="OOMKilled", exit_code=137, ended_at=NOW - 7 * 86400)
    assert found(facts(pods=(killed,)), Trouble.MEMORY).certainty is Certainty.POSSIBLE


def test_memory_that_climbs_to_its_limit_is_told_with_the_time_left() -> None:
    finding = found(facts(memory=(Memory("new-a", Side.NEW, line(200 * MIB, 256 * MIB)),)), Trouble.MEMORY)
    assert finding.certainty is Certainty.LIKELY
    (sign,) = finding.signs
    assert sign.text.startswith("memory of pod new-a climbs 56 MiB an hour (")
    assert "to 256 MiB of 512 MiB: at its limit in 4h34m" in sign.text


@pytest.mark.parametrize(
    "memory",
    [
        line(200 * MIB, 203 * MIB),  # too little to tell
        line(256 * MIB, 200 * MIB),  # it falls
        tuple((at, 300 * MIB * (1 - 0.9**number)) for number, (at, _) in enumerate(line(0, 1))),  # it has warmed up
        line(200 * MIB, 300 * MIB, count=5),  # too few
    ],
)
def test_what_does_not_leak_is_no_leak(memory: tuple[tuple[float, float], ...]) -> None:
    assert nothing(facts(memory=(Memory("new-a", Side.NEW, memory),)))


def test_a_process_that_has_just_begun_may_be_warming_up() -> None:
    young = facts(memory=(Memory("new-a", Side.NEW, line(200 * MIB, 256 * MIB, span=900)),))
    assert found(young, Trouble.MEMORY).certainty is Certainty.POSSIBLE


def test_metrics_and_logs_together_are_certain() -> None:
    leaks = facts(memory=(Memory("new-a", Side.NEW, line(200 * MIB, 256 * MIB)),), logs=(said(Trouble.MEMORY),))
    assert found(leaks, Trouble.MEMORY).certainty is Certainty.CERTAIN


# ---- slow


def test_twice_as_slow_as_old_is_likely_and_with_429_certain() -> None:
    slow = facts(readings=(reading(2.5, 1.0),))
    finding = found(slow, Trouble.SLOW)
    assert (finding.certainty, finding.summary) == (Certainty.LIKELY, "new is slow")
    assert finding.signs[0].text == "duration of new reads 2.5 seconds, 2.5 times what old does"
    assert found(replace(slow, logs=(said(Trouble.SLOW),)), Trouble.SLOW).certainty is Certainty.CERTAIN


def test_shares_of_lines_are_told_of_both_sides() -> None:
    both = (said(Trouble.SLOW, lines=50), said(Trouble.SLOW, Side.OLD, lines=1))
    assert found(facts(logs=both), Trouble.SLOW).signs[0].text == (
        "50 of 200 lines of new's logs (25 %, of old's 0.5 %): what, such as: a line"
    )
    alone = facts(logs=both[:1])
    assert found(alone, Trouble.SLOW).signs[0].text.startswith("50 of 200 lines of new's logs (25 %): ")


def test_rate_limit_and_batch_size_are_halved_by_the_command() -> None:
    knobs = Workload(
        "deployment/web-v2", environment={"API_RATE_LIMIT": "100", "SYNC_BATCH_SIZE": "500", "LOG_LEVEL": "info"}
    )
    slow = facts(readings=(reading(2.5, 1.0),), workloads={Side.NEW: knobs}, options=("--context", "prod"))
    change = "kubectl --context prod -n listings set env deployment/web-v2 API_RATE_LIMIT=50 SYNC_BATCH_SIZE=250"
    assert change in commands(found(slow, Trouble.SLOW))


@pytest.mark.parametrize(
    ("told", "there"),
    [
        ({"above": 5}, False),
        ({"above": 2}, True),
        ({"below": 3}, True),
        ({"below": 0.5}, False),
        ({"timesOld": 3}, False),
        ({"timesOld": 2}, True),
    ],
)
def test_limits_of_the_spec_go_before_the_usual_one(told: dict[str, float], there: bool) -> None:
    assert nothing(facts(readings=(reading(2.5, 1.0, **told),))) != there


def test_both_slower_than_before_share_something() -> None:
    both = replace(reading(3.0, 3.0, before=1.0), old=reading(3.0, 3.0, before=1.0).new)
    finding = found(facts(readings=(both,), logs=(said(Trouble.SLOW), said(Trouble.SLOW, Side.OLD))), Trouble.SLOW)
    assert finding.sides == (Side.NEW, Side.OLD)
    assert finding.summary == "new and old are slow: look first at what they share"


def test_without_prometheus_what_the_status_has_judged_is_taken() -> None:
    criterion = {
        "id": "d",
        "role": "RollbackOn",
        "metric": "duration",
        "limit": "above 2 x old",
        "verdict": "Pass",
        "reading": 2.5,
        "baseline": 1.0,
        "since": SINCE,
    }
    blind = facts(
        readings=(Reading(Told.model_validate({"metric": "duration", "tells": "Slow"}), "seconds"),),
        status=status(criteria=[criterion]),
    )
    assert "by the status, 2.5 times what old does" in found(blind, Trouble.SLOW).signs[0].text


def test_a_few_time_outs_are_no_trouble() -> None:
    assert nothing(facts(logs=(said(Trouble.SLOW, lines=2, strong=False),)))
    finding = found(facts(logs=(said(Trouble.SLOW, lines=9, strong=False),)), Trouble.SLOW)
    assert finding.certainty is Certainty.POSSIBLE


def test_what_is_seen_of_old_makes_nothing_of_new_surer() -> None:
    apart = facts(readings=(reading(2.5, 1.0),), logs=(said(Trouble.SLOW, Side.OLD),))
    assert found(apart, Trouble.SLOW).certainty is Certainty.LIKELY


# ---- inconsistent


def rolled_back(**verify: object) -> Facts:
    steps = [STEP | {"name": "VerifyData", "state": "Failed", "exitCode": 3, "message": "it has found damage"} | verify]
    back = {"reason": "TriggerBreached", "message": "errors", "decided": SINCE, "fromWeight": 10, "steps": steps}
    return facts(status=status(state="RolledBack", reason="RolledBack", inFlight=False, rollback=back))


def test_a_verification_that_has_failed_tells_of_data_that_differs() -> None:
    finding = found(rolled_back(), Trouble.INCONSISTENT)
    assert finding.certainty is Certainty.LIKELY
    assert not any("rollback" in command for command in commands(finding)), "it is rolled back already"
    assert nothing(rolled_back(exitCode=None)), "it could not look"


def test_the_jobs_of_the_procedure_are_the_commands() -> None:
    procedure = {
        "verifyData": {"job": {"fromCronJob": "nightly-check"}},
        "restore": {"job": {"fromCronJob": "restore"}},
    }
    differs = facts(spec=spec(rollback={"procedure": procedure}), logs=(said(Trouble.INCONSISTENT),))
    made = commands(found(differs, Trouble.INCONSISTENT))
    assert "kubectl -n listings create job move-differences-by-hand --from=cronjob/nightly-check" in made
    assert "kubectl -n listings create job move-restore-by-hand --from=cronjob/restore" in made
    assert made[0] == "kubectl syncrollout rollback move -m 'data differs' -n listings"
    assert made[1] == "kubectl syncrollout hold move -m 'data differs' -n listings"


# ---- auth, database


def test_credentials_are_named_by_their_secrets() -> None:
    given = Workload("deployment/web-v2", secrets=("sheets-token",))
    finding = found(facts(logs=(said(Trouble.AUTH),), workloads={Side.NEW: given}), Trouble.AUTH)
    assert finding.certainty is Certainty.LIKELY
    assert "kubectl -n listings edit secret sheets-token" in commands(finding)
    assert commands(finding)[-1] == "kubectl -n listings rollout restart deployment/web-v2"


def test_connections_are_counted() -> None:
    given = Workload("deployment/web-v2", environment={"DB_POOL_SIZE": "20"}, replicas=3)
    some = facts(logs=(said(Trouble.DATABASE),), workloads={Side.NEW: given}, pods=(pod("a"), pod("b"), pod("c")))
    finding = found(some, Trouble.DATABASE)
    assert any("3 pods x DB_POOL_SIZE 20 = 60 connections" in action.what for action in finding.actions)
    assert "kubectl -n listings set env deployment/web-v2 DB_POOL_SIZE=10" in commands(finding)


def test_two_lines_are_weaker_than_many() -> None:
    for trouble in OF_SYSTEMS:
        assert found(facts(logs=(said(trouble, lines=2),)), trouble).certainty is Certainty.POSSIBLE


def test_a_cron_job_is_read_and_set_as_kubectl_can() -> None:
    given = Workload("cronjob/web-v2", restartable=False, environment={"DB_POOL_SIZE": "4"})
    made = commands(found(facts(logs=(said(Trouble.DATABASE),), workloads={Side.NEW: given}), Trouble.DATABASE))
    assert made[1].startswith("kubectl -n listings logs new-a --all-containers --prefix --since=3600s | grep -iE ")
    assert "kubectl -n listings set env cronjob/web-v2 DB_POOL_SIZE=2" in made
    assert not any("rollout restart" in command for command in made)
    other = Workload("rollout.argoproj.io/web-v2", restartable=False, settable=False, selector="app=new")
    made = commands(found(facts(logs=(said(Trouble.DATABASE),), workloads={Side.NEW: other}), Trouble.DATABASE))
    assert made[1].startswith("kubectl -n listings logs -l app=new --tail=-1 ")
    assert not any("set env" in command for command in made)


# ---- pods


def test_pods_that_do_not_run_are_named() -> None:
    crashing = pod(ready=False, waiting="CrashLoopBackOff", restarts=7, ended="Error", exit_code=1, ended_at=NOW - 60)
    finding = found(facts(pods=(crashing,)), Trouble.PODS)
    assert finding.certainty is Certainty.CERTAIN
    why = "CrashLoopBackOff (7 restarts, it ended last with Error, exit code 1)"
    assert [sign.text for sign in finding.signs] == [f"container app of pod new-a does not run: {why}"]
    waits = replace(pod(ready=False), scheduled=False, message="0/3 nodes are available: insufficient memory")
    assert "insufficient memory" in found(facts(pods=(waits,)), Trouble.PODS).signs[0].text
    assert nothing(facts(pods=(replace(waits, made=NOW - 5),)))


def test_a_pod_that_was_evicted_is_named_for_a_day() -> None:
    evicted = replace(pod("new-z", ready=False), failed="Evicted")
    finding = found(facts(pods=(pod(), evicted)), Trouble.PODS)
    assert [sign.text for sign in finding.signs] == ["pod new-z has failed: Evicted"]
    assert finding.certainty is Certainty.LIKELY
    assert nothing(facts(pods=(pod(), replace(evicted, made=NOW - 2 * 86400))))


# ---- whom to call, and that every command can be run as it stands


def test_contacts_of_the_trouble_go_before_those_of_all() -> None:
    contacts = [{"who": "DBA", "tells": ["Database"]}, {"who": "listings team"}]
    given = spec(diagnosis={"contacts": contacts})
    assert found(facts(spec=given, logs=(said(Trouble.DATABASE),)), Trouble.DATABASE).call == ("DBA",)
    assert found(facts(spec=given, logs=(said(Trouble.AUTH),)), Trouble.AUTH).call == ("listings team",)


@pytest.mark.parametrize("trouble", OF_SYSTEMS)
def test_every_command_is_a_command(trouble: Trouble) -> None:
    finding = found(facts(logs=(said(trouble), said(trouble, Side.OLD))), trouble)
    assert finding.actions
    for command in commands(finding):
        words = shlex.split(command)
        assert words[0] == "kubectl"
        assert "listings" in words
