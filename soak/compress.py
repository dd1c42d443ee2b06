"""Five weeks in some minutes: the one function by which every duration of the plan is made shorter.

    a duration of a phase     divided by the factor, never less than PHASE
    any other duration        divided by the factor, but what lasts REACTION or less stays as it is, and nothing gets
                              shorter than that: a scrape, a Lease or a handover takes as long here as it ever does

A day of the plan is the same part of the run as of five weeks. Schedules (cron) cannot say less than a minute: what
came daily comes every minute.
"""

from __future__ import annotations

import copy
import math
import re
from dataclasses import dataclass
from typing import Any

from syncrollout.api.fields import DURATION_PATTERN, parse_duration

Obj = dict[str, Any]
WEEKS = 5
SHARE = 0.75
"""Of the run that the five weeks take; the rest is for what is late, and for the end."""
PHASE, REACTION = 5, 20
"""Seconds."""
_DURATIONS = frozenset(
    {
        *("duration", "deadline", "for", "within", "clearFor", "decideWithin", "keepWatching", "budget", "timeout"),
        *("expires", "remind", "window", "staleAfter", "after", "liveFor"),
    }
)
"""Fields of a spec that hold durations of the plan."""
_OFFSET = re.compile(r"\boffset (\d+[smhdw])")
_DAILY = re.compile(r"^\d+ \d+ \* \* \*$")
_MONTHLY = re.compile(r"^\d+ \d+ 1 \* \*$")


@dataclass(frozen=True)
class Compression:
    """Of a run of so many minutes."""

    minutes: int

    @property
    def factor(self) -> float:
        """How many seconds of the plan are one second of the run."""
        return WEEKS * 7 * 86400 / (SHARE * 60 * self.minutes)

    def seconds(self, text: str, *, phase: bool = False) -> int:
        """A duration of the plan, in seconds of the run."""
        long = parse_duration(text)
        least = PHASE if phase else REACTION
        return max(math.ceil(long / self.factor), math.ceil(min(long, least)))

    def of(self, spec: Obj) -> Obj:
        """A spec of the plan as the run takes it."""
        made: Obj = self._value("", copy.deepcopy(spec))
        for phase, asked in zip(made.get("phases", ()), spec.get("phases", ()), strict=True):
            if "duration" in asked:
                phase["duration"] = f"{self.seconds(asked['duration'], phase=True)}s"
        return made

    def _value(self, name: str, value: Any) -> Any:
        if isinstance(value, dict):
            return {key: self._value(key, each) for key, each in value.items()}
        if isinstance(value, list):
            return [self._value("", each) for each in value]
        if not isinstance(value, str):
            return value
        if name in _DURATIONS and re.fullmatch(DURATION_PATTERN, value):
            return f"{self.seconds(value)}s"
        if name == "schedule":
            return self.cron(value)
        return _OFFSET.sub(lambda found: f"offset {self.seconds(found[1])}s", value)

    def cron(self, text: str) -> str:
        """A schedule of the plan: daily becomes every minute, monthly six times in the run."""
        if _DAILY.match(text):
            return "* * * * *"
        if _MONTHLY.match(text):
            return f"*/{max(1, self.minutes // 6)} * * * *"
        return text
