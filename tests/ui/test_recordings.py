"""Series for viewers: asked once, few at a time, and never while a decision needs the Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from fakes.kube import FakeKube
from syncrollout.cli import rollout as reading
from syncrollout.decide.facts import Reading
from syncrollout.observe.credentials import Credentials
from syncrollout.ports import Endpoint, Moments, SeriesUnknown
from syncrollout.ui import charts, recordings
from syncrollout.ui.charts import Stretch
from syncrollout.ui.looking import Seen
from syncrollout.ui.recordings import Recordings
from ui.test_view import SPEC, STATUS

NOW = 1_772_366_400.0


def seen(namespace: str = "shop", address: str = "http://prometheus:9090", **spec: Any) -> Seen:
    prometheus = {"address": address, "timeout": "4s"}
    raw = {
        "metadata": {"namespace": namespace, "name": "web", "generation": 1},
        "spec": {**SPEC, "prometheus": prometheus, **spec},
        "status": STATUS,
    }
    return Seen(raw, reading.parse(raw))


class Source:
    """`syncrollout.ports.SeriesSource`: answers when it is told to."""

    def __init__(self, *, takes: float = 0.0, fails: str = "") -> None:
        self.asked: list[tuple[str, str, Moments]] = []
        self.under_way = self.most = 0
        self._takes, self._fails = takes, fails

    async def series(
        self,
        endpoint: Endpoint,
        query: str,
        moments: Moments,
        timeout: float,
        reduce: Callable[[Reading], Reading] = lambda reading: reading,
    ) -> tuple[float | None, ...]:
        self.asked.append((endpoint.address, query, moments))
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        await asyncio.sleep(self._takes)
        self.under_way -= 1
        if self._fails:
            raise SeriesUnknown(self._fails)
        return (1.0, None)


def made(source: Source, *, has_time: Callable[[Endpoint], bool] = lambda _: True) -> Recordings:
    return Recordings(source, Credentials(FakeKube()), has_time=has_time, now=lambda: NOW)


pytestmark = pytest.mark.looptime


async def test_each_series_is_asked_once_for_all_viewers() -> None:
    source = Source(takes=0.1)
    asked = made(source)
    told = await asyncio.gather(*(asked.of(seen(), Stretch.HOUR) for _ in range(20)))
    await asked.of(seen(), Stretch.HOUR)
    # errors of new for the triggers, duration of both sides, and the operator's own weight
    assert len(source.asked) == 4
    assert {(each["metric"], each["side"]) for each in told[0]["series"]} == {
        ("duration", "New"),
        ("duration", "Old"),
        ("errors", "New"),
        ("weight", "New"),
    }
    assert all(each["values"] == (1.0, None) for each in told[0]["series"])
    assert source.most == 1, "of one Prometheus one at a time"


async def test_few_are_under_way_whatever_is_looked_at() -> None:
    source = Source(takes=1.0)
    asked = made(source)
    many = [seen(f"n{number}", f"http://p{number}:9090") for number in range(10)]
    await asyncio.gather(*(asked.of(each, stretch) for each in many for stretch in Stretch))
    assert source.most == recordings.AT_ONCE


async def test_while_decisions_need_the_prometheus_nothing_is_asked_of_it() -> None:
    busy, source = True, Source()
    asked = made(source, has_time=lambda _: not busy)
    task = asyncio.create_task(asked.of(seen(), Stretch.HOUR))
    await asyncio.sleep(1)
    assert source.asked == []
    busy = False
    assert not any(each["why"] for each in (await task)["series"])
    assert len(source.asked) == 4


async def test_one_that_has_no_time_for_long_is_given_up_and_tried_again_later() -> None:
    busy, source = True, Source()
    asked, loop = made(source, has_time=lambda _: not busy), asyncio.get_running_loop()
    began = loop.time()
    told = await asked.of(seen(), Stretch.HOUR)
    assert all("busy" in each["why"] for each in told["series"])
    assert loop.time() - began < recordings.WAITS + 1, "those behind the first do not wait as long again"
    busy = False
    await asyncio.sleep(recordings.TRY_AGAIN + 1)
    assert not any(each["why"] for each in (await asked.of(seen(), Stretch.HOUR))["series"])


async def test_one_that_hangs_costs_one_time_out_and_not_one_for_each_series() -> None:
    source = Source(takes=4.0, fails="no answer within 4 s")
    asked, loop = made(source), asyncio.get_running_loop()
    began = loop.time()
    told = await asked.of(seen(), Stretch.HOUR)
    assert [each["why"] for each in told["series"]] == ["no answer within 4 s"] * 4
    assert (len(source.asked), loop.time() - began) == (1, pytest.approx(4.0))
    await asked.of(seen(), Stretch.HOUR)
    assert len(source.asked) == 1, "what has failed is not asked again at once"
    other = await asked.of(seen("other", "http://well:9090"), Stretch.HOUR)
    assert len(other["series"]) == 4


async def test_a_crowd_of_questions_is_bounded() -> None:
    source = Source(takes=1.0)
    asked = made(source)
    crowd = [
        asyncio.create_task(asked.of(seen(f"n{number}", f"http://p{number}:1"), Stretch.DAY)) for number in range(99)
    ]
    told = [each["why"] for one in await asyncio.gather(*crowd) for each in one["series"]]
    assert len([why for why in told if not why]) == recordings.MOST_WAITING
    assert {why for why in told if why} == {recordings._CROWD}
    await asked.close()


async def test_what_a_viewer_has_given_up_is_finished_for_the_others() -> None:
    source = Source(takes=1.0)
    asked = made(source)
    hasty = asyncio.create_task(asked.of(seen(), Stretch.HOUR))
    patient = asyncio.create_task(asked.of(seen(), Stretch.HOUR))
    await asyncio.sleep(0.5)
    hasty.cancel()
    assert not any(each["why"] for each in (await patient)["series"])
    assert len(source.asked) == 4


async def test_why_there_are_no_series_is_said_and_secrets_are_not() -> None:
    told = await made(Source()).of(seen(prometheus=SPEC["prometheus"]), Stretch.HOUR)
    assert "secret-of-the-team" in told["why"], "the name of the Secret that is to be made, and never what is in it"
    told = await made(Source(fails="refused: Bearer abcdefghijklmn; query: max(x)")).of(seen(), Stretch.HOUR)
    assert {each["why"] for each in told["series"]} == {"refused: Bearer ***"}


@pytest.mark.parametrize("stretch", list(Stretch))
def test_moments_are_bounded_and_the_same_for_viewers_of_one_moment(stretch: Stretch) -> None:
    status = seen().status
    for now in (NOW, NOW + 86400 * 300):
        moments = charts.moments(status, stretch, now)
        count = round((moments.end - moments.start) / moments.step) + 1
        assert count == charts.POINTS
        assert moments.step >= charts.LEAST_STEP
        assert moments.end % moments.step == 0
        assert now - moments.step < moments.end <= now
    assert charts.moments(status, stretch, NOW + 0.4) == charts.moments(status, stretch, NOW)


def test_the_weight_of_a_rollout_is_asked_for_by_its_own_labels_whoever_has_renamed_them() -> None:
    one = charts.wanted(seen().spec, seen().status)[-1]
    query = charts.query(one, seen().spec, "shop", "web", "half")
    assert 'syncrollout_rollout_weight{namespace="shop",name="web"}' in query
    assert 'syncrollout_rollout_weight{exported_namespace="shop",name="web"}' in query
