"""What a sync system can be told to do wrong while it runs."""

from __future__ import annotations

import threading
from enum import StrEnum


class Fault(StrEnum):
    NONE = "none"
    ERRORS = "errors"  # a third of the items fail to sync, and a third of the requests are answered with 500
    SLOW = "slow"  # the source answers eight times slower, and requests wait
    NODATA = "nodata"  # the sync metrics are no longer exported; everything else goes on
    CRASH = "crash"  # the process ends at once
    DATALOSS = "dataloss"  # of its own items it drops, doubles and changes the rows, and calls all of it a success


ERROR_SHARE = 3  # one in three
SLOW_FACTOR = 8.0  # times the usual latency of the source
SLOW_REQUEST_SECONDS = 0.2


class FaultSwitch:
    """The fault in force: set by the admin server's thread, read by all others."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._fault = Fault.NONE

    @property
    def current(self) -> Fault:
        with self._lock:
            return self._fault

    def set(self, fault: Fault) -> None:
        with self._lock:
            self._fault = fault


def parse_fault(text: object) -> Fault:
    """Raises ValueError with a sentence that names the choices."""
    try:
        return Fault(str(text))
    except ValueError:
        raise ValueError(f"unknown fault {text!r}: choose one of {', '.join(Fault)}") from None
