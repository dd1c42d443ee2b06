"""Filling in a metric's PromQL: what becomes of variables, and what a person is told where one cannot be filled in."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncrollout.api.spec import Metric, Ratio, SystemSpec, Trigger, WorkloadRef
from syncrollout.api.words import Reason
from syncrollout.observe.queries import QueryError, fill, promql_duration

OLD = SystemSpec(workload=WorkloadRef(kind="Deployment", name="sync-v1"))
NEW = SystemSpec(workload=WorkloadRef(kind="Deployment", name="sync-v2"), service="sync-web")


def filled(query: str, system: SystemSpec = NEW, window: str | None = "5m") -> str:
    metric = Metric.model_validate({"name": "errors", "query": query, "window": window})
    return fill(metric, system, "listings", "small-traffic")


def test_every_variable_is_filled_in() -> None:
    query = 'f{w="$workload",s="$service",n="$namespace",p="$phase"}[$window]'
    assert filled(query) == 'f{w="sync-v2",s="sync-web",n="listings",p="small-traffic"}[5m]'


def test_the_same_query_asks_for_either_side() -> None:
    assert filled('f{w="$workload"}', OLD) == 'f{w="sync-v1"}'
    assert filled('f{w="$workload"}', NEW) == 'f{w="sync-v2"}'


def test_braces_end_a_name_where_text_follows() -> None:
    assert filled('f{pod=~"${workload}_[a-z]+"}') == 'f{pod=~"sync-v2_[a-z]+"}'
    assert filled("f[${window}:]") == "f[5m:]"


@pytest.mark.parametrize(
    "query",
    [
        'f{a=~"^old$"}',
        'f{a=~"x$|y$"}',
        'label_replace(f, "to", "$1", "from", "(.*)")',
        'label_replace(f, "to", "${1}-x", "from", "(.*)")',
        'f{a="$"}',
        'f{a="costs 5$ each"}',
    ],
)
def test_a_dollar_sign_of_promql_itself_is_left_alone(query: str) -> None:
    assert filled(query) == query


@pytest.mark.parametrize(
    ("seconds", "text"), [(300, "5m"), (90, "90s"), (3600, "1h"), (604_800, "1w"), (5400, "90m"), (0.25, "250ms")]
)
def test_a_window_is_one_number_and_one_unit(seconds: float, text: str) -> None:
    assert promql_duration(seconds) == text


@given(st.integers(min_value=1, max_value=10**12))
def test_a_window_keeps_its_length(milliseconds: int) -> None:
    units = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
    match = re.fullmatch(r"([0-9]+)([a-z]+)", promql_duration(milliseconds / 1000))
    assert match is not None
    assert int(match[1]) * units[match[2]] == milliseconds


def test_a_ratio_is_a_quotient_and_percent_multiplies_it() -> None:
    ratio = Ratio(of='sum(failed{w="$workload"})', over='sum(items{w="$workload"}) + 1')
    plain = fill(Metric(name="errors", ratio=ratio), NEW, "listings", "p")
    percent = fill(Metric(name="errors", ratio=ratio, unit="percent"), NEW, "listings", "p")
    assert plain == '(sum(failed{w="sync-v2"})) / (sum(items{w="sync-v2"}) + 1)'
    assert percent == f"{plain} * 100"


def test_a_comment_at_the_end_of_a_part_does_not_swallow_the_rest() -> None:
    query = fill(Metric(name="errors", ratio=Ratio(of="a # failed", over="b")), NEW, "listings", "p")
    assert query == "(a # failed\n) / (b)"


@pytest.mark.parametrize(
    ("query", "variable", "says"),
    [
        ("f{a='$pod'}", "pod", "$pod is not known: use one of $workload, $service"),
        ("f{a='${pod}'}", "pod", "${pod} is not known"),
        ("f{a='$workloads'}", "workloads", "write ${workload}s"),
        ("f{a='$workload_x'}", "workload_x", "write ${workload}_x"),
        ("rate(f[$__rate_interval])", "__rate_interval", "write $window"),
        ("f{a='${workload'}", "workload", "has no closing brace"),
        ("f{a='$Workload'}", "Workload", "is not known"),
    ],
)
def test_what_is_not_known_is_refused_with_the_mend(query: str, variable: str, says: str) -> None:
    with pytest.raises(QueryError) as caught:
        filled(query)
    assert caught.value.metric == "errors"
    assert caught.value.variable == variable
    assert says in str(caught.value)
    assert "metric errors" in str(caught.value)


def test_a_side_without_a_service_cannot_fill_in_service() -> None:
    with pytest.raises(QueryError, match=r"metric errors: \$service .* spec\.old\.service") as caught:
        filled('f{s="$service"}', OLD)
    assert caught.value.problem.reason is Reason.QUERY_INVALID
    assert caught.value.problem.message == str(caught.value)


def test_a_metric_without_window_cannot_fill_in_window() -> None:
    with pytest.raises(QueryError, match=r"metric errors: \$window .* give it one, such as window: 5m"):
        filled("f[$window]", window=None)


def test_nothing_that_could_end_a_string_is_filled_in() -> None:
    sly = WorkloadRef.model_construct(kind="Deployment", name='x"} or vector(1) #')
    with pytest.raises(QueryError, match="cannot be filled in"):
        filled('f{w="$workload"}', SystemSpec.model_construct(workload=sly, service=None))


def test_what_is_filled_in_is_not_looked_at_again() -> None:
    metric = Metric(name="errors", query="$phase$workload")
    assert fill(metric, NEW, "listings", "workload") == "workloadsync-v2"


def test_an_alert_is_named_as_one_where_its_labels_cannot_be_filled_in() -> None:
    trigger = Trigger.model_validate({"severity": "Critical", "alert": "Loss", "match": {"host": "$host"}})
    with pytest.raises(QueryError, match=r"^alert Loss\{host=\$host\}: \$host is not known"):
        fill(trigger.firing, NEW, "listings", "")


def test_the_labels_of_an_alert_are_filled_in_and_its_name_is_not() -> None:
    match = {"workload": "$workload", "price": "5$"}
    trigger = Trigger.model_validate({"severity": "Critical", "alert": "$workload", "match": match})
    expected = r'alertname="\x24workload",alertstate="firing",namespace=~"|listings",price="5$",workload="sync-v2"'
    assert fill(trigger.firing, NEW, "listings", "") == f"count(ALERTS{{{expected}}}) or vector(0)"
