"""What the API server holds of one kind, kept up to date by a list and a watch, and listed again now and then: a
watch can fall silent for ever without any error.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field

from syncrollout.ports import (
    ApiError,
    Expired,
    Forbidden,
    KindNotServed,
    KindRef,
    KubeApi,
    Listing,
    Object,
    ObjectRef,
    Unavailable,
    WatchEvent,
)
from syncrollout.runtime.projections import project_names

logger = logging.getLogger(__name__)

Change = Callable[[ObjectRef, Object | None, Object | None], None]
"""(ref, old, new): `old` None for what is new, `new` None for what is gone. Must not block."""
Project = Callable[[Object], Object]
"""Trims an object; metadata.namespace, name, uid and resourceVersion must stay."""
Key = tuple[str, str]

BACKOFF_BASE = 0.5
BACKOFF_CAP = 10.0
GRAIN = 0.001
"""A timer of the event loop may fire a little before its time."""
REFUSAL_PATIENCE = 5.0
"""Seconds for which a refusal of what has been seen before is taken for a passing one."""
SETTLED_SECONDS = 5.0
"""A watch that has stood this long without an error counts as mended, even if nothing has happened on it."""


@dataclass(slots=True)
class _Writing:
    """Own writes of one object that are under way: what they left behind, and what the watch said meanwhile."""

    depth: int = 0
    own: set[str] = field(default_factory=set)
    heard: list[tuple[Object | None, Object | None]] = field(default_factory=list)


class Informer:
    """Objects of one kind, everywhere or in `namespaces`. Lives in one event loop; times are those of its clock.

    `on_change` hears of every change by others, once; not of one's own writes that came in by `update`.
    `label`: only objects that carry this label. `names_only` fetches metadata alone. `relist_every`: seconds between
    full lists (each varied by a tenth).
    """

    def __init__(
        self,
        api: KubeApi,
        kind: KindRef,
        *,
        namespaces: tuple[str, ...] | None = None,
        label: str = "",
        names_only: bool = False,
        on_change: Change | None = None,
        project: Project | None = None,
        relist_every: float = 600.0,
        rng: random.Random | None = None,
    ) -> None:
        self.kind = kind
        self.synced = asyncio.Event()
        self.tried = asyncio.Event()
        """Set once the first list has been answered, well or not: then either `synced` or `error` says what came."""
        self._api = api
        self._label = label
        self._names_only = names_only
        self._on_change = on_change
        self._project = project
        self._relist_every = relist_every
        self._rng = rng or random.Random()
        self._objects: dict[Key, Object] = {}
        self._own: dict[Key, set[str]] = {}
        self._writing: dict[Key, _Writing] = {}
        self._streams = [_Stream(self, namespace) for namespace in (namespaces if namespaces is not None else ("",))]
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Begin; a second call does nothing."""
        if not self._tasks:
            for stream in self._streams:
                name = f"informer {self.kind.kind} {stream.namespace}".rstrip()
                self._tasks.append(asyncio.create_task(stream.run(), name=name))

    async def stop(self) -> None:
        """End; what is stored stays readable."""
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def get(self, namespace: str, name: str) -> Object | None:
        """The object as last seen, or None. Not to be changed by the caller."""
        return self._objects.get((namespace, name))

    def items(self) -> list[Object]:
        """All objects."""
        return list(self._objects.values())

    def __len__(self) -> int:
        return len(self._objects)

    @property
    def last_heard(self) -> float:
        """When the API server last said anything, in the event loop's time; of several namespaces the most silent."""
        return min(stream.heard_at for stream in self._streams)

    @property
    def problem(self) -> str:
        """Why nothing (new) is seen, in one sentence; empty while all is well."""
        return next((stream.problem for stream in self._streams if stream.problem), "")

    @property
    def error(self) -> ApiError | None:
        """What `problem` rests on."""
        return next((stream.error for stream in self._streams if stream.error is not None), None)

    @property
    def refusal(self) -> ApiError | None:
        """`error` where a person has to act on it: the kind may not be watched, or is not served.

        Once a list has been seen that has to last for some seconds: an API server that has just started refuses
        everybody until it has loaded its roles and CRDs, and until then what is stored is the best there is.
        """
        now = asyncio.get_running_loop().time()
        patience = REFUSAL_PATIENCE if self.synced.is_set() else 0.0
        refused = (each for each in self._streams if each.refused_at is not None and now - each.refused_at >= patience)
        return next((each.error for each in refused), None)

    def update(self, obj: Object) -> None:
        """Take in the answer to one's own write, so that the next pass does not wait for its echo.

        Ignored where it is of another kind (a Scale), older than what is stored, of an object that is gone, or of one
        that does not carry our label.
        """
        if obj.get("kind") != self.kind.kind or obj.get("apiVersion") != self.kind.api_version:
            return
        metadata = obj["metadata"]
        if self._label and self._label not in (metadata.get("labels") or {}):
            return
        key, version = _key(obj), _version(obj)
        if key in self._writing:
            self._writing[key].own.add(version)
        if metadata.get("deletionTimestamp") and not metadata.get("finalizers"):
            return  # this write has ended the object: the watch says so
        stored = self._objects.get(key)
        if stored is None:
            stream = self._stream(key[0])
            if stream is None or not _older(stream.version, version):
                return  # outside our namespaces, or the watch has seen it go already
        elif not _older(_version(stored), version):
            return
        self._objects[key] = self._trim(obj)
        self._own.setdefault(key, set()).add(version)

    @contextmanager
    def writing(self, namespace: str, name: str) -> Iterator[None]:
        """Around one's own write and its `update`: the watch may bring the echo before the answer is there. What
        comes meanwhile is told at the end, and the echo not at all."""
        key = (namespace, name)
        writing = self._writing.setdefault(key, _Writing())
        writing.depth += 1
        try:
            yield
        finally:
            writing.depth -= 1
            if writing.depth == 0:
                del self._writing[key]
                for old, new in writing.heard:
                    if new is None or _version(new) not in writing.own:
                        self._tell(key, old, new)

    def discard(self, namespace: str, name: str) -> None:
        """Forget an object that the API server has just said not to exist; `on_change` hears of it."""
        self._remove((namespace, name))

    def take_event(self, event: WatchEvent) -> None:
        """One event of the watch."""
        if event.type == "DELETED":
            key = _key(event.object)
            stored = self._objects.get(key)
            if stored is not None and (
                _uid(stored) == _uid(event.object) or not _older(_version(event.object), _version(stored))
            ):
                self._remove(key)
        elif event.type != "BOOKMARK":
            self._take(self._trim(event.object))

    def take_list(self, listing: Listing, namespace: str) -> None:
        """A full list of a namespace (empty: of all): what is not in it is gone."""
        present = set()
        for obj in listing.items:
            present.add(_key(obj))
            self._take(obj)
        gone = [
            key
            for key, stored in self._objects.items()
            if key not in present
            and (not namespace or key[0] == namespace)
            and not _older(listing.resource_version, _version(stored))  # written by us after the list was made
        ]
        for key in gone:
            self._remove(key)
        if all(stream.listed for stream in self._streams):
            self.synced.set()
            self.tried.set()

    async def fetch(self, namespace: str) -> Listing:
        """The list of a namespace, trimmed."""
        return await self._api.list(
            self.kind, namespace, label_selector=self._label, names_only=self._names_only, project=self._trim
        )

    async def follow(self, namespace: str, version: str, take: Callable[[WatchEvent], None]) -> None:
        """One watch, to its end."""
        watch = self._api.watch(self.kind, namespace, version, label_selector=self._label, names_only=self._names_only)
        async with aclosing(watch) as events:
            async for event in events:
                take(event)

    def jitter(self, low: float, high: float) -> float:
        """A random number between the two."""
        return self._rng.uniform(low, high)

    @property
    def relist_every(self) -> float:
        """Seconds between full lists."""
        return self._relist_every

    def _take(self, new: Object) -> None:
        key, version = _key(new), _version(new)
        stored = self._objects.get(key)
        own = self._own.get(key)
        echo = False
        if own:
            echo = version in own
            own.difference_update([each for each in own if not _older(version, each)])
            if not own:
                del self._own[key]
        if stored is None:
            self._objects[key] = new
            self._tell(key, None, new)
        elif _version(stored) == version:
            return
        elif _older(version, _version(stored)):
            # Somebody else's change that came before our own write: what we stored holds it already, but nobody
            # has been told of it.
            if not echo:
                self._tell(key, new, stored)
        else:
            self._objects[key] = new
            if _uid(stored) == _uid(new):
                self._tell(key, stored, new)
            else:
                self._tell(key, stored, None)
                self._tell(key, None, new)

    def _remove(self, key: Key) -> None:
        stored = self._objects.pop(key, None)
        self._own.pop(key, None)
        if stored is not None:
            self._tell(key, stored, None)

    def _tell(self, key: Key, old: Object | None, new: Object | None) -> None:
        if self._on_change is None:
            return
        if key in self._writing:
            self._writing[key].heard.append((old, new))
            return
        ref = ObjectRef(self.kind, *key)
        try:
            self._on_change(ref, old, new)
        except Exception:
            logger.exception("a change of %s could not be handled", ref)

    def _trim(self, obj: Object) -> Object:
        if self._names_only:
            obj = project_names(obj)
        return self._project(obj) if self._project else obj

    def _stream(self, namespace: str) -> _Stream | None:
        return next((each for each in self._streams if each.namespace in {"", namespace}), None)


