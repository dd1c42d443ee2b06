"""The operator's own troubles."""

from __future__ import annotations

from typing import Any

import pytest

from diagnosis.made import NOW, SINCE, facts, status
from syncrollout.api.fields import format_time
from syncrollout.diagnosis.facts import Facts, Gap, Lease, Route
from syncrollout.diagnosis.find import Finding, diagnose
from syncrollout.diagnosis.words import Certainty, Trouble

CRITERION = {"id": "e", "role": "Trigger", "metric": "errors", "limit": "above 5", "verdict": "Unknown", "since": SINCE}
SHARDS: dict[str, Any] = {
    "configMap": "slots",
    "epoch": 7,
    "newBelow": 100,
    "oldFrom": 500,
    "newReach": 100,
    "oldReach": 100,
    "stage": "Releasing",
    "losing": ["Old"],
    "since": SINCE,
    "waitingFor": ["old-a", "old-b"],
}
VERIFY = {"weight": 10, "share": 0.0, "verdict": "Fail", "message": "0 % of the traffic reaches new", "since": SINCE}


def lease(*, age: float = 2.0, ahead: float = 0.0, holder: str = "operator-a") -> Lease:
    return Lease("syncrollout-system/syncrollout", holder, 15.0, renewed=NOW - age + ahead, written=NOW - age)


def one(some: Facts) -> Finding | None:
    findings = diagnose(some).findings
    assert len(findings) <= 1, [each.summary for each in findings]
    return findings[0] if findings else None


def what(some: Facts) -> tuple[Trouble, Certainty] | None:
    finding = one(some)
    return (finding.trouble, finding.certainty) if finding is not None else None


def test_an_operator_that_leads_and_a_clock_that_is_right_are_no_trouble() -> None:
    assert one(facts(lease=lease(), recorded=NOW - 60, status=status(refreshed=format_time(NOW - 60.3)))) is None


# ---- rights


@pytest.mark.parametrize(
    ("said", "asked"),
    [
        ('"list" resource "pods" of the core API group in namespace listings; grant it', "list pods"),
        (
            '"patch" resource "httproutes" of API group gateway.networking.k8s.io in namespace listings; grant it',
            "patch httproutes.gateway.networking.k8s.io",
        ),
    ],
)
def test_a_right_that_is_missing_is_certain_and_asked_for_by_name(said: str, asked: str) -> None:
    message = f"list: the operator lacks the right to {said}"
    finding = one(facts(status=status(state="Preflight", reason="Forbidden", message=message)))
    assert finding is not None
    assert (finding.trouble, finding.certainty, finding.page) == (Trouble.RIGHTS, Certainty.CERTAIN, "Forbidden")
    account = "system:serviceaccount:syncrollout-system:syncrollout"
    assert finding.actions[0].command == f"kubectl -n listings auth can-i {asked} --as={account}"


# ---- Prometheus


def test_a_prometheus_that_does_not_answer_the_operator_but_the_person() -> None:
    judged = CRITERION | {"unknown": "Timeout", "message": "Prometheus did not answer within 10 s"}
    finding = one(facts(status=status(criteria=[judged]), prometheus_answers=True))
    assert finding is not None
    assert (finding.trouble, finding.certainty) == (Trouble.PROMETHEUS, Certainty.CERTAIN)
    assert any("NetworkPolicy" in sign.text for sign in finding.signs)
    assert "whoever runs Prometheus" in finding.call


def test_a_query_without_data_is_no_trouble_of_prometheus() -> None:
    assert one(facts(status=status(criteria=[CRITERION | {"unknown": "NoData"}]))) is None


# ---- routes


@pytest.mark.parametrize(
    ("changed", "certainty"),
    [
        ({"status": status(reason="RouterDisobeys", state="Holding", message="the router does not obey")}, "certain"),
        ({"status": status(verify=VERIFY)}, "likely"),
        ({"routes": (Route("HTTPRoute web", ("Accepted is False (NoMatchingParent): no gateway",)),)}, "likely"),
        ({"status": status(verify=VERIFY), "routes": (Route("HTTPRoute web", ("refused",)),)}, "certain"),
        ({"routes": (Route("HTTPRoute web", behind=True),)}, "possible"),
    ],
)
def test_a_route_that_does_not_obey(changed: dict[str, Any], certainty: str) -> None:
    finding = one(facts(**changed))
    assert finding is not None
    assert (finding.trouble, finding.certainty) == (Trouble.ROUTE, certainty)
    assert any(action.command.startswith("kubectl -n listings get httproute.") for action in finding.actions)


