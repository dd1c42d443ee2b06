"""What time it is: the API server's, going on evenly.

Durations of phases, deadlines and the calendar rest on it, and one process goes on from what another has written. So no
process goes by the wall clock of its own machine, which may be wrong, or be set by hours at any moment:

- time goes on by a clock that never jumps;
- where it stands is what the first answer of the API server says (its Date, in whole seconds);
- an API server that later says otherwise is followed once all answers have said so for `FOLLOWED_AFTER` seconds: one of
  several whose clock is wrong, or one that is being put right, rushes nothing.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.runtime.lease import boottime

log = logging.getLogger(__name__)

TOLERANCE: Final = 2.0
"""Seconds that are no difference."""
FOLLOWED_AFTER: Final = 60.0


class ServerClock:
    """`syncrollout.ports.Clock`. Before the first answer it is the wall clock's time."""

    def __init__(self, wall: Callable[[], float] = time.time, steady: Callable[[], float] = boottime) -> None:
        self._steady = steady
        self._offset = wall() - steady()
        self._heard = False
        self._date = ""
        self._apart_since: float | None = None

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._steady() + self._offset

    def heard(self, date: str, spent: float) -> None:
        """An answer that has taken `spent` seconds says `date` (the header's text); what is no date is passed over."""
        if date == self._date and self._apart_since is None:
            return  # many answers come within one second
        try:
            said = parsedate_to_datetime(date).timestamp()
        except ValueError:
            return
        self._date = date
        apart = self._apart(said, spent)
        if abs(apart) <= TOLERANCE:
            self._heard, self._apart_since = True, None
            return
        now = self._steady()
        self._apart_since = now if self._apart_since is None else self._apart_since
        if self._heard and now - self._apart_since < FOLLOWED_AFTER:
            return
        self._offset += apart
        self._heard, self._apart_since = True, None
        log.warning(
            "by the API server it is %s %s than this process thought: the API server's time counts from here on",
            format_duration(round(abs(apart))),
            "later" if apart > 0 else "earlier",
        )

    def _apart(self, said: float, spent: float) -> float:
        """By how much the server is certainly ahead (or behind, negative): it said so some time within the request, and
        within the second that it named."""
        now = self.now()
        if said > now:
            return said - now
        return min(0.0, said + 1.0 - (now - spent))


__all__ = ["ServerClock"]
