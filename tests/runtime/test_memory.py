"""What the allocator keeps is given back."""

from __future__ import annotations

import asyncio
import ctypes
import os
from pathlib import Path

import pytest

from syncrollout.runtime.memory import given_back

PIECE, PIECES = 5_000, 20_000


def _resident() -> float:
    """Of this process, in megabytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "malloc_trim"), reason="this C library has no malloc_trim")
async def test_what_lies_between_things_that_stay_is_given_back() -> None:
    pieces = [bytes(PIECE) for _ in range(PIECES)]
    stay = pieces[::50]
    del pieces
    full = _resident()
    task = asyncio.create_task(given_back(0.001))
    try:
        for _ in range(3000):
            await asyncio.sleep(0.01)
            if _resident() < full - PIECE * PIECES / 2e6:
                break
        else:
            pytest.fail(f"{_resident():.0f} MB of {full:.0f} MB are still held")
    finally:
        task.cancel()
    assert len(stay) == PIECES // 50
