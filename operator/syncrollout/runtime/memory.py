"""Memory that the allocator keeps is given back to the system now and then.

What is read from the API server and from Prometheus comes in pieces of many sizes and lives for moments. glibc keeps
what they leave between longer-lived ones: after hours of many rollouts a third of its heap is empty, and counts all the
same where a container's memory is limited. `docs/endurance.md` has the figures.
"""

from __future__ import annotations

import asyncio
import ctypes
from typing import Final

EVERY: Final = 60.0


async def given_back(every: float = EVERY) -> None:
    """Until cancelled, every so many seconds, in a thread; does nothing where the C library has no such call."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is None:
        return
    while True:
        await asyncio.sleep(every)
        await asyncio.to_thread(trim, 0)


__all__ = ["given_back"]
