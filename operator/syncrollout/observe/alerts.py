"""Alerts that Alertmanager has pushed: what its payload says, and what fires by it.

A pushed alert saves the time until Prometheus is next asked, and is no more than that: it counts until Alertmanager
says that it is resolved or its time is up, and from then on what Prometheus says of `ALERTS` counts again. So nothing
is lost where a payload does not come, or with a restart. Only alerts that some rollout asks about are kept.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Container, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import chain
from typing import Annotated, Final, Generic, Literal, TypeVar

from pydantic import AfterValidator, AwareDatetime, BaseModel, ConfigDict, Field

from syncrollout.api.fields import format_time
from syncrollout.api.spec import SyncRolloutSpec, Trigger
from syncrollout.decide.facts import Reading, ReadingKey
from syncrollout.observe.prometheus_answers import shorten
from syncrollout.observe.queries import QueryError, fill_in

MOST_KEPT = 8192
"""Alerts kept at most; beyond, of those names and namespaces that have the most the oldest give way."""
MOST_OF_A_NAME = 256
"""Alerts kept at most of one name in one namespace: a team that floods it does so for itself."""
LATE = 30.0
"""Seconds for which it is remembered that an alert is resolved, so that what was sent before and comes after does not
count: two Alertmanagers wait 15 s for one another. No longer: one that Alertmanager took for resolved while it heard
nothing of it fires again as of the time at which it first began."""
LONGEST_LABELS = 8192
"""Characters of all labels of an alert that is kept. A longer one is passed over by itself: it must not keep the others
of its payload from being taken in."""
SHOWN_SUMMARY = 160
NAME = "alertname"
NAMESPACE = "namespace"

K = TypeVar("K", bound=Hashable)

_FIRST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LAST: Final = datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


def _in_range(time: datetime) -> datetime:
    """In UTC. In another zone a time may be valid and have no place in the years that can be told in UTC."""
    try:
        return min(time.astimezone(UTC), _LAST)
    except OverflowError:
        return _FIRST if time.year == _FIRST.year else _LAST


_Moment = Annotated[AwareDatetime, AfterValidator(_in_range)]


class Alert(BaseModel):
    """One alert of a payload, as far as it is looked at."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    status: Literal["firing", "resolved"]
    labels: dict[str, str]
    annotations: dict[str, str] = Field(default_factory=dict)
    starts_at: Annotated[_Moment, Field(alias="startsAt")]
    ends_at: Annotated[_Moment | None, Field(alias="endsAt")] = None
    """Of a firing alert Alertmanager writes the year 1."""


class Payload(BaseModel):
    """What Alertmanager posts to a webhook: version 4 of its notifications."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal["4"]
    alerts: tuple[Alert, ...]


_Identity = tuple[tuple[str, str], ...]
_Place = tuple[str, str]
"""An alert's name and its namespace, empty where it has none: nobody asks about others."""


def _place(labels: Mapping[str, str]) -> _Place:
    return labels.get(NAME, ""), labels.get(NAMESPACE, "")


@dataclass(frozen=True, slots=True)
class _Firing:
    """What was last heard of an alert that fires. `until` is loop time."""

    labels: Mapping[str, str]
    starts: datetime
    until: float
    summary: str

    @property
    def text(self) -> str:
        """For people, after the words that it fires."""
        said = f": {self.summary}" if self.summary else ""
        return f"since {format_time(self.starts.timestamp())}, as Alertmanager says{said}"


@dataclass(frozen=True, slots=True)
class _Resolved:
    """That an alert has ended, and when. `until` is loop time."""

    at: datetime
    until: float


@dataclass(frozen=True, slots=True)
class Taken(Generic[K]):
    """What a payload came to: rollouts that have to look at once, and alerts by what they were."""

    wake: tuple[K, ...] = ()
    news: int = 0
    """Alerts that began to fire or were resolved, and that somebody asks about."""
    repeated: int = 0
    """Alerts that were known to be so already."""
    unasked: int = 0
    """Alerts that no rollout in progress asks about, or too long to be kept."""
    others: bool = False
    """Whether rollouts that another replica acts for ask about some of it too, known there or not."""


