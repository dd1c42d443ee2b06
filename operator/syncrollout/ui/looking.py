"""What there is to show, from what the operator remembers anyway: no request is made for a viewer."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.cli import rollout as reading
from syncrollout.cli.answers import Failed
from syncrollout.runtime import rollouts as known
from syncrollout.runtime.rollouts import Key, Rollouts
from syncrollout.ui.rows import Json, row
from syncrollout.ui.view import view

MOST_READ: Final = 64
"""Rollouts that are kept as read: those that somebody looks at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """One rollout as it may be shown."""

    raw: dict[str, Any]
    rollout: reading.Rollout

    @property
    def spec(self) -> SyncRolloutSpec:
        """Its spec."""
        return self.rollout.spec

    @property
    def status(self) -> SyncRolloutStatus:
        """Its status: as last decided where this process acts, else as recorded."""
        return self.rollout.status


class Looking:
    """Reads rollouts for viewers. `leads` says whether this process acts for the rollout of a uid, so that what it has
    decided last is what is true; another one knows what is recorded. `acts` says
    whether it does for all of them. `now` is the wall clock; `page` tells one release of the page from
    another."""

    def __init__(
        self,
        rollouts: Rollouts,
        *,
        leads: Callable[[str], bool],
        acts: Callable[[], bool],
        now: Callable[[], float],
        page: str = "",
    ) -> None:
        self._rollouts = rollouts
        self._page = page
        self._leads = leads
        self._acts = acts
        self._now = now
        self._read: OrderedDict[tuple[str, str], reading.Rollout] = OrderedDict()
        self._rows: dict[Key, tuple[str, Json]] = {}

    @property
    def about(self) -> Json:
        """The time, whether readings are those of this very moment, and which release of the page this is."""
        return {"now": round(self._now(), 3), "acts": self._acts(), "page": self._page}

    def keys(self) -> list[Key]:
        """All rollouts."""
        return [rollout.key for rollout in self._rollouts]

    @property
    def namespaces(self) -> frozenset[str]:
        """Those that have any."""
        return frozenset(rollout.key.namespace for rollout in self._rollouts)

    def row(self, key: Key) -> Json | None:
        """Its row in the list; the very same one as long as nothing has changed. None where there is none (any
        more)."""
        rollout = self._rollouts.get(key)
        if rollout is None:
            self._rows.pop(key, None)
            return None
        version = f"{rollout.uid} {rollout.resource_version}"
        kept = self._rows.get(key)
        if kept is None or kept[0] != version:
            kept = self._rows[key] = (version, row(rollout.raw))
        return kept[1]

    def forget(self, keys: set[Key]) -> None:
        """Keep the rows of these alone."""
        for key in self._rows.keys() - keys:
            del self._rows[key]

    def version(self, key: Key) -> object:
        """Changes whenever there may be something new to show; None where there is no such rollout."""
        rollout = self._rollouts.get(key)
        if rollout is None:
            return None
        leads = self._leads(rollout.uid)
        return rollout.uid, rollout.resource_version, leads, rollout.status if leads else None

    def find(self, key: Key) -> Seen | None:
        """The rollout, None where there is none. Raises Failed where another release has written what this one cannot
        read."""
        rollout = self._rollouts.get(key)
        if rollout is None:
            return None
        read = self._parsed(rollout)
        if self._leads(rollout.uid) and rollout.status is not None:
            read = replace(read, status=rollout.status)
        return Seen(rollout.raw, read)

    def view(self, key: Key) -> Json | None:
        """All there is to show of it; None where there is none."""
        try:
            seen = self.find(key)
        except Failed as error:
            return {**(self.row(key) or {}), "unreadable": str(error).replace("of the plugin ", "")}
        return view(seen.raw, seen.rollout, self._now()) if seen is not None else None

    def _parsed(self, rollout: known.Rollout) -> reading.Rollout:
        version = (rollout.uid, rollout.resource_version)
        read = self._read.get(version)
        if read is None:
            read = self._read[version] = reading.parse(rollout.raw)
            if len(self._read) > MOST_READ:
                self._read.popitem(last=False)
        self._read.move_to_end(version)
        return read


__all__ = ["Looking", "Seen"]