def test_somebody_who_keeps_changing_weights_is_likely() -> None:
    def entry(sequence: int, ago: float) -> dict[str, Any]:
        said = {"reason": "DriftRepaired", "message": "Somebody else changed the weights", "run": 1}
        return said | {"sequence": sequence, "time": format_time(NOW - ago)}

    lately = facts(status=status(history=[entry(1, 300), entry(2, 60)]))
    assert what(lately) == (Trouble.ROUTE, Certainty.LIKELY)
    assert one(facts(status=status(history=[entry(1, 8000), entry(2, 7000)]))) is None


# ---- handovers


@pytest.mark.parametrize(
    ("changed", "certainty"),
    [
        ({"deadline": format_time(NOW + 60)}, None),
        ({"deadline": format_time(NOW - 60)}, Certainty.CERTAIN),
        ({"deadline": format_time(NOW + 60), "stage": "GivenBack"}, Certainty.LIKELY),
        ({"stage": "Settled", "losing": []}, None),
    ],
)
def test_a_handover_that_is_stuck(changed: dict[str, Any], certainty: Certainty | None) -> None:
    finding = one(facts(status=status(shards=SHARDS | changed)))
    assert (finding.certainty if finding is not None else None) is certainty
    if finding is not None:
        assert finding.trouble is Trouble.HANDOVER
        assert "kubectl -n listings delete pod old-a" in [action.command for action in finding.actions]


# ---- clocks


@pytest.mark.parametrize(
    ("ahead", "certainty"),
    [(0.9, None), (-4.0, None), (6.0, Certainty.LIKELY), (-11.0, Certainty.LIKELY), (300.0, Certainty.CERTAIN)],
)
def test_a_clock_that_differs(ahead: float, certainty: Certainty | None) -> None:
    assert what(facts(lease=lease(ahead=ahead))) == (None if certainty is None else (Trouble.CLOCK, certainty))


def test_status_and_lease_together_are_certain() -> None:
    both = facts(lease=lease(ahead=10.0), recorded=NOW - 60, status=status(refreshed=format_time(NOW - 50)))
    assert what(both) == (Trouble.CLOCK, Certainty.CERTAIN)


def test_a_status_that_waited_for_its_turn_is_no_clock_that_is_behind() -> None:
    assert one(facts(recorded=NOW, status=status(refreshed=format_time(NOW - 60)))) is None


# ---- no operator


@pytest.mark.parametrize(
    ("stands", "there"),
    [(lease(age=20), False), (lease(age=45), True), (lease(holder=""), True), (lease(age=2, ahead=-3), False)],
)
def test_nobody_leads(stands: Lease, there: bool) -> None:
    assert what(facts(lease=stands)) == ((Trouble.OPERATOR, Certainty.CERTAIN) if there else None)


def test_a_clock_that_is_far_behind_is_not_taken_for_a_dead_operator() -> None:
    assert what(facts(lease=lease(age=2, ahead=-600))) == (Trouble.CLOCK, Certainty.CERTAIN)


def test_a_spec_that_nobody_looks_at() -> None:
    assert what(facts(generation=2, applied=NOW - 300)) == (Trouble.OPERATOR, Certainty.LIKELY)
    assert one(facts(generation=2, applied=NOW - 5)) is None


# ---- the whole


def test_the_surest_comes_first_and_what_is_not_asked_for_is_not_told() -> None:
    some = facts(
        lease=lease(age=600),
        routes=(Route("HTTPRoute web", behind=True),),
        gaps=(Gap("logs", "you may not", frozenset({Trouble.AUTH, Trouble.SLOW})),),
    )
    diagnosis = diagnose(some)
    assert [each.trouble for each in diagnosis.findings] == [Trouble.OPERATOR, Trouble.ROUTE]
    assert diagnosis.blind == (Trouble.SLOW, Trouble.AUTH)
    alone = diagnose(some, [Trouble.ROUTE])
    assert [each.trouble for each in alone.findings] == [Trouble.ROUTE]
    assert (alone.gaps, alone.clear) == ((), ())
