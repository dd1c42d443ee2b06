"""Alerting rules: what they ask is what the operator asks, and what they say cannot be misread."""

from __future__ import annotations

import pytest

from monitoring.subjects import alerting, subject
from syncrollout.api.spec import RulesAs
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.objects import LARGEST, rules_object, rules_text
from syncrollout.monitoring.rules import Rule, rules_file
from syncrollout.observe.queries import fill

RATIO = {
    "name": "failed-share",
    "unit": "percent",
    "window": "5m",
    "ratio": {"of": 'sum(failed{s="$service"}[$window])', "over": "sum(all[$window]) # of all"},
}


def rules(of: Subject) -> list[Rule]:
    [group] = rules_file(of)["groups"]
    assert group["name"] == "syncrollout-web-move"
    found: list[Rule] = group["rules"]
    return found


def expression(of: Subject) -> str:
    text: str = rules(of)[0]["expr"]
    return text


@pytest.mark.parametrize(
    ("limit", "ends"),
    [
        ({"above": 5}, "> 5"),
        ({"below": 0.5}, "< 0.5"),
        ({"atLeast": -1}, ">= -1"),
        ({"atMost": 1e-7}, "<= 1e-07"),
        ({"above": 1e300}, "> 1e+300"),
    ],
)
def test_a_limit_is_a_comparison_of_what_the_operator_asks(limit: dict[str, float], ends: str) -> None:
    of = alerting(limit)
    assert expression(of) == f"({fill(of.spec.metrics[0], of.spec.new, 'web', '')}) {ends}"


def test_a_ratio_is_the_quotient_that_the_operator_asks_for() -> None:
    of = alerting({"above": 1}, metric=RATIO)
    assert expression(of) == '((sum(failed{s="web-v2"}[5m])) / (sum(all[5m]) # of all\n) * 100\n) > 1'


def test_a_multiple_of_old_needs_one_series_that_is_not_zero() -> None:
    of = alerting({"atLeast": 2, "relativeTo": "Old"})
    assert expression(of) == ('(sum(errors{workload="web-v2"})) >= 2 * scalar((sum(errors{workload="web-v1"})) != 0)')


def test_several_series_become_one_as_the_metric_says() -> None:
    metric = {"name": "errors", "query": "errors", "aggregate": "max"}
    assert expression(alerting({"above": 1}, metric=metric)) == "max(errors) > 1"


SCALARS = (
    "1",
    "-1.5e3",
    "time()",
    "scalar(up)",
    "time ( ) - scalar(max(up{a=')'}))",
    "(scalar (a) + 2) / 3 # of a",
    "2 > bool 1",
)
VECTORS = (
    "up",
    "time() - up",
    "scalar(a) * b",
    "vector(1)",
    "scalars",
    "sum(scalar(a) * b)",
    "e5",
    'up{a="scalar(1)"}',
    "up # scalar(",
    f"up + {'1' * 64} * up",
    f"{'1' * 64} * up",
)
NO_QUERY = f"{'1.' * 2000} up"
"""Prometheus would refuse it; to look at it must take no longer for that."""


@pytest.mark.parametrize("query", SCALARS)
def test_a_scalar_is_made_a_vector_for_rules_take_nothing_else(query: str) -> None:
    assert expression(alerting({"above": 1}, metric={"name": "a", "query": query})).startswith("vector(")


@pytest.mark.parametrize("query", [*VECTORS, pytest.param(NO_QUERY, id="no-query")])
def test_a_vector_is_left_as_it_is(query: str) -> None:
    end = "\n" if "#" in query else ""
    assert expression(alerting({"above": 1}, metric={"name": "a", "query": query})) == f"({query}{end}) > 1"


def test_old_is_asked_for_old() -> None:
    [rule] = rules(alerting({"below": 1, "side": "Old"}))
    assert rule["expr"] == '(sum(errors{workload="web-v1"})) < 1'
    assert (rule["alert"], rule["labels"]["side"]) == ("ErrorsHighOld", "old")


def test_what_cannot_be_read_fires_too_where_it_is_asked_for() -> None:
    read = '(sum(errors{workload="web-v2"}))'
    assert expression(alerting({"below": 1, "orNoData": True})) == f"({read} < 1) or absent(abs({read}) < +Inf)"


def test_a_silent_source_is_no_data_although_the_query_answers() -> None:
    metric = {
        "name": "down",
        "query": 'count(up{s="$service"} == 0) or vector(0)',
        "staleAfter": "2m",
        "heartbeat": 'up{s="$service"}',
    }
    told = rules(alerting({"above": 0}, metric=metric))[1]
    assert told["alert"] == "DownNoData"
    assert told["expr"] == (
        'absent(abs((count(up{s="web-v2"} == 0) or vector(0))) < +Inf) '
        'or absent(count(count_over_time(up{s="web-v2"}[2m])))'
    )


