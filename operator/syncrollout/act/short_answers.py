"""Answers of anybody's servers, read by a library that takes in whatever comes, for as long as it comes: in the threads
that ask for it so much of each and no more, until a moment and no longer."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import requests
import urllib3
from requests.adapters import HTTPAdapter

MOST: Final = 65_536
"""Bytes of an answer that are read; the rest is left. What they say is looked at by nobody but the library."""
_A_PIECE: Final = 8192
_here = threading.local()
_whole = HTTPAdapter.send


@contextlib.contextmanager
def short_answers(seconds: float) -> Iterator[None]:
    """In this thread, answers are read for so many seconds from now, all together."""
    HTTPAdapter.send = _send  # type: ignore[method-assign]
    _here.ends = time.monotonic() + seconds
    try:
        yield
    finally:
        del _here.ends


def _send(self: HTTPAdapter, *args: Any, **kwargs: Any) -> requests.Response:
    answer = _whole(self, *args, **kwargs)
    ends = getattr(_here, "ends", None)
    if ends is not None:
        try:
            content = _beginning(answer.raw, ends)
        except urllib3.exceptions.HTTPError as error:
            raise requests.exceptions.ConnectionError(error) from error
        finally:
            answer.raw.close()
        answer._content, answer._content_consumed = content, True  # type: ignore[attr-defined]  # noqa: SLF001
    return answer


def _beginning(raw: Any, ends: float) -> bytes:
    content = bytearray()
    while len(content) < MOST and (piece := raw.read1(_A_PIECE, decode_content=True)):
        content += piece
        if time.monotonic() >= ends:
            msg = "its answer comes too slowly: timed out"
            raise requests.exceptions.ReadTimeout(msg)
    return bytes(content)


__all__ = ["MOST", "short_answers"]
