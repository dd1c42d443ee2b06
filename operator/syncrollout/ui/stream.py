"""Live updates: what has changed, once a second at most, the same work for all viewers.

Nothing of the operator tells of changes: while somebody looks, versions are compared, which costs next to nothing, and
what has changed is made once. A viewer whose connection is slow gets what is true by then, and none of what was
between.
"""

from __future__ import annotations

import asyncio
import json
import logging
import math
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

from syncrollout.runtime.rollouts import Key
from syncrollout.ui.looking import Looking
from syncrollout.ui.rows import Json

log = logging.getLogger(__name__)

EVERY: Final = 1.0
"""Seconds between two looks."""
MOST_ROWS: Final = 2000
"""Rollouts in the list, and as many again of namespaces that are all that somebody may see."""
AT_A_TIME: Final = 20
"""Rows that are made before something else has its turn."""
SILENCE: Final = 15.0
"""Seconds after which a stream that has nothing to tell says that it is there."""


def encode(value: Any) -> bytes:
    """As JSON, in which there are no numbers that are none."""
    try:
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()
    except ValueError:
        return encode(_finite(value))


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    return [_finite(each) for each in value] if isinstance(value, list | tuple) else value


@dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One rollout in the list, and its JSON, which is made once for all viewers."""

    shown: Json
    encoded: bytes


def _of(rows: dict[Key, _Row], only: frozenset[str] | None) -> dict[Key, _Row]:
    """The rows of these namespaces; the very same dictionary where that is all."""
    return rows if only is None else {key: row for key, row in rows.items() if key.namespace in only}


class Streams:
    """Tells viewers what has changed."""

    def __init__(self, looking: Looking) -> None:
        self._looking = looking
        self._changed: dict[Key | None, asyncio.Event] = {}
        """By what is looked at, None for the list: set, and replaced, when it has changed."""
        self._viewers: dict[Key | None, int] = {}
        self._last: dict[Key, tuple[object, bytes]] = {}
        """Version and JSON of each rollout that is looked at."""
        self._rows: dict[Key, _Row] = {}
        self._limited: list[frozenset[str]] = []
        """The namespaces of each viewer of the list who sees no others."""
        self._ticking: asyncio.Task[None] | None = None
        self._closed = asyncio.Event()

    @property
    def viewers(self) -> int:
        """How many there are."""
        return sum(self._viewers.values())

    async def close(self) -> None:
        """Every stream ends."""
        self._closed.set()
        for event in self._changed.values():
            event.set()
        if self._ticking is not None:
            self._ticking.cancel()
            await asyncio.gather(self._ticking, return_exceptions=True)

    async def fleet(self, only: frozenset[str] | None = None) -> list[Json]:
        """The rows of all rollouts, or of those in these namespaces alone."""
        await self._look_at_all(only)
        return [row.shown for row in _of(self._rows, only).values()]

    def total(self, only: frozenset[str] | None = None) -> int:
        """How many rollouts there are in these namespaces, or in all."""
        keys = self._looking.keys()
        return len(keys) if only is None else sum(key.namespace in only for key in keys)

    async def follow(
        self, key: Key | None, only: frozenset[str] | None = None
    ) -> AsyncGenerator[tuple[str, bytes], None]:
        """Name and JSON of each event, from now on: of one rollout, or of the list (of these namespaces). The first
        says all there is; of the list later ones say what has changed. An empty name: there is no news."""
        self._viewers[key] = self._viewers.get(key, 0) + 1
        if only is not None:
            self._limited.append(only)
        if self._ticking is None or self._ticking.done():
            self._ticking = asyncio.create_task(self._tick(), name="viewers")
        try:
            async for event in self._fleet(only) if key is None else self._rollout(key):
                yield event
        finally:
            if only is not None:
                self._limited.remove(only)
            self._viewers[key] -= 1
            if not self._viewers[key]:
                del self._viewers[key]
                self._changed.pop(key, None)
                if key is not None:
                    self._last.pop(key, None)

    async def _rollout(self, key: Key) -> AsyncGenerator[tuple[str, bytes], None]:
        told: bytes | None = None
        while not self._closed.is_set():
            change = self._change(key)
            now = self._made(key)
            if now != told:
                told = now
                yield "rollout", b'{"about":' + encode(self._looking.about) + b',"rollout":' + now + b"}"
            elif not change.is_set():
                yield "", encode(self._looking.about)
            await self._until(change)

    async def _fleet(self, only: frozenset[str] | None) -> AsyncGenerator[tuple[str, bytes], None]:
        looked: dict[Key, _Row] | None = None
        known: dict[Key, _Row] | None = None
        await self._look_at_all()
        while not self._closed.is_set():
            change = self._change(None)
            rows = known if looked is self._rows and known is not None else _of(self._rows, only)
            looked = self._rows
            if known is None or rows is not known:
                before = known or {}
                changed = [row.encoded for key, row in rows.items() if before.get(key) is not row]
                gone = [list(key) for key in before if key not in rows]
                if known is None or changed or gone:
                    told = {"about": self._looking.about, "gone": gone, "total": self.total(only)}
                    told |= {"all": known is None, "limited": only is not None}
                    yield "fleet", encode(told)[:-1] + b',"rows":[' + b",".join(changed) + b"]}"
                known = rows
            else:
                yield "", encode(self._looking.about)
            await self._until(change)

    def _change(self, key: Key | None) -> asyncio.Event:
        return self._changed.setdefault(key, asyncio.Event())

    async def _until(self, change: asyncio.Event) -> None:
        try:
            async with asyncio.timeout(SILENCE):
                await change.wait()
        except TimeoutError:
            pass

    def _made(self, key: Key) -> bytes:
        version = self._looking.version(key)
        kept = self._last.get(key)
        if kept is None or kept[0] != version:
            kept = self._last[key] = (version, encode(self._looking.view(key)))
        return kept[1]

    async def _tick(self) -> None:
        while self._viewers and not self._closed.is_set():
            await asyncio.sleep(EVERY)
            try:
                await self._look()
            except Exception:  # viewers' bad luck must not become everybody's
                log.exception("what viewers see could not be brought up to date")

    async def _look(self) -> None:
        for key in list(self._viewers):
            await asyncio.sleep(0)  # what decides goes between any two of them
            if key is None:
                before = self._rows
                await self._look_at_all()
                changed = self._rows is not before
            else:
                kept = self._last.get(key)
                changed = kept is None or (kept[0] != self._looking.version(key) and kept[1] != self._made(key))
            if changed and key in self._changed:
                self._changed.pop(key).set()

    def _listed(self, keys: list[Key], only: frozenset[str] | None) -> list[Key]:
        """Those that rows are made of: where there are too many, nobody's own may be left out for other people's."""
        if len(keys) <= MOST_ROWS:
            return keys
        theirs = frozenset().union(only or (), *self._limited)
        return keys[:MOST_ROWS] + [key for key in keys[MOST_ROWS:] if key.namespace in theirs][:MOST_ROWS]

    async def _look_at_all(self, only: frozenset[str] | None = None) -> None:
        """Bring the rows up to date, those of `only` among them; another dictionary where anything has changed."""
        rows: dict[Key, _Row] = {}
        keys = self._looking.keys()
        for number, key in enumerate(self._listed(keys, only)):
            shown, before = self._looking.row(key), self._rows.get(key)
            if shown is not None:
                rows[key] = before if before is not None and before.shown is shown else _Row(shown, encode(shown))
            if number % AT_A_TIME == AT_A_TIME - 1:
                await asyncio.sleep(0)
        self._looking.forget(set(keys))
        same = rows.keys() == self._rows.keys() and all(self._rows[key] is row for key, row in rows.items())
        if not same:
            self._rows = rows


__all__ = ["EVERY", "MOST_ROWS", "Streams", "encode"]
