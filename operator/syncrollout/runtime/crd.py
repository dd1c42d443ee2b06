"""Whether the CRD of the cluster is the one of this operator: looked at after the start, and now and then.

An operator goes on under a CRD that is older: what it takes to send traffic back is in every CRD, and a rollout in
flight must not be left alone. But it says so, in the log, on /metrics and at /readyz.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from syncrollout.api.installed import INDEX, Installed, Match, compare, document_path
from syncrollout.ports import ApiError, Documents

log = logging.getLogger(__name__)

_LEVELS: Final = {Match.OLDER: logging.ERROR, Match.NEWER: logging.WARNING, Match.RULES: logging.WARNING}


class InstalledCrd:
    """Looks `every` so many seconds; `observe` is told what has been found, None where nothing can be."""

    def __init__(self, documents: Documents, *, every: float, observe: Callable[[Match | None], None]) -> None:
        self._documents = documents
        self._every = every
        self._observe = observe
        self._path: str | None = None
        self._said = ""
        self.note: str | None = None
        """What whoever asks whether the operator is ready should know; None where all is well."""

    async def run(self) -> None:
        """Until it is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(self._every)

    async def look(self) -> None:
        """Once. The schemas are read only where their digest is another one than last time."""
        try:
            path = document_path(await self._documents.document(INDEX))
            if path is None:
                self._unknown("the API server publishes no schema of this version; is the CRD there?")
                return
            if path == self._path:
                return
            document = await self._documents.document(path)
            found = await asyncio.to_thread(compare, document)  # some 0.1 s of work
        except ApiError as error:
            self._unknown(str(error))
        except (AttributeError, KeyError, TypeError) as error:
            self._unknown(f"what the API server publishes is not understood: {error!r}")
        else:
            self._path = path
            self._known(found)

    def _known(self, found: Installed) -> None:
        self._observe(found.match)
        self.note = found.words or None
        self._say(_LEVELS.get(found.match, logging.INFO), found.words or "the CRD of the cluster is this operator's")

    def _unknown(self, why: str) -> None:
        """What was found before stands no more."""
        self._path = None
        self._observe(None)
        self.note = f"whether the CRD of the cluster is of this release is not known: {why}"
        self._say(logging.WARNING, self.note)

    def _say(self, level: int, text: str) -> None:
        if text != self._said:
            log.log(level, "%s", text)
        self._said = text


__all__ = ["InstalledCrd"]
