"""Many pods in one number: what a query says about each of them, also as a real Prometheus answers it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncrollout.observe.acks import METRIC, MOST, Ack, answers, query
from testbed import Exporter, Prometheus


@given(st.lists(st.sampled_from([0, 1, 2, 3]), min_size=1, max_size=MOST))
def test_each_pod_has_its_bits_and_no_float_loses_any(bits: list[int]) -> None:
    number = sum(one << 2 * place for place, one in enumerate(bits))
    assert float(number) == number
    words = {0: Ack.WAITING, 1: Ack.OBEYS, 2: Ack.AHEAD, 3: Ack.AHEAD}
    assert answers(float(number), len(bits)) == tuple(words[one] for one in bits)


def test_a_uid_cannot_leave_its_string() -> None:
    assert '{uid="a\\"} or x{b=\\""}' in query(['a"} or x{b="'], 1)


@pytest.mark.cluster
def test_a_real_prometheus_says_of_each_pod_whether_it_obeys(prometheus: Prometheus, exporter: Exporter) -> None:
    epochs = {"obeys": 7.0, "late": 6.0, "ahead": 8.0, "none": 0.0}
    exporter.set_many([(METRIC, {"uid": uid}, value) for uid, value in epochs.items()])
    # two containers of one pod: both have to obey
    exporter.set_many([(METRIC, {"uid": "two", "container": name}, float(at)) for name, at in (("a", 7), ("b", 6))])
    exporter.set_many([(METRIC, {"uid": "both", "container": name}, 7.0) for name in ("a", "b")])
    expected = {
        "obeys": Ack.OBEYS,
        "missing": Ack.WAITING,
        "late": Ack.WAITING,
        "ahead": Ack.AHEAD,
        "none": Ack.WAITING,
        "two": Ack.WAITING,
        "both": Ack.OBEYS,
    }
    prometheus.wait_for(f'{METRIC}{{uid="both"}}', lambda samples: len(samples) == 2)
    [sample] = prometheus.query(query(list(expected), 7))
    assert dict(zip(expected, answers(sample.value, len(expected)), strict=True)) == expected
    many = [f"uid-{number}" for number in range(MOST - 1)] + ["obeys"]
    [sample] = prometheus.query(query(many, 7))
    assert answers(sample.value, MOST)[-1] is Ack.OBEYS
    assert set(answers(sample.value, MOST)[:-1]) == {Ack.WAITING}
