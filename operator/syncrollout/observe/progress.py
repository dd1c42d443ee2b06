"""How far the Job of a step is, as it prints it itself: the last line of its log that begins with `progress:`."""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from syncrollout.observe.masks import masked, printable
from syncrollout.ports import ApiError, Behalf, Forbidden, KindRef, LogsOnBehalf, ObjectRef, OnBehalf

log = logging.getLogger(__name__)

POD: Final = KindRef("v1", "Pod")
WORD: Final = "progress:"
LINES: Final = 50
"""How many of the last lines are looked at."""
EVERY: Final = 5.0
"""Seconds for which what was read is not read again."""
PATIENCE: Final = 1.0
"""Seconds for which a log is waited for: what its Job has come to is not to wait for it."""
KEPT: Final = 300.0
LONGEST: Final = 200
"""Characters that are kept of a line."""


class Progress:
    """Reads the logs of Jobs. What it remembers only saves requests."""

    def __init__(self, api: OnBehalf, logs: LogsOnBehalf) -> None:
        self._api = api
        self._logs = logs
        self._known: dict[tuple[str, str], tuple[float, str]] = {}

    async def of(self, behalf: Behalf, job: str, selector: str) -> str:
        """What it has said of its progress last, masked and bounded; empty where it has said nothing, or cannot be
        heard just now. Where it may not be heard that is said instead."""
        clock, namespace = asyncio.get_running_loop().time, behalf.namespace
        self._known = {key: known for key, known in self._known.items() if clock() - known[0] < KEPT}
        before = self._known.get((namespace, job))
        if before is not None and clock() - before[0] < EVERY:
            return before[1]
        said = before[1] if before is not None else ""
        try:
            async with asyncio.timeout(PATIENCE):
                said = await self._last(behalf, selector) or said
        except TimeoutError:
            log.info("the log of Job %s/%s could not be read within %g s", namespace, job, PATIENCE)
        except Forbidden:
            said = f"not known: {behalf} lacks the right to get pods/log"
        except ApiError as error:
            log.info("the log of Job %s/%s could not be read: %s", namespace, job, error)
        self._known[(namespace, job)] = (clock(), said)
        return said

    async def _last(self, behalf: Behalf, selector: str) -> str:
        pods = await self._api.acting_as(behalf).list(POD, behalf.namespace, label_selector=selector)
        for pod in pods.items:
            ref = ObjectRef(POD, behalf.namespace, str(pod["metadata"]["name"]))
            for status in (pod.get("status") or {}).get("containerStatuses") or ():
                if "running" not in (status.get("state") or {}):
                    continue
                said = line(await self._logs.acting_as(behalf).logs(ref, str(status["name"]), lines=LINES))
                if said:
                    return said
        return ""


def line(text: str) -> str:
    """What the last line of progress says; empty where there is none."""
    for each in reversed(text.splitlines()):
        found = each.strip()
        if found[: len(WORD)].lower() == WORD:
            said = masked(" ".join(printable(found[len(WORD) :][: 4 * LONGEST]).split()))
            return said if len(said) <= LONGEST else said[: LONGEST - 1] + "…"
    return ""


__all__ = ["Progress", "line"]
