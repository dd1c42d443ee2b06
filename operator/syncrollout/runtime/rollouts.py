"""The rollouts this process knows: the last object seen of each, its parsed spec, and its status as last decided."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pydantic import ValidationError

from syncrollout.act.target import assignment_ref, freezes_ref, workload_ref
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, SyncRolloutStatus
from syncrollout.api.words import (
    API_VERSION,
    ATTEST_ANNOTATION,
    FINALIZER,
    HOLD,
    KIND,
    PROBLEM_ANNOTATION,
    REQUESTED_BY,
    DeliveryState,
    Reason,
    Request,
    State,
)
from syncrollout.decide import reported, requests
from syncrollout.decide.facts import Problem
from syncrollout.ports import KindRef, Object, ObjectRef
from syncrollout.runtime.last_good import DEFAULT_REVISION, switched, to_go_back_by
from syncrollout.runtime.packing import brief, pack, unpack
from syncrollout.runtime.partitions import partition_of

ROLLOUT = KindRef(API_VERSION, KIND)
_AT_REST = (State.COMPLETED.value, State.ROLLED_BACK.value)
_BACK = (State.ROLLING_BACK, State.ROLLED_BACK)
_ON_THEIR_WAY = (DeliveryState.PENDING.value, DeliveryState.SENDING.value)


class Key(NamedTuple):
    """Which rollout."""

    namespace: str
    name: str

    @property
    def ref(self) -> ObjectRef:
        """As an object reference."""
        return ObjectRef(ROLLOUT, self.namespace, self.name)

    @classmethod
    def of_user(cls, user: str) -> Key:
        """The rollout on whose behalf something is watched: `user` is its object reference as text."""
        namespace, _, name = user.rpartition(" ")[2].partition("/")
        return cls(namespace, name)

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}"


@dataclass(slots=True)
class Rollout:
    """One SyncRollout. `raw` is the object as last seen; `status` as last decided, of which `recorded` is written."""

    key: Key
    seen: Object
    """The object as last seen; once it is packed, what of it is still looked at."""
    packed: bytes = b""
    """All of it, where it is at rest."""
    partition: int = 0
    """Which partition it belongs to, where several replicas act."""
    spec: SyncRolloutSpec | None = None
    spec_problem: Problem | None = None
    spec_generation: int = -1
    status: SyncRolloutStatus | None = None
    recorded: dict[str, Any] = field(default_factory=dict)
    repairs: tuple[float, ...] = ()
    """When drift was repaired, loop time; the last ones."""
    failures: int = 0
    """Passes that failed in a row."""
    held_until: float = 0.0
    """Loop time before which nothing but the way back is tried again, after failures."""
    certain_at: float = 0.0
    """Loop time before which what another process has sent for it may still have its effect."""
    refused_since: float = 0.0
    """Since when every attempt to act has been refused for want of a right, loop time; 0 while none is."""
    refused: Problem | None = None
    """What the API server answered to the last attempt to act, where trying again will not help by itself."""
    starting: bool = False
    """A run was decided on and may be recorded already: what it moves is taken, though `raw` does not say so yet."""
    claiming: bool = False
    """The finalizer with which a run begins is being set."""
    looked_around: bool = False
    """All that other replicas had begun when the finalizer was set is known."""
    gave_way: int = 0
    """How often in a row a claim of another replica was waited for."""
    unrecorded: bool = False
    """`status` holds a rollback that could not be written yet."""
    gone_back: RollbackStatus | None = None
    """That rollback, where another status has come in since."""
    put_off: float = 0.0
    """Since when `status` holds what only confirms what is recorded, loop time; 0 while it does not."""
    news: asyncio.Future[None] | None = None
    """Done as soon as something about the rollout, or what it looks at, has changed; see `listen`."""
    told: int | None = None
    """Sequence of the last transition whose Event this process has posted; None before the first."""
    logged: int = 0
    """Sequence of the last transition that stands in the log; those of an earlier process stand in that one's."""

    @property
    def raw(self) -> Object:
        """The object as last seen, all of it."""
        return unpack(self.packed) if self.packed else self.seen

    def take_in(self, raw: Object) -> None:
        """The object as it is seen now."""
        self.seen, self.packed = raw, b""

    def pack(self) -> None:
        """Keep as little as can be of one at rest; whatever is seen of it next is taken in whole."""
        if self.packed:
            return
        self.packed, self.seen = pack(self.seen), brief(self.seen)
        self.spec, self.spec_problem, self.spec_generation = None, None, -1
        self.status, self.recorded, self.repairs = None, {}, ()

    @property
    def metadata(self) -> dict[str, Any]:
        """metadata of the object."""
        metadata: dict[str, Any] = self.seen["metadata"]
        return metadata

    @property
    def uid(self) -> str:
        """The object's uid."""
        return str(self.metadata.get("uid", ""))

    @property
    def generation(self) -> int:
        """Counts edits of the spec."""
        return int(self.metadata.get("generation", 0))

    @property
    def resource_version(self) -> str:
        """What a write must name to be sure of what it overwrites."""
        return str(self.metadata.get("resourceVersion", ""))

    @property
    def deleting(self) -> bool:
        """A deletion has been asked for."""
        return "deletionTimestamp" in self.metadata

    @property
    def finalizers(self) -> tuple[str, ...]:
        """All finalizers, ours among them or not."""
        return tuple(self.metadata.get("finalizers") or ())

    @property
    def has_finalizer(self) -> bool:
        """Ours is there."""
        return FINALIZER in self.finalizers

    @property
    def requests(self) -> dict[Request, str]:
        """What people ask for by annotation, heard before or not."""
        annotations = self.metadata.get("annotations") or {}
        return {request: str(annotations[request.value]) for request in Request if request.value in annotations}

    @property
    def requested_by(self) -> str:
        """The name that stands with what people ask for."""
        return str((self.metadata.get("annotations") or {}).get(REQUESTED_BY) or "")

    @property
    def hold(self) -> str | None:
        """Why a person holds it; None where nobody does."""
        annotations = self.metadata.get("annotations") or {}
        return str(annotations[HOLD]) if HOLD in annotations else None

    @property
    def reports(self) -> dict[str, str]:
        """The annotations by which people report problems, values by id, heard before or not."""
        annotations = self.metadata.get("annotations") or {}
        return {
            name.removeprefix(PROBLEM_ANNOTATION): str(value)
            for name, value in annotations.items()
            if name.startswith(PROBLEM_ANNOTATION)
        }

    @property
    def attestations(self) -> dict[str, str]:
        """The annotations by which people confirm lines of the checklist, values by the check's name."""
        annotations = self.metadata.get("annotations") or {}
        return {
            name.removeprefix(ATTEST_ANNOTATION): str(value)
            for name, value in annotations.items()
            if name.startswith(ATTEST_ANNOTATION)
        }

    @property
    def reported(self) -> bool:
        """Whether somebody has reported something that was not taken in yet."""
        reports = self.reports
        taken = ((self.seen.get("status") or {}).get("reports") or {}).get("taken") or ""
        return bool(reports) and reported.fresh(reports, taken)

    @property
    def asked(self) -> dict[Request, str]:
        """What they ask for and was not taken in yet."""
        asked = self.requests
        return requests.fresh(asked, self._taken_in) if asked else {}

    @property
    def _taken_in(self) -> dict[str, str]:
        """status.requests as it stands on the wire."""
        return (self.seen.get("status") or {}).get("requests") or {}

    @property
    def going_back_asked(self) -> bool:
        """Whether somebody wants everything back now."""
        spec = self.seen.get("spec") or {}
        return self.deleting or bool(spec.get("emergencyStop")) or any(map(requests.wants_back, self.asked.items()))

    @property
    def speaks_against_new(self) -> bool:
        """Whether somebody wants everything back, or has reported what may send it back."""
        return (self.in_flight or self.watched) and (self.going_back_asked or self.reported)

    @property
    def at_rest(self) -> bool:
        """Nothing is to be decided: ended, recorded for this very spec. Cheap: nothing is parsed."""
        status = self.seen.get("status") or {}
        if status.get("state") not in _AT_REST or self.has_finalizer:
            return False
        if status.get("retry") or status.get("watch") or self.asked or requests.gone(self.requests, self._taken_in):
            return False
        if self.reported:
            return False
        spec = self.seen.get("spec") or {}
        completed = status.get("state") == State.COMPLETED.value
        if completed and spec.get("emergencyStop"):
            return False
        # A rollback that a change of revision brought about is followed by the run that the change asks for, unless
        # it went back to the revision that traffic has returned to.
        revision = spec.get("revision", DEFAULT_REVISION)
        answered = {status.get("revision"), None if completed else status.get("lastGoodRevision")}
        return revision in answered and status.get("observedGeneration") == self.generation

    @property
    def rests(self) -> bool:
        """At rest, with nothing left to be told or written: nobody looks at more of it than what `packing` keeps."""
        return self.at_rest and not self.deleting and not self.unrecorded and not self.tells

    def older_than(self, obj: Object) -> bool:
        """Whether what is known of it was seen before this version of it."""
        return int(self.resource_version or 0) < int(obj["metadata"].get("resourceVersion", 0))

    @property
    def tells(self) -> bool:
        """Whether messages are on their way, or something is still told by the clock, though the rollout may be at
        rest. Cheap: nothing is parsed."""
        box = (self.seen.get("status") or {}).get("notifications")
        if not box:
            return False
        states = (
            each.get("state") for message in box.get("messages") or () for each in message.get("deliveries") or ()
        )
        return bool(box.get("looked")) or any(state in _ON_THEIR_WAY for state in states)

    @property
    def watched(self) -> bool:
        """Completed, and watched on; what it has moved is not held any more."""
        status = self.seen.get("status") or {}
        asked = (self.seen.get("spec") or {}).get("revision", DEFAULT_REVISION)
        return bool(status.get("watch")) and not status.get("inFlight") and asked == status.get("revision")

    @property
    def in_flight(self) -> bool:
        """Traffic may stand on new under our watch."""
        return self.starting or bool((self.seen.get("status") or {}).get("inFlight"))

    def parse(self) -> None:
        """Bring spec and status up to date with `raw`."""
        self.parse_spec()
        recorded = self.raw.get("status") or {}
        if self.status is None or recorded != self.recorded:
            decided, self.status = self.status, SyncRolloutStatus.model_validate(recorded)
            self.recorded = recorded
            if self.unrecorded and decided is not None and decided.state is State.ROLLING_BACK:
                self.gone_back = decided.rollback if decided.run == self.status.run else None
            if self.status.state in _BACK:
                self.gone_back = None
            self.unrecorded = False

    def parse_spec(self) -> None:
        """A spec that does not parse leaves the last good one in place, so that a run in flight stays judged, but for
        the switches by which people stop it; `spec_problem` then says what is wrong. Where there is no good one, as
        after a restart, it goes by what is not wrong, if that is enough to go back by."""
        if self.spec_generation == self.generation and (self.spec is not None or self.spec_problem is not None):
            return
        try:
            self.spec = SyncRolloutSpec.model_validate(self.raw.get("spec") or {})
            self.spec_problem = None
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(str(part) for part in ("spec", *first["loc"]))
            self.spec_problem = Problem(Reason.INVALID_SPEC, f"{where}: {first['msg']}: correct it and apply again")
            raw = self.raw.get("spec") or {}
            self.spec = switched(self.spec, raw) if self.spec is not None else to_go_back_by(raw)
        self.spec_generation = self.generation

    def listen(self) -> asyncio.Future[None]:
        """A future that the next `wake` ends."""
        self.news = asyncio.get_running_loop().create_future()
        return self.news

    def wake(self) -> None:
        """Something has changed: a pass that waits for Prometheus looks whether that can still wait."""
        if self.news is not None and not self.news.done():
            self.news.set_result(None)

    def forget_decisions(self) -> None:
        """Go by what is recorded: another process may have led meanwhile. Only a rollback that could not be written
        down stays decided where nothing else has been recorded since: traffic may be back already, so that nothing
        speaks against new any more."""
        news = (self.seen.get("status") or {}) != self.recorded
        if not self.unrecorded or news:
            self.status = None
            self.unrecorded = False
        if news:
            self.gone_back = None
        self.starting = False
        self.looked_around, self.gave_way = False, 0
        self.told = None  # what others have recorded meanwhile, they have told
        self.failures, self.held_until, self.put_off = 0, 0.0, 0.0


