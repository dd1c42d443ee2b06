"""The SeriesSource port, on the range queries of the backtest: each in a thread of its own, for there are few."""

from __future__ import annotations

import asyncio

from syncrollout.backtest.history import HistoryError, Moments
from syncrollout.backtest.prometheus import PrometheusHistory
from syncrollout.ports import Endpoint, SeriesUnknown
from syncrollout.ports import Moments as Wanted

GRACE = 1.0
"""Seconds after its own time-out for which a thread is waited for; then it is cut off."""


class RecordedSeries:
    """`syncrollout.ports.SeriesSource`."""

    async def series(self, endpoint: Endpoint, query: str, moments: Wanted, timeout: float) -> tuple[float | None, ...]:
        """See the port."""
        # Counted from the end, which is the moment that matters most.
        step = max(1, round(moments.step * 1000))
        count = max(0, round((moments.end - moments.start) * 1000 / step)) + 1
        start = round(moments.end * 1000) - (count - 1) * step
        wanted = Moments(start, step, count)
        try:
            history = PrometheusHistory(endpoint, timeout, mend="see spec.prometheus")
        except HistoryError as error:
            raise SeriesUnknown(str(error)) from error
        try:
            async with asyncio.timeout(timeout + GRACE):
                found = await asyncio.to_thread(history.read, query, wanted)
        except HistoryError as error:
            raise SeriesUnknown(str(error)) from error
        except TimeoutError as error:
            raise SeriesUnknown(f"no answer within {timeout:g} s") from error
        finally:
            history.abort()
        return tuple(found.at(start + number * step).value for number in range(count))


__all__ = ["RecordedSeries"]
