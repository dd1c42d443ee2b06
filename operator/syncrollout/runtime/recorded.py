"""The SeriesSource port, on the range queries of the backtest: in a few threads of their own. In those of the event
loop names are looked up, the API server's among them, and a Prometheus that hangs must not take them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from syncrollout.backtest.history import HistoryError, Moments
from syncrollout.backtest.prometheus import MOST_BYTES, PrometheusHistory
from syncrollout.decide.facts import Reading
from syncrollout.net.destinations import ANYWHERE, Destinations
from syncrollout.ports import Endpoint, SeriesUnknown
from syncrollout.ports import Moments as Wanted

GRACE = 1.0
"""Seconds after its own time-out for which a thread is waited for; then it is cut off."""
AT_ONCE: Final = 4
"""Queries of all rollouts; further ones wait, and their time-out does not."""


class RecordedSeries:
    """`syncrollout.ports.SeriesSource`."""

    def __init__(self, *, most_bytes: int = MOST_BYTES, destinations: Destinations = ANYWHERE) -> None:
        """`most_bytes` are read of one answer."""
        self._most_bytes = most_bytes
        self._destinations = destinations
        self._threads = ThreadPoolExecutor(AT_ONCE, "series")

    async def series(
        self,
        endpoint: Endpoint,
        query: str,
        moments: Wanted,
        timeout: float,
        reduce: Callable[[Reading], Reading] = lambda reading: reading,
    ) -> tuple[float | None, ...]:
        """See the port."""
        # Counted from the end, which is the moment that matters most.
        step = max(1, round(moments.step * 1000))
        count = max(0, round((moments.end - moments.start) * 1000 / step)) + 1
        start = round(moments.end * 1000) - (count - 1) * step
        wanted = Moments(start, step, count)
        try:
            history = PrometheusHistory(
                endpoint,
                timeout,
                mend="see spec.prometheus",
                most_bytes=self._most_bytes,
                destinations=self._destinations,
            )
        except HistoryError as error:
            raise SeriesUnknown(str(error)) from error
        try:
            async with asyncio.timeout(timeout + GRACE):
                found = await asyncio.get_running_loop().run_in_executor(self._threads, history.read, query, wanted)
        except HistoryError as error:
            raise SeriesUnknown(str(error)) from error
        except TimeoutError as error:
            raise SeriesUnknown(f"no answer within {timeout:g} s") from error
        finally:
            history.abort()
        return tuple(reduce(found.at(start + number * step)).value for number in range(count))


__all__ = ["RecordedSeries"]