class Rollouts:
    """All of them, by key. Fed by the watch and by our own writes; the newer resourceVersion wins. `partitions`: into
    how many they are divided."""

    def __init__(self, partitions: int = 1) -> None:
        self.partitions = partitions
        self.led: set[int] = set()
        """The partitions that this process acts for,"""
        self.leaving: set[int] = set()
        """and those of them that it is handing over."""
        self._all: dict[Key, Rollout] = {}
        self._users: dict[ObjectRef, dict[Key, None]] = {}  # dictionaries keep their order, from run to run
        self._claims: dict[Key, tuple[ObjectRef, ...]] = {}

    def __len__(self) -> int:
        return len(self._all)

    def __iter__(self) -> Iterator[Rollout]:
        return iter(list(self._all.values()))

    def get(self, key: Key) -> Rollout | None:
        """The rollout, None where there is none."""
        return self._all.get(key)

    def put(self, raw: Object) -> Rollout | None:
        """Take in an object as seen. Answers the rollout where that is news, None where it is older or the same."""
        metadata = raw["metadata"]
        key = Key(str(metadata.get("namespace", "")), str(metadata["name"]))
        known = self._all.get(key)
        if known is not None and not known.older_than(raw):
            return None  # also of an object that has been made anew since
        if known is None or known.uid != metadata.get("uid"):
            known = self._all[key] = Rollout(
                key, raw, partition=partition_of(str(metadata.get("uid", "")), self.partitions)
            )
        else:
            known.take_in(raw)
            known.starting = False  # from here on `raw` says it
        return known

    def foreign(self, rollout: Rollout) -> bool:
        """Whether another replica acts for it, as far as this one knows: what that one does is known late."""
        return self.partitions > 1 and rollout.partition not in self.led

    def remove(self, key: Key) -> None:
        """It is gone."""
        self._all.pop(key, None)
        self.unclaim(key)

    def claim(self, rollout: Rollout) -> None:
        """Note which objects the rollout moves or looks at, so that a change of them finds it."""
        spec = rollout.spec
        if spec is None:
            return
        namespace = rollout.key.namespace
        shards, freezes = assignment_ref(spec, namespace), freezes_ref(spec, namespace)
        refs = (
            *(ObjectRef(KindRef(r.api_version, r.kind), namespace, r.name) for r in spec.traffic.routes),
            *((shards,) if shards is not None else ()),
            *((freezes,) if freezes is not None else ()),
            workload_ref(spec.old, namespace),
            workload_ref(spec.new, namespace),
            *(
                ObjectRef(KindRef("v1", "Service"), namespace, system.service)
                for system in (spec.old, spec.new)
                if system.service is not None
            ),
        )
        if self._claims.get(rollout.key) == refs:
            return
        self.unclaim(rollout.key)
        self._claims[rollout.key] = refs
        for ref in refs:
            self._users.setdefault(ref, {})[rollout.key] = None

    def unclaim(self, key: Key) -> None:
        """The rollout looks at nothing any more."""
        for ref in self._claims.pop(key, ()):
            users = self._users.get(ref)
            if users is not None:
                users.pop(key, None)
                if not users:
                    del self._users[ref]

    def in_progress(self, *, foreign: bool = False) -> Iterator[tuple[Key, str, SyncRolloutSpec]]:
        """Key, namespace and spec of every rollout whose run has not ended, of those that this process acts for or, if
        `foreign`, of the others."""
        if foreign and self.partitions == 1:
            return
        for rollout in self:
            if rollout.spec is not None and not rollout.at_rest and self.foreign(rollout) is foreign:
                yield rollout.key, rollout.key.namespace, rollout.spec

    def users(self, ref: ObjectRef) -> tuple[Key, ...]:
        """The rollouts that look at this object."""
        return tuple(self._users.get(ref, ()))

    def rivals(self, rollout: Rollout) -> tuple[Key, ...]:
        """Other rollouts that move something this one moves too."""
        users = dict.fromkeys(key for ref in _moved(rollout) for key in self.users(ref))
        return tuple(key for key in users if key != rollout.key)

    def claimed(self, other: Rollout) -> bool:
        """Whether another replica is about to begin a run: its finalizer says so, and by now it may have begun."""
        return other.has_finalizer and not other.in_flight and self.foreign(other)

    def contends(self, one: Rollout, other: Rollout) -> bool:
        """Whether both want to move the same."""
        return not set(_moved(one)).isdisjoint(_moved(other))

    def taken(self, rollout: Rollout) -> tuple[Problem, ...]:
        """Whether another rollout holds a route (or, by replicas or shards, a workload) that this one would move.

        One in flight keeps what it has; among those that wait, the oldest goes first.
        """
        if rollout.in_flight:
            return ()
        for ref in _moved(rollout):
            for key in self.users(ref):
                other = self._all.get(key)
                if other is None or key == rollout.key or other.at_rest or other.watched or other.spec is None:
                    continue
                if other.in_flight or self.claimed(other) or (age(other) < age(rollout) and not rollout.watched):
                    message = (
                        f"{ref} is held by SyncRollout {other.key.name}: one rollout moves a route at a time; "
                        f"this one starts when {other.key.name} has ended or is deleted"
                    )
                    return (Problem(Reason.ROUTE_TAKEN, message),)
        return ()


def _moved(rollout: Rollout) -> tuple[ObjectRef, ...]:
    spec = rollout.spec
    if spec is None:
        return ()
    namespace = rollout.key.namespace
    routes = tuple(ObjectRef(KindRef(r.api_version, r.kind), namespace, r.name) for r in spec.traffic.routes)
    shards = assignment_ref(spec, namespace)
    if spec.traffic.replicas is None and shards is None:
        return routes
    # workers obey one assignment at a time
    workloads = (workload_ref(spec.old, namespace), workload_ref(spec.new, namespace))
    return (*routes, *((shards,) if shards is not None else ()), *workloads)


def age(rollout: Rollout) -> tuple[str, str]:
    """By when it was made; of two made within one second the order stays the same."""
    return str(rollout.metadata.get("creationTimestamp", "")), rollout.uid
