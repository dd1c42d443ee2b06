"""What is asked of Prometheus for a metric: over its window, and since the phase began."""

from __future__ import annotations

from typing import Any

import pytest

from fakes.kube import FakeKube
from fakes.metrics import FakeMetrics
from syncrollout.api.spec import Criterion, SyncRolloutSpec
from syncrollout.api.words import Side, Unknown
from syncrollout.decide import criteria
from syncrollout.decide.facts import Part, Reading, ReadingKey, Span
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.metrics import Metrics
from syncrollout.observe.readings import Readings
from syncrollout.ports import KindRef, ObjectRef

NOW = 1_700_000_000.0
OWNER = ObjectRef(KindRef("syncrollout.io/v1alpha1", "SyncRollout"), "shop", "web")
OF, OVER = "failed{{w='{}'}}[{}]", "items{{w='{}'}}[{}]"
SHARE, COUNT, FRESH = (ReadingKey("failures", part=part) for part in (Part.SHARE, Part.COUNT, Part.FRESH))


class Clock:
    def now(self) -> float:
        return NOW


def spec(**metric: Any) -> SyncRolloutSpec:
    failures = {
        "name": "failures",
        "unit": "percent",
        "ratio": {"of": "failed{w='$workload'}[$window]", "over": "items{w='$workload'}[$window]"},
        "window": "5m",
        "confidence": 95,
    }
    return SyncRolloutSpec.model_validate(
        {
            "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
            "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
            "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
            "prometheus": {"address": "http://prometheus:9090"},
            "metrics": [failures | metric],
            "phases": [{"name": "half", "weight": 50}],
        }
    )


@pytest.fixture
def source() -> FakeMetrics:
    return FakeMetrics()


@pytest.fixture
def metrics(source: FakeMetrics) -> Metrics:
    return Metrics(Readings(source), Credentials(FakeKube()), Clock())


def quotient(workload: str, window: str) -> str:
    return f"({OF.format(workload, window)}) / ({OVER.format(workload, window)}) * 100"


async def test_what_is_counted_is_counted_since_the_phase_began(metrics: Metrics, source: FakeMetrics) -> None:
    source.set(quotient("v2", "1234s"), 0.5)
    source.set(OVER.format("v2", "1234s"), 800.0)
    source.set(OVER.format("v2", "5m"), 70.0)

    read = await metrics.read(spec(), OWNER, "half", frozenset({SHARE, COUNT, FRESH}), NOW - 1234.567)

    span = Span(NOW - 1234.567, 1234.0)
    assert read == {SHARE: Reading(0.5, span=span), COUNT: Reading(800.0, span=span), FRESH: Reading(70.0)}


async def test_events_are_counted_over_the_window_of_the_metric(metrics: Metrics, source: FakeMetrics) -> None:
    source.set(OVER.format("v2", "5m"), 70.0)
    events = ReadingKey("failures", part=Part.EVENTS)

    read = await metrics.read(spec(confidence=None), OWNER, "half", frozenset({events}), NOW - 1234.567)

    assert read == {events: Reading(70.0)}


async def test_several_series_become_one_number_where_the_metric_says_how(
    metrics: Metrics, source: FakeMetrics
) -> None:
    source.set(quotient("v2", "5m"), [0.5, 7.0, 1.0])
    source.set(OVER.format("v2", "5m"), [100.0, 20.0, 30.0])
    value, events = ReadingKey("failures"), ReadingKey("failures", part=Part.EVENTS)
    plain = spec(confidence=None)
    read = await metrics.read(plain, OWNER, "half", frozenset({value, events}))
    assert {reading.unknown for reading in read.values()} == {Unknown.MANY_SERIES}

    read = await metrics.read(spec(confidence=None, aggregate="max"), OWNER, "half", frozenset({value, events}))

    assert read[value] == Reading(7.0, made_of="max of 3 series")
    assert read[events] == Reading(150.0, made_of="sum of 3 series")


@pytest.mark.parametrize(
    ("metric", "asked"),
    [
        ({"staleAfter": "1m"}, "items{w='v2'}[1m]"),
        ({"staleAfter": "1m", "heartbeat": "up{w='$workload'}"}, "count(count_over_time(up{w='v2'}[1m]))"),
        ({"staleAfter": "1m", "heartbeat": "up # of it"}, "count(count_over_time(up # of it\n[1m]))"),
        ({"ratio": None, "query": "sum(rate(x[$window]))", "staleAfter": "90s"}, "sum(rate(x[90s]))"),
        (
            {"ratio": None, "query": "x", "window": None, "staleAfter": "1h", "heartbeat": "y"},
            "count(count_over_time(y[1h]))",
        ),
        ({"confidence": 95}, "items{w='v2'}[5m]"),
        ({"confidence": 95, "staleAfter": "1m"}, "items{w='v2'}[1m]"),
        ({"confidence": 95, "staleAfter": "1m", "heartbeat": "y"}, "count(count_over_time(y[1m]))"),
    ],
)
async def test_whether_the_source_speaks_is_asked_within_stale_after(
    metrics: Metrics, source: FakeMetrics, metric: dict[str, Any], asked: str
) -> None:
    source.set(asked, 1.0)

    read = await metrics.read(spec(**{"confidence": None} | metric), OWNER, "half", frozenset({FRESH}), NOW - 9999)

    assert read == {FRESH: Reading(1.0)}
    assert [each.query for each in source.asked] == [asked]


@pytest.mark.parametrize("given", [{}, {"aggregate": "max"}])
def test_who_does_not_ask_for_it_asks_no_more(given: dict[str, Any]) -> None:
    plan = spec(confidence=None, **given)
    plan = plan.model_copy(
        update={"phases": (plan.phases[0].model_copy(update={"success": (Criterion(metric="failures", below=1),)}),)}
    )
    assert criteria.phase_readings(plan, plan.phases[0]) == {ReadingKey("failures")}


async def test_settle_and_side_are_part_of_what_is_asked(metrics: Metrics, source: FakeMetrics) -> None:
    key = ReadingKey("failures", Side.OLD, Part.COUNT, 60.0)
    source.set(OVER.format("v1", "9m"), 10.0)

    read = await metrics.read(spec(), OWNER, "half", frozenset({key}), NOW - 600)

    assert read == {key: Reading(10.0, span=Span(NOW - 540, 540.0))}


async def test_before_the_start_it_is_seen_that_it_can_be_asked(metrics: Metrics, source: FakeMetrics) -> None:
    source.set(quotient("v2", "5m"), 0.5)

    read = await metrics.read(spec(), OWNER, "half", frozenset({SHARE, COUNT}))

    assert read[SHARE] == Reading(0.5), "of no phase: nothing is judged by it"
    assert read[COUNT].unknown is Unknown.NO_DATA


async def test_nothing_is_asked_of_a_phase_that_has_only_begun(metrics: Metrics, source: FakeMetrics) -> None:
    read = await metrics.read(spec(), OWNER, "half", frozenset({COUNT}), NOW - 0.5)

    assert read[COUNT].unknown is Unknown.SETTLING
    assert source.asked == []


async def test_what_it_reads_now_is_over_its_window_as_ever(metrics: Metrics, source: FakeMetrics) -> None:
    source.set(quotient("v2", "5m"), 0.5)
    now = ReadingKey("failures")

    assert await metrics.read(spec(), OWNER, "half", frozenset({now}), NOW - 9999) == {now: Reading(0.5)}
