"""What may be undone: the writes of the new system from the beginning of the run to the moment at which it had nothing
left. The operator tells each Job (docs/rollback.md)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from demo.services.store import Stored


class Unusable(Exception):
    """The work cannot be done; the message says why."""


@dataclass(frozen=True, slots=True)
class Window:
    """``old`` and ``new`` are names of workloads, as they stand at each row; times are seconds since 1970."""

    old: str
    new: str
    started: float
    switched: float

    @classmethod
    def of(cls, environ: Mapping[str, str]) -> Window:
        """From the variables of a step's Job. Raises Unusable."""
        names = ("ROLLOUT_OLD", "ROLLOUT_NEW", "ROLLOUT_STARTED", "ROLLOUT_SWITCHED")
        missing = [name for name in names if not environ.get(name)]
        if missing:
            raise Unusable(f"{', '.join(missing)} not set: this runs as a step of a rollback, or give them by hand")
        old, new, started, switched = (environ[name] for name in names)
        return cls(old, new, _seconds("ROLLOUT_STARTED", started), _seconds("ROLLOUT_SWITCHED", switched))

    def undoes(self, row: Stored) -> bool:
        """Whether the row is a write of the new system in this run."""
        return row.writer == self.new and self.started <= row.at <= self.switched


def _seconds(name: str, text: str) -> float:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise Unusable(f"{name} is {text!r}, which is no time (RFC 3339)") from None
    if moment.tzinfo is None:
        raise Unusable(f"{name} is {text!r}, which names no time zone")
    return moment.timestamp()