def test_no_data_is_told_once_a_metric_by_when_the_operator_asks_a_person() -> None:
    alerts = ({"above": 5}, {"above": 2, "severity": "Low"})
    told = [rule for rule in rules(alerting(*alerts)) if rule["alert"] == "ErrorsNoData"]
    assert [(rule["for"], rule["labels"]["severity"]) for rule in told] == [("1h", "medium")]
    [sooner] = [rule for rule in rules(alerting(*alerts, noData={"severity": "High", "for": "90s"})) if "for" in rule]
    assert (sooner["for"], sooner["labels"]["severity"]) == ("90s", "high")


def test_the_gravest_come_first_and_say_how_grave_they_are() -> None:
    of = alerting({"above": 1, "severity": "Low"}, {"above": 5, "severity": "Critical", "for": "10m"})
    first, second, _ = rules(of)
    assert (first["alert"], first["for"]) == ("ErrorsCritical", "10m")
    assert (second["alert"], "for" in second) == ("ErrorsLow", False)
    assert first["labels"] == {
        "severity": "critical",
        "rollout": "move",
        "namespace": "web",
        "metric": "errors",
        "side": "new",
    }


def test_an_alert_has_a_name_a_summary_and_labels_of_its_own() -> None:
    of = alerting({"above": 1, "name": "WebBroken", "summary": "Web is broken"}, labels={"team": "web"})
    [rule, _] = rules(of)
    assert (rule["alert"], rule["annotations"]["summary"], rule["labels"]["team"]) == (
        "WebBroken",
        "Web is broken",
        "web",
    )
    assert "runbook_url" not in rule["annotations"]


def test_it_links_to_the_page_of_its_kind() -> None:
    metric = {"name": "cpu", "kind": "resource", "query": "cpu"}
    for base in ("https://wiki/runbook", "https://wiki/runbook/"):
        links = [
            rule["annotations"]["runbook_url"]
            for rule in rules(alerting({"above": 1}, metric=metric, runbookBase=base))
        ]
        assert links == ["https://wiki/runbook/metric-resource.md", "https://wiki/runbook/unknown.md"]


def test_what_people_wrote_is_no_template() -> None:
    metric = {"name": "errors", "query": "errors", "description": "Of {{ $labels.pod }}", "unit": "{{x}}"}
    of = alerting({"above": 1, "summary": "{{ query `up` }}"}, metric=metric, labels={"team": "{{ 1 }}"})
    rule = rules(of)[0]
    assert rule["annotations"]["summary"] == '{{ "{{" }} query `up` }}'
    assert rule["labels"]["team"] == '{{ "{{" }} 1 }}'
    assert rule["annotations"]["description"].startswith('Of {{ "{{" }} $labels.pod }}. It reads ')


@pytest.mark.parametrize(
    ("of", "said"),
    [
        (alerting({}), "the alert on errors needs a limit: give exactly one of above, below, atLeast and atMost"),
        (alerting({"above": 1, "below": 0}), "give exactly one of"),
        (
            subject(monitoring={"alerts": [{"metric": "absent", "severity": "Low", "above": 1}]}),
            "an alert names metric absent, which is not in spec.metrics",
        ),
        (
            alerting({"above": 1}, metric={"name": "errors", "query": 'errors{phase="$phase"}'}),
            r"metric errors uses \$phase, and an alert holds in every phase",
        ),
        (
            alerting({"above": 1}, metric={"name": "errors", "query": "errors[$interval]"}),
            r"metric errors: \$interval is known to Grafana alone",
        ),
    ],
)
def test_what_cannot_be_made_is_said(of: Subject, said: str) -> None:
    with pytest.raises(MonitoringError, match=said):
        rules_file(of)


def test_a_prometheus_rule_and_a_config_map_say_the_same() -> None:
    of = alerting({"above": 1}, rules={"labels": {"release": "prometheus"}})
    rule, config_map = (rules_object(of, form) for form in (RulesAs.PROMETHEUS_RULE, RulesAs.CONFIG_MAP))
    assert (rule["apiVersion"], rule["kind"]) == ("monitoring.coreos.com/v1", "PrometheusRule")
    assert rule["spec"] == rules_file(of)
    assert (config_map["apiVersion"], config_map["kind"]) == ("v1", "ConfigMap")
    assert config_map["data"] == {"rules.yaml": rules_text(of)}
    labels = {"release": "prometheus", "syncrollout.io/rollout": "move"}
    assert rule["metadata"] == config_map["metadata"] == {"name": "move-alerts", "namespace": "web", "labels": labels}


def test_more_than_an_object_holds_is_refused() -> None:
    metrics = [{"name": f"m{number}", "query": f"sum({'a' * 4000})"} for number in range(32)]
    alerts = [
        {
            "metric": each["name"],
            "severity": "Low",
            "above": 1,
            "relativeTo": "Old",
            "orNoData": True,
            "summary": "x" * 1024,
        }
        for each in metrics
    ]
    of = subject(metrics=metrics, monitoring={"alerts": [*alerts, *alerts]})
    with pytest.raises(
        MonitoringError, match=f"spec.monitoring.alerts comes to [0-9]+ bytes, and an object holds {LARGEST}"
    ):
        rules_object(of, RulesAs.CONFIG_MAP)
    assert len(rules_text(of)) > LARGEST, "a file may be as long as it likes"