class _Stream:
    """The list and watch of one namespace, or of all, with what is known of its health."""

    def __init__(self, informer: Informer, namespace: str) -> None:
        self.namespace = namespace
        self.version = ""
        self.problem = ""
        self.error: ApiError | None = None
        self.listed = False
        self.heard_at = asyncio.get_running_loop().time()
        self.refused_at: float | None = None
        """Since when every answer has been a refusal, loop time."""
        self._informer = informer
        self._failures = 0

    async def run(self) -> None:
        """For ever."""
        relist_at = 0.0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            try:
                if not self.version or started >= relist_at - GRAIN:
                    listing = await self._informer.fetch(self.namespace)
                    self.version, self.listed = listing.resource_version, True
                    self._well()
                    self._informer.take_list(listing, self.namespace)
                    started = loop.time()
                    relist_at = started + self._informer.relist_every * self._informer.jitter(0.9, 1.1)
                await self._follow(relist_at)
                delay = 0.0
                if loop.time() - started < 1.0:  # a server that ends watches at once is not to be hammered
                    delay = self._backoff()
                else:
                    self._failures = 0
            except Expired:
                self.version = ""
                delay = self._backoff()
            except ApiError as error:
                delay = self._failed(error)
            await asyncio.sleep(delay)

    async def _follow(self, until: float) -> None:
        """One watch, cut at `until` to list again. Ends silently or raises ApiError."""
        settled = asyncio.get_running_loop().call_later(SETTLED_SECONDS, self._well)
        try:
            async with asyncio.timeout_at(until):
                await self._informer.follow(self.namespace, self.version, self._take)
        except TimeoutError:
            pass
        finally:
            settled.cancel()

    def _take(self, event: WatchEvent) -> None:
        self._well()
        self._informer.take_event(event)
        self.version = _version(event.object) or self.version

    def _well(self) -> None:
        self.heard_at = asyncio.get_running_loop().time()
        self._failures = 0
        self.error = self.refused_at = None
        if self.problem:
            logger.info("watching %s again", self._what())
            self.problem = ""

    def _failed(self, error: ApiError) -> float:
        if error.status and not isinstance(error, Unavailable):
            self.heard_at = asyncio.get_running_loop().time()  # a refusal is an answer: the server is there
        self.error = error
        if not isinstance(error, Forbidden | KindNotServed):
            self.refused_at = None
        elif self.refused_at is None:
            self.refused_at = asyncio.get_running_loop().time()
        quick = self._informer.synced.is_set() and self.refused_at is not None and self._informer.refusal is None
        self._informer.tried.set()
        if self.problem != str(error):
            self.problem = str(error)
            logger.warning("cannot watch %s: %s", self._what(), error)
        if quick:  # asked again soon, so that it is known for sure by the time that it counts
            return self._informer.jitter(0.5, 1.0)
        return max(self._backoff(), getattr(error, "retry_after", None) or 0.0)

    def _backoff(self) -> float:
        self._failures += 1
        return min(BACKOFF_CAP, BACKOFF_BASE * 2.0 ** min(self._failures - 1, 10)) * self._informer.jitter(0.5, 1.0)

    def _what(self) -> str:
        return f"{self._informer.kind} in {'namespace ' + self.namespace if self.namespace else 'all namespaces'}"


def _key(obj: Object) -> Key:
    metadata = obj["metadata"]
    return metadata.get("namespace", ""), metadata["name"]


def _uid(obj: Object) -> str:
    return str(obj["metadata"].get("uid", ""))


def _version(obj: Object) -> str:
    return str(obj["metadata"].get("resourceVersion", ""))


def _older(one: str, other: str) -> bool:
    """Whether resourceVersion `one` is before `other`. They are decimal numbers that only grow (promised since
    Kubernetes 1.35); of anything else nothing is known, and nothing is older."""
    if one.isdigit() and other.isdigit():
        return int(one) < int(other)
    return False