class PushedAlerts:
    """The alerts that are known by push. Times are those of the running loop, so that tests can drive them."""

    def __init__(self, *, keep: float, most: int = MOST_KEPT, most_of_a_name: int = MOST_OF_A_NAME) -> None:
        """`keep`: seconds for which a firing alert counts unless Alertmanager repeats it."""
        self._keep = keep
        self._most = most
        self._most_of_a_name = most_of_a_name
        self._firing: dict[_Place, OrderedDict[_Identity, _Firing]] = {}
        self._resolved: OrderedDict[_Identity, _Resolved] = OrderedDict()

    def __len__(self) -> int:
        """Alerts that fire."""
        self._forget(list(self._firing))
        return sum(map(len, self._firing.values()))

    def take(
        self,
        payload: Payload,
        rollouts: Iterable[tuple[K, str, SyncRolloutSpec]],
        of_others: Iterable[tuple[K, str, SyncRolloutSpec]] = (),
    ) -> Taken[K]:
        """Take in a payload, for rollouts given by key, namespace and spec. What those alone ask about that another
        replica acts for is not kept: nobody would say here that it is resolved."""
        self._forget(list(self._firing))
        names = {alert.labels.get(NAME, "") for alert in payload.alerts}
        askers, elsewhere = _Askers.of(names, rollouts), _Askers.of(names, of_others)
        others = any(elsewhere.about(alert.labels) for alert in payload.alerts)
        wake: dict[int, Sequence[K]] = {}
        news = repeated = unasked = 0
        for alert in payload.alerts:
            asking = askers.about(alert.labels)
            if not asking or sum(len(name) + len(value) for name, value in alert.labels.items()) > LONGEST_LABELS:
                unasked += 1
            elif self._note(alert):
                news += 1
                wake |= {id(keys): keys for keys in asking}
            else:
                repeated += 1
        self._make_room()
        return Taken(tuple(dict.fromkeys(chain.from_iterable(wake.values()))), news, repeated, unasked, others)

    def readings(
        self, spec: SyncRolloutSpec, namespace: str, wanted: Iterable[ReadingKey]
    ) -> Mapping[ReadingKey, Reading]:
        """A reading above 0 for each alert of the spec's triggers that fires by push; none for the others."""
        if not self._firing:
            return {}
        keys = set(wanted)
        found: dict[ReadingKey, Reading] = {}
        for trigger in spec.rollback.triggers:
            key = ReadingKey(trigger.source)
            selection = _Selection.of(trigger, spec, namespace) if key in keys else None
            if selection is None:
                continue
            self._forget(selection.places)
            kept = chain.from_iterable(self._firing.get(place, {}).values() for place in selection.places)
            firing = [each for each in kept if selection.labels.items() <= each.labels.items()]
            if firing:
                found[key] = Reading(float(len(firing)), message=firing[0].text)
        return found

    def _note(self, alert: Alert) -> bool:
        """Keep what is said of an alert; whether that is news. Payloads may come twice and in any order."""
        identity = tuple(sorted(alert.labels.items()))
        now = asyncio.get_running_loop().time()
        place = _place(alert.labels)
        firing = self._firing.get(place, OrderedDict())
        known, resolved = firing.get(identity), self._resolved.get(identity)
        if alert.status == "firing":
            if resolved is not None and alert.starts_at <= resolved.at:
                return False  # said before it was resolved, and late
            summary = shorten(alert.annotations.get("summary", ""), SHOWN_SUMMARY)
            firing[identity] = _Firing(alert.labels, alert.starts_at, now + self._keep, summary)
            firing.move_to_end(identity)
            if len(firing) > self._most_of_a_name:
                firing.popitem(last=False)
            self._firing[place] = firing
            return known is None
        if known is not None and alert.starts_at < known.starts:
            return False  # it has begun anew since
        firing.pop(identity, None)
        if not firing:
            self._firing.pop(place, None)
        ended = max(alert.starts_at, alert.ends_at or alert.starts_at, resolved.at if resolved else alert.starts_at)
        self._resolved[identity] = _Resolved(ended, now + LATE)
        self._resolved.move_to_end(identity)
        if len(self._resolved) > self._most:
            self._resolved.popitem(last=False)
        return known is not None

    def _forget(self, places: Iterable[_Place]) -> None:
        """Those whose time is up. All of a kind are kept for the same time, so the oldest stands first."""
        now = asyncio.get_running_loop().time()
        while self._resolved and next(iter(self._resolved.values())).until <= now:
            self._resolved.popitem(last=False)
        for place in places:
            firing = self._firing.get(place)
            while firing and next(iter(firing.values())).until <= now:
                firing.popitem(last=False)
            if firing is not None and not firing:
                del self._firing[place]

    def _make_room(self) -> None:
        excess = sum(map(len, self._firing.values())) - self._most
        while excess > 0:
            for place in sorted(self._firing, key=lambda each: len(self._firing[each]), reverse=True):
                firing = self._firing[place]
                drop = min(excess, (len(firing) + 1) // 2)
                for _ in range(drop):
                    firing.popitem(last=False)
                if not firing:
                    del self._firing[place]
                excess -= drop
                if excess <= 0:
                    break


@dataclass(frozen=True, slots=True)
class _Selection:
    """What a trigger asks of an alert's labels. One of another namespace is another team's, unless it is asked for."""

    labels: Mapping[str, str]
    namespace: str

    @classmethod
    def of(cls, trigger: Trigger, spec: SyncRolloutSpec, namespace: str) -> _Selection | None:
        """None where the trigger names no alert, or labels that cannot be filled in: the query then says why."""
        if trigger.alert is None:
            return None
        try:
            labels = {
                label: fill_in(trigger.firing, value, spec.new, namespace) for label, value in trigger.match.items()
            }
        except QueryError:
            return None
        return cls(labels | {NAME: trigger.alert}, namespace)

    @property
    def places(self) -> tuple[_Place, ...]:
        """Where the alerts that are meant stand."""
        name, namespace = _place(self.labels)
        return ((name, namespace),) if NAMESPACE in self.labels else ((name, self.namespace), (name, ""))


class _Askers(Generic[K]):
    """Who asks about alerts: by place, by the names of the labels that are asked for, and by their values. So an alert
    is looked up, however many ask."""

    def __init__(self) -> None:
        self._keys: dict[_Place, dict[tuple[str, ...], dict[tuple[str, ...], list[K]]]] = {}

    @classmethod
    def of(cls, names: Container[str], rollouts: Iterable[tuple[K, str, SyncRolloutSpec]]) -> _Askers[K]:
        """Those who ask about alerts of these names."""
        askers = cls()
        for key, namespace, spec in rollouts:
            for trigger in spec.rollback.triggers:
                selection = _Selection.of(trigger, spec, namespace) if trigger.alert in names else None
                if selection is None:
                    continue
                labels, values = zip(*sorted(selection.labels.items()), strict=True)
                for place in selection.places:
                    askers._keys.setdefault(place, {}).setdefault(labels, {}).setdefault(values, []).append(key)
        return askers

    def about(self, labels: Mapping[str, str]) -> list[Sequence[K]]:
        """Those who ask about an alert of these labels, in as many groups as there are ways to ask."""
        found: list[Sequence[K]] = []
        for names, by_values in self._keys.get(_place(labels), {}).items():
            if all(name in labels for name in names):
                keys = by_values.get(tuple(labels[name] for name in names))
                found += [keys] if keys else []
        return found


__all__ = ["LATE", "LONGEST_LABELS", "MOST_KEPT", "MOST_OF_A_NAME", "Alert", "Payload", "PushedAlerts", "Taken"]
