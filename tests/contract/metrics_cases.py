"""What every MetricsSource must do: the cases, and what each needs done to the Prometheus behind it."""

from __future__ import annotations

import math
from typing import Protocol

from syncrollout.api.spec import Metric
from syncrollout.api.words import Unknown
from syncrollout.decide.facts import Part, Reading
from syncrollout.observe.aggregates import reduced
from syncrollout.ports import Endpoint, MetricsSource

SHORT = 0.3
LONG = 10.0


class Bench(Protocol):
    """A MetricsSource with the Prometheus behind it, and the hands to change that."""

    @property
    def source(self) -> MetricsSource:
        """What is held to the contract."""
        ...

    @property
    def endpoint(self) -> Endpoint:
        """Where its Prometheus is."""
        ...

    async def publish(self, name: str, *values: float) -> None:
        """The metric has these values from now on, each in a series of its own."""
        ...

    async def hang(self) -> None:
        """It takes connections and answers nothing."""
        ...

    async def gone(self) -> None:
        """Nothing listens any longer."""
        ...

    async def back(self) -> None:
        """It is as it was."""
        ...


async def one_series_is_its_value(bench: Bench) -> None:
    for value in (0.0, 0.25, -3.0, 1e15):
        await bench.publish("contract_one", value)
        assert await bench.source.read(bench.endpoint, "contract_one", LONG) == Reading(value)


async def no_series_is_no_data(bench: Bench) -> None:
    reading = await bench.source.read(bench.endpoint, "contract_never_published", LONG)
    _unknown(bench, reading, Unknown.NO_DATA, "contract_never_published")


async def nan_is_not_a_number(bench: Bench) -> None:
    await bench.publish("contract_nan", math.nan)
    _unknown(
        bench,
        await bench.source.read(bench.endpoint, "contract_nan", LONG),
        Unknown.NOT_A_NUMBER,
        "contract_nan",
        where=False,
    )


async def infinities_are_infinite(bench: Bench) -> None:
    for value in (math.inf, -math.inf):
        await bench.publish("contract_inf", value)
        reading = await bench.source.read(bench.endpoint, "contract_inf", LONG)
        _unknown(bench, reading, Unknown.INFINITE, "contract_inf", where=False)


async def several_series_are_counted_and_told_apart(bench: Bench) -> None:
    await bench.publish("contract_many", 1.0, 1.0, 1.0)
    reading = await bench.source.read(bench.endpoint, "contract_many", LONG)
    _unknown(bench, reading, Unknown.MANY_SERIES, "contract_many", where=False)
    assert "3 series, which differ in series" in reading.message
    assert "aggregate" in reading.message


async def several_series_give_one_number_where_a_metric_says_how(bench: Bench) -> None:
    await bench.publish("contract_reduced", 1.0, -2.5, 7.0, 0.5)
    several = await bench.source.read(bench.endpoint, "contract_reduced", LONG)
    for how, value in (("max", 7.0), ("min", -2.5), ("sum", 6.0), ("avg", 1.5)):
        reading = reduced(_metric(how), Part.VALUE, several)
        assert reading == Reading(value, made_of=f"{how} of 4 series")
    await bench.publish("contract_single", 7.0)
    one = await bench.source.read(bench.endpoint, "contract_single", LONG)
    assert reduced(_metric("avg"), Part.VALUE, one) == Reading(7.0, made_of="avg of 1 series")


async def one_series_that_is_no_number_is_not_left_out(bench: Bench) -> None:
    await bench.publish("contract_spoilt", 1.0, math.nan, 7.0)
    several = await bench.source.read(bench.endpoint, "contract_spoilt", LONG)
    reading = reduced(_metric("max"), Part.VALUE, several)
    assert (reading.value, reading.unknown) == (None, Unknown.NOT_A_NUMBER)
    assert "1 of 3 series are no number" in reading.message
    await bench.publish("contract_endless", 1.0, math.inf)
    several = await bench.source.read(bench.endpoint, "contract_endless", LONG)
    for how in ("max", "min", "sum", "avg"):
        assert reduced(_metric(how), Part.VALUE, several).unknown is Unknown.INFINITE


def _metric(aggregate: str) -> Metric:
    return Metric.model_validate({"name": "contract", "query": "contract", "aggregate": aggregate})


async def what_does_not_parse_is_invalid_in_its_own_words(bench: Bench) -> None:
    reading = await bench.source.read(bench.endpoint, "sum(contract_one", LONG)
    _unknown(bench, reading, Unknown.QUERY_INVALID, "sum(contract_one")
    assert "parse error" in reading.message


async def a_hang_is_a_timeout_and_passes(bench: Bench) -> None:
    await bench.publish("contract_hang", 1.0)
    await bench.hang()
    try:
        reading = await bench.source.read(bench.endpoint, "contract_hang", SHORT)
        _unknown(bench, reading, Unknown.TIMEOUT, "contract_hang")
        assert f"within {SHORT:g} s" in reading.message
    finally:
        await bench.back()
    assert await bench.source.read(bench.endpoint, "contract_hang", LONG) == Reading(1.0)


async def one_that_is_gone_is_unreachable_and_comes_back(bench: Bench) -> None:
    await bench.publish("contract_gone", 1.0)
    assert await bench.source.read(bench.endpoint, "contract_gone", LONG) == Reading(1.0)
    await bench.gone()
    try:
        reading = await bench.source.read(bench.endpoint, "contract_gone", LONG)
        _unknown(bench, reading, Unknown.UNREACHABLE, "contract_gone")
        assert "connection refused" in reading.message
    finally:
        await bench.back()
    assert await bench.source.read(bench.endpoint, "contract_gone", LONG) == Reading(1.0)


def _unknown(bench: Bench, reading: Reading, reason: Unknown, query: str, *, where: bool = True) -> None:
    assert reading.value is None
    assert reading.unknown is reason, reading.message
    assert f"query: {query}" in reading.message
    if where:
        assert f"Prometheus at {bench.endpoint.address}" in reading.message


CASES = (
    one_series_is_its_value,
    no_series_is_no_data,
    nan_is_not_a_number,
    infinities_are_infinite,
    several_series_are_counted_and_told_apart,
    several_series_give_one_number_where_a_metric_says_how,
    one_series_that_is_no_number_is_not_left_out,
    what_does_not_parse_is_invalid_in_its_own_words,
    a_hang_is_a_timeout_and_passes,
    one_that_is_gone_is_unreachable_and_comes_back,
)
