"""What people report by the plugin, and what they say to it."""

from __future__ import annotations

from typing import Any

import pytest

from cli.cluster import FakeCluster, Obj, tell
from cli.test_asking import Person, annotations, rollout
from syncrollout.api.status import ReportCounts, ReportsStatus, ReportStatus
from syncrollout.api.words import Severity
from syncrollout.cli.answers import Ended
from syncrollout.cli.asking import NOT_TAKEN_IN, POINTLESS, DryRun, Manner
from syncrollout.cli.reporting import Report, Reporting, open_reports
from syncrollout.decide import reported

GONE = Report(Severity.HIGH, "half of the listings are gone")
ANNOTATION = "syncrollout.io/report-0a1b2c"


def told(cluster: FakeCluster, report: Report = GONE, person: Person | None = None, **manner: Any) -> list[str]:
    """What the person reads."""
    person = person or Person()
    Reporting(cluster, report, Manner(**manner), person.terminal(), lambda: "0a1b2c").run("move")
    return person.read


def takes_in(obj: Obj) -> None:
    """An operator that counts what is reported."""
    prefix = "syncrollout.io/report-"
    found = {name.removeprefix(prefix): value for name, value in obj["metadata"]["annotations"].items()}
    taken = "".join(reported.digest(*each) for each in found.items())
    obj["status"]["reports"] = {"number": len(found), "open": {"high": len(found)}, "taken": taken}


def test_it_is_signed_counted_and_said_what_came_of_it() -> None:
    cluster = FakeCluster(rollout())
    cluster.operator = takes_in
    assert told(cluster) == [
        "listings/move is Progressing: Phase 1/2 half: 50 %",
        f"Reported: {ANNOTATION}=high by kim@example.com: half of the listings are gone",
        "Taken in. Open in this phase: 1 High",
        "listings/move is Progressing: Phase 1/2 half: 50 %",
    ]
    assert annotations(cluster) == {ANNOTATION: "high by kim@example.com: half of the listings are gone"}


def test_who_reports_for_somebody_else_says_so() -> None:
    cluster = FakeCluster(rollout())
    told(cluster, Report(Severity.LOW, "slow", by="the support desk"), wait=0.0)
    assert annotations(cluster) == {ANNOTATION: "low by the support desk: slow"}


def test_it_writes_over_nobody_whatever_is_changed_meanwhile() -> None:
    def somebody(obj: Obj) -> None:
        obj["metadata"]["annotations"] = {"syncrollout.io/report-ffffff": "high: it is empty"}

    cluster = FakeCluster(rollout())
    cluster.before_write, cluster.operator = [somebody], takes_in
    assert "Taken in. Open in this phase: 2 High" in told(cluster)
    assert len(annotations(cluster)) == 2


def test_while_no_run_is_under_way_nothing_is_reported() -> None:
    cluster = FakeCluster(rollout(state="Completed", inFlight=False))
    person = Person()
    with pytest.raises(Ended) as ended:
        told(cluster, person=person)
    assert ended.value.code == POINTLESS
    assert person.read[-1] == "Nothing was done: no run is under way, so the report would count nowhere"
    assert annotations(cluster) == {}


def test_that_the_run_ended_meanwhile_is_an_exit_code() -> None:
    def too_late(obj: Obj) -> None:
        takes_in(obj)
        tell(obj["status"], "RequestIgnored", f"{ANNOTATION} was not counted, for no run is under way: High: gone")

    cluster = FakeCluster(rollout())
    cluster.operator = too_late
    with pytest.raises(Ended) as ended:
        told(cluster)
    assert ended.value.code == POINTLESS


def test_without_an_operator_it_ends_with_a_code_of_its_own() -> None:
    person = Person()
    with pytest.raises(Ended) as ended:
        told(FakeCluster(rollout()), person=person, wait=20.0)
    assert ended.value.code == NOT_TAKEN_IN
    assert person.read[-1].startswith("Not taken in within 20 s: is the operator running?")


@pytest.mark.parametrize(("dry_run", "tried"), [(DryRun.CLIENT, 0), (DryRun.SERVER, 1)])
def test_a_dry_run_reports_nothing(dry_run: DryRun, tried: int) -> None:
    cluster = FakeCluster(rollout())
    assert told(cluster, dry_run=dry_run)[-1].startswith(f"Would annotate listings/move with {ANNOTATION}=high by")
    assert annotations(cluster) == {}
    assert len(cluster.tried) == tried


def test_who_answers_reads_first_what_there_is_to_answer() -> None:
    def one(number: int, by: str, at: float) -> ReportStatus:
        return ReportStatus(number=number, run=1, phase="half", at=at, severity=Severity.LOW, by=by, message="slow")

    latest = (one(1, "lee", 5.0), one(2, "lee", 20.0), one(3, "", 30.0))
    reports = ReportsStatus(number=3, entered=10.0, open=ReportCounts(low=1), answered=2, latest=latest)
    assert open_reports(reports) == ["Open in this phase: 1 Low", "  3: Low: slow"]
