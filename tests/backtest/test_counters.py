"""What `docs/judging.md` says of counters and of young phases, on a real Prometheus with a known history."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from backtest.plan import MINUTE, T0
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Reason
from syncrollout.backtest.history import Archive, Moments
from syncrollout.backtest.prometheus import PrometheusHistory
from syncrollout.backtest.replay import Replay
from syncrollout.backtest.story import Outcome, Story
from syncrollout.ports import Endpoint
from testbed import Prometheus
from testbed.prometheus import openmetrics

pytestmark = pytest.mark.cluster

Samples = list[tuple[float, float]]
Series = tuple[dict[str, str], Samples]
FIRST, LAST = -10.0, 70.0
"""Minutes of the rollout between which something is recorded, every 15 s."""


def _counter(
    per_minute: float, *, since: float = FIRST, until: float = LAST, resets: tuple[float, ...] = (), start: float = 0.0
) -> Samples:
    """A counter from `since` until `until`, which begins again at 0 at each of `resets`, as a pod that restarts."""
    samples, total = [], start
    for number in range(round((until - since) * 4)):
        minute = since + number / 4
        total = 0.0 if minute in resets else total + per_minute / 4
        samples.append((T0 + minute * MINUTE, total))
    return samples


def _history() -> dict[str, list[Series]]:
    """By `case`: items, and how many of them fail."""

    def of(case: str, items: Samples, failed: Samples, pod: str = "a") -> None:
        found["items_total"].append(({"case": case, "pod": pod}, items))
        found["failed_total"].append(({"case": case, "pod": pod}, failed))

    found: dict[str, list[Series]] = {"items_total": [], "failed_total": []}
    resets = (20.0, 27.5, 40.0)
    of("restarted", _counter(400, resets=resets), _counter(4, resets=resets))
    of("replaced", _counter(400, until=30), _counter(4, until=30))
    of("replaced", _counter(400, since=30, start=-100), _counter(4, since=30, start=-1), "b")
    found["items_total"].append(({"case": "unseen", "pod": "a"}, _counter(400)))
    found["failed_total"].append(({"case": "unseen", "pod": "a"}, _counter(0, since=20, start=200.0)))
    of("seen", _counter(400), [*_counter(0, until=20), *_counter(0, since=20, start=200.0)])
    bad_before = _counter(200, until=0)
    of("young", _counter(400), [*bad_before, *_counter(0, since=0, start=bad_before[-1][1])])
    return found


@pytest.fixture(scope="module")
def recorded_prometheus(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prometheus]:
    with Prometheus(tmp_path_factory.mktemp("counters"), history=openmetrics(_history())) as started:
        yield started


def _replay(
    prometheus: Prometheus, case: str, phase: dict[str, Any], *, of: str = "sum(increase(failed_total{c}[$window]))"
) -> Story:
    """A rollout with one phase at 50 %, from minute 0 to minute 60, judged by the share that fails."""
    labels = f'{{case="{case}"}}'
    ratio = {"of": of.replace("{c}", labels), "over": f"sum(increase(items_total{labels}[$window]))"}
    spec = {
        "old": {"workload": {"kind": "Deployment", "name": "v1"}, "service": "v1"},
        "new": {"workload": {"kind": "Deployment", "name": "v2"}, "service": "v2"},
        "traffic": {"routes": [{"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "name": "web"}]},
        "prometheus": {"address": "http://prometheus:9090", "interval": "30s"},
        "metrics": [{"name": "failures", "unit": "percent", "ratio": ratio, "window": "5m"}],
        "phases": [{"name": "half", "weight": 50} | phase],
    }
    moments = Moments(round(T0 * 1000), 30_000, 121)
    archive = Archive(PrometheusHistory(Endpoint(prometheus.address), timeout=30.0), moments)
    return Replay(SyncRolloutSpec.model_validate(spec), "default", archive).run()


@pytest.mark.parametrize("case", ["restarted", "replaced"])
def test_a_pod_that_restarts_or_is_replaced_is_no_breach(recorded_prometheus: Prometheus, case: str) -> None:
    """Its counters begin at 0 again; the share goes on as it was."""
    limits = [{"metric": "failures", "above": 1.1}, {"metric": "failures", "below": 0.9}]
    story = _replay(recorded_prometheus, case, {"duration": "55m", "rollbackOn": limits})
    assert story.outcome is Outcome.COMPLETES, story.back
    seen = story.visits[0].seen["failures"]
    assert (seen.lowest, seen.highest) == pytest.approx((1.0, 1.0), abs=0.05)


def test_a_series_that_begins_with_its_first_failures_does_not_show_them(recorded_prometheus: Prometheus) -> None:
    """Two hundred failures at once, of a counter that was not there before and of one that had stood at 0."""
    back = {"duration": "55m", "rollbackOn": [{"metric": "failures", "above": 1}]}
    failed = "sum(increase(failed_total{c}[$window])) or vector(0)"
    assert _replay(recorded_prometheus, "unseen", back, of=failed).outcome is Outcome.COMPLETES
    story = _replay(recorded_prometheus, "seen", back, of=failed)
    assert story.back is not None
    assert story.ended == T0 + 20 * MINUTE


def test_a_phase_younger_than_the_window_is_not_judged_by_what_was_before_it(recorded_prometheus: Prometheus) -> None:
    """Half of all failed until the phase began, and none since."""
    success = {"duration": "1m", "success": [{"metric": "failures", "below": 1}]}
    story = _replay(recorded_prometheus, "young", success)
    (hold,) = story.visits[0].holds
    assert (hold.reason, hold.since, hold.until) == (Reason.CRITERIA_NOT_MET, T0 + MINUTE, T0 + 5 * MINUTE)
    assert "data older than the phase is not judged: settles for 5m" in hold.message

    hasty = {"duration": "1m", "success": [{"metric": "failures", "below": 1, "settle": "0s"}]}
    (hold,) = _replay(recorded_prometheus, "young", hasty).visits[0].holds
    assert "percent, has to be below 1 percent" in hold.message, "what was bad before is still in the window"


def test_what_was_bad_before_the_phase_sends_it_back_unless_it_settles(recorded_prometheus: Prometheus) -> None:
    back = {"duration": "10m", "rollbackOn": [{"metric": "failures", "above": 5}]}
    story = _replay(recorded_prometheus, "young", back)
    assert story.back is not None
    assert story.ended == T0

    settled = {"duration": "10m", "rollbackOn": [{"metric": "failures", "above": 5, "settle": "5m"}]}
    assert _replay(recorded_prometheus, "young", settled).outcome is Outcome.COMPLETES
