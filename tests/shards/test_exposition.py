"""The obeyed epoch as Prometheus gets it."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, Gauge, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from syncrollout.shards import Assignment, Shards, feed, metrics, serve

Make = Callable[..., Shards]


def read(text: str) -> dict[str, float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    assert {tuple(sample.labels.items()) for sample in samples} == {(("uid", "u-1"),)}
    return {sample.name.removeprefix("syncrollout_shards_"): sample.value for sample in samples}


def test_the_lines_say_what_is_obeyed_seen_and_in_flight(mount: Any, make: Make) -> None:
    shards = make("old", uid="u-1")
    assert read(metrics(shards)) == {"epoch": 0, "epoch_seen": 0, "items_in_flight": 0}
    mount.put(Assignment(1, 0, 0))
    shards.look()
    with shards.item("a"):
        mount.put(Assignment(2, 1000, 1000))
        shards.look()
        assert read(metrics(shards)) == {"epoch": 1, "epoch_seen": 2, "items_in_flight": 1}
    assert read(metrics(shards)) == {"epoch": 2, "epoch_seen": 2, "items_in_flight": 0}


def test_a_scrape_looks_at_the_file_by_itself(mount: Any, make: Make, clock: Any) -> None:
    mount.put(Assignment(1, 0, 0))
    shards = make("old", uid="u-1")
    mount.put(Assignment(2, 0, 100))
    clock.now += 60
    assert read(metrics(shards))["epoch"] == 2


def test_an_idle_worker_s_page_says_what_it_obeys(mount: Any) -> None:
    mount.put(Assignment(1, 0, 0))
    shards = Shards("old", mount.path, uid="u-1", interval=0.0)
    server = serve(shards, address="127.0.0.1")
    try:
        mount.put(Assignment(2, 0, 100))
        status, text = get(server.port, "/metrics")
        assert (status, read(text)["epoch"]) == (200, 2)
        assert get(server.port, "/")[0] == 404
    finally:
        server.stop()
    with pytest.raises(ConnectionRefusedError):
        get(server.port, "/metrics")


def test_the_page_is_served_on_all_addresses_unless_told_otherwise(mount: Any) -> None:
    server = serve(Shards("old", mount.path, uid="u-1"))
    try:
        assert get(server.port, "/metrics")[0] == 200
    finally:
        server.stop()


def test_prometheus_client_tells_it_by_a_gauge_of_the_worker_s_own(mount: Any, make: Make) -> None:
    mount.put(Assignment(5, 0, 0))
    registry = CollectorRegistry()
    shards = make("old", uid="u-1")
    feed(shards, Gauge("syncrollout_shards_epoch", "The epoch that this pod obeys.", ["uid"], registry=registry))
    assert read(generate_latest(registry).decode()) == {"epoch": 5}
    mount.put(Assignment(6, 0, 0))
    shards.look()
    assert read(generate_latest(registry).decode()) == {"epoch": 6}


@pytest.mark.parametrize("uid", ["", 'a"b', "a\n"])
def test_without_the_pod_s_uid_nothing_is_told_and_the_reason_is(uid: str, make: Make) -> None:
    shards = make("old", uid=uid)
    gauge = Gauge("syncrollout_shards_epoch", "Obeyed.", ["uid"], registry=None)
    calls: list[Callable[[Shards], object]] = [metrics, serve, lambda shards: feed(shards, gauge)]
    for call in calls:
        with pytest.raises(ValueError, match="SYNCROLLOUT_POD_UID"):
            call(shards)


def get(port: int, path: str) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()
