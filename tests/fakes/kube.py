"""An API server in memory at the KubeApi port, for the deterministic simulation: asyncio only, so that a virtual-time
loop drives it; faults and delays at every call; a log of every call that reached it.
"""

from __future__ import annotations

import asyncio
import copy
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Literal

from fakes.patching import clone
from fakes.selectors import matches
from fakes.storage import Happening, Served, Storage, labels_of
from syncrollout.ports import (
    ApiError,
    Behalf,
    Forbidden,
    Invalid,
    KindRef,
    Listing,
    NotLeading,
    Object,
    ObjectRef,
    PatchType,
    Turn,
    Unavailable,
    WatchEvent,
)
from syncrollout.runtime.projections import project_names

EPOCH = 1_767_225_600.0
"""2026-01-01T00:00:00Z: where the fake's wall clock stands when the loop's clock is at zero."""
CLOCK_GRAIN = 1e-6
"""Timers of a loop may fire a grain early; without this, virtual time would stand still there for ever."""
Verb = Literal["get", "list", "watch", "patch", "create", "delete", "put"]


@dataclass(slots=True)
class Call:
    """One call. `by` is `operator` through the port, else `person`. `before` and `after` are the object (copies);
    `applied` says whether it changed anything; `error` what it was answered with."""

    verb: Verb
    ref: ObjectRef
    body: Any = None
    patch_type: PatchType | None = None
    subresource: str = ""
    urgent: bool = False
    dry_run: bool = False
    turn: Turn = Turn.FIRST
    by: Literal["operator", "person"] = "operator"
    at: float = 0.0
    applied: bool = False
    before: Object | None = None
    after: Object | None = None
    error: BaseException | None = None
    behalf: Behalf | None = None
    """On whose behalf, where it is not for the operator itself."""

    def __str__(self) -> str:
        tried = "try to " if self.dry_run else ""
        return f"{tried}{self.verb} {self.ref}{'/' + self.subresource if self.subresource else ''}"


Hook = Callable[[Call], Awaitable[None]]
Objects = list[Object]
Calls = list[Call]
OpenWatches = list[tuple[KindRef, str]]


class FakeKube:
    """`syncrollout.ports.KubeApi`. Times are those of the running loop; `now` is the wall clock for timestamps.

    `before` runs before an effect and `after` behind it; both may wait or raise, so a call can be refused, time out
    unseen, or take effect with its answer lost. `on_effect` hears of each effective write at once, whoever made it.
    """

    def __init__(
        self,
        *,
        latency: float = 0.0,
        start_version: int = 1000,
        bookmark_every: float = 60.0,
        watch_timeout: float = 290.0,
        now: Callable[[], float] | None = None,
    ) -> None:
        self.latency = latency
        self.may_write: Callable[[], bool] = lambda: True
        self.before: Hook | None = None
        self.after: Hook | None = None
        self.on_effect: list[Callable[[Call], None]] = []
        self.log: list[Call] = []
        self.printed: dict[tuple[str, str, bool], str] = {}
        """What containers have printed, by pod, container and whether it is the one before."""
        self._now = now or (lambda: EPOCH + asyncio.get_running_loop().time())
        self._storage = Storage(start_version=start_version, now=self._now)
        self._storage.listeners.append(self._spread)
        self._bookmark_every = bookmark_every
        self._watch_timeout = watch_timeout
        self._forbidden: set[tuple[str, KindRef, str]] = set()
        self.require_account = False
        self.looked_at: set[tuple[Behalf, str, ObjectRef, str]] = set()
        """Whose rights were asked about, the verb, the object (without a name: all of its kind), the subresource."""
        self._behalf: Behalf | None = None
        self._silent: set[KindRef] = set()
        self._watches: list[_Watch] = []

    # The port.

    async def get(self, ref: ObjectRef, *, subresource: str = "") -> Object:
        """See the port."""
        call = Call("get", ref, subresource=subresource)
        return dict(await self._call(call, lambda: self._storage.get(ref, subresource)))

    async def logs(self, pod: ObjectRef, container: str, *, lines: int, previous: bool = False) -> str:
        """See ports.PodLogs."""
        said = self.printed.get((pod.name, container, previous), "")

        def read() -> str:
            self._storage.get(pod, "")
            return "\n".join(said.splitlines()[-lines:])

        return str(await self._call(Call("get", pod, subresource="log"), read))

    async def list(
        self,
        kind: KindRef,
        namespace: str = "",
        *,
        label_selector: str = "",
        names_only: bool = False,
        project: Callable[[Object], Object] | None = None,
    ) -> Listing:
        """See the port."""

        def read() -> Listing:
            items = self._storage.all(kind, namespace, label_selector)
            if names_only:
                items = [project_names(item) for item in items]
            return Listing([project(item) for item in items] if project else items, str(self._storage.version))

        listing: Listing = await self._call(Call("list", ObjectRef(kind, namespace, "")), read)
        return listing

    async def watch(
        self,
        kind: KindRef,
        namespace: str,
        resource_version: str,
        *,
        label_selector: str = "",
        names_only: bool = False,
    ) -> AsyncGenerator[WatchEvent, None]:
        """See the port."""
        watch = _Watch(kind, namespace, label_selector)

        def open_watch() -> None:
            self._storage.served(kind)
            for happening in self._storage.since(resource_version):
                watch.offer(happening)
            self._watches.append(watch)

        loop = asyncio.get_running_loop()
        end = loop.time() + self._watch_timeout
        bookmark = loop.time() + self._bookmark_every
        try:
            await self._call(Call("watch", ObjectRef(kind, namespace, "")), open_watch)
            while True:
                while watch.waiting and kind not in self._silent:
                    word, happening = watch.waiting.popleft()
                    yield WatchEvent(word, self._shown(happening.object, names_only))
                if watch.dropped:
                    raise Unavailable(f"watch {kind}: the stream broke off", status=0)
                now = loop.time() + CLOCK_GRAIN
                if now >= end:
                    return
                if now >= bookmark:
                    bookmark = loop.time() + self._bookmark_every
                    if kind not in self._silent:
                        mark = {"resourceVersion": str(self._storage.version)}
                        yield WatchEvent(
                            "BOOKMARK", {"apiVersion": kind.api_version, "kind": kind.kind, "metadata": mark}
                        )
                        continue
                watch.woken.clear()
                try:
                    async with asyncio.timeout_at(min(end, bookmark)):
                        await watch.woken.wait()
                except TimeoutError:
                    pass
        finally:
            if watch in self._watches:
                self._watches.remove(watch)

    async def patch(
        self,
        ref: ObjectRef,
        patch: Any,
        kind: PatchType,
        *,
        subresource: str = "",
        urgent: bool = False,
        turn: Turn = Turn.FIRST,
        dry_run: bool = False,
    ) -> Object:
        """See the port."""
        call = Call("patch", ref, clone(patch), kind, subresource, urgent, dry_run, turn)
        return dict(await self._call(call, lambda: self._storage.patch(ref, patch, kind, subresource, dry_run=dry_run)))

    async def create(self, ref: ObjectRef, body: Object, *, turn: Turn = Turn.FIRST, dry_run: bool = False) -> Object:
        """See the port."""
        call = Call("create", ref, clone(body), dry_run=dry_run, turn=turn)
        return dict(await self._call(call, lambda: self._storage.create(ref, body, dry_run=dry_run)))

    def acting_as(self, behalf: Behalf, *, moves: bool = False) -> FakeKube:
        """See ports.OnBehalf."""
        other = copy.copy(self)
        other._behalf = behalf
        other.require_account = self.require_account and not moves
        return other

    async def missing(self, behalf: Behalf, verb: str, ref: ObjectRef, *, subresource: str = "") -> str:
        """See ports.Permits."""
        await asyncio.sleep(self.latency)
        self._storage.served(ref.kind)
        self.looked_at.add((behalf, verb, ref, subresource))
        return self._lacks(behalf, verb, ref) if (verb, ref.kind, behalf.account) in self._forbidden else ""

    def unguarded(self) -> _Unguarded:
        """The same API server without the question whether this process leads."""
        return _Unguarded(self)

    # A person's hands: at once, without faults.

    def scatter_uids(self, *, on: bool) -> None:
        """uids of what is made from now on are as different from one another as a real API server's."""
        self._storage.scattered = on

    def put(self, obj: Object) -> Object:
        """Create, or replace all but metadata of the server's and status."""
        ref = ref_of(obj)
        old = self._storage.find(ref)
        call = Call("put", ref, clone(obj), by="person")
        if old is None:
            made = self._do(call, lambda: self._storage.create(ref, obj))
        else:
            whole = {**obj, "metadata": {**old["metadata"], **obj["metadata"]}}
            patch = [{"op": "replace", "path": "", "value": whole}]
            made = self._do(call, lambda: self._storage.patch(ref, patch, PatchType.JSON))
        has_status = self._storage.served(ref.kind).status and "status" in obj
        return self.edit_status(ref, obj["status"]) if has_status else dict(made)

    def edit(self, ref: ObjectRef, patch: Any) -> Object:
        """A merge patch, or with a list a JSON patch."""
        kind = PatchType.JSON if isinstance(patch, list) else PatchType.MERGE
        call = Call("patch", ref, clone(patch), kind, by="person")
        return dict(self._do(call, lambda: self._storage.patch(ref, patch, kind)))

    def edit_status(self, ref: ObjectRef, status: Object) -> Object:
        """A merge patch of status."""
        call = Call("patch", ref, {"status": clone(status)}, PatchType.MERGE, "status", by="person")
        patch = {"status": status}
        return dict(self._do(call, lambda: self._storage.patch(ref, patch, PatchType.MERGE, "status")))

    def delete(self, ref: ObjectRef) -> None:
        """Delete; finalizers hold it back."""
        self._do(Call("delete", ref, by="person"), lambda: self._storage.delete(ref))

    def read(self, ref: ObjectRef) -> Object | None:
        """The object (a copy) or None."""
        found = self._storage.find(ref)
        return clone(found) if found else None

    def look(self, ref: ObjectRef) -> Object | None:
        """The object itself or None: for who looks often, and changes nothing."""
        return self._storage.find(ref)

    def all(self, kind: KindRef, namespace: str = "") -> Objects:
        """All objects of a kind (copies)."""
        return self._storage.all(kind, namespace)

    # What may be wrong with an API server.

    def serve(self, kind: KindRef, served: Served | None = None) -> None:
        """Serve one more kind, by default a custom one with a status subresource."""
        self._storage.kinds[kind] = served or Served(status=True, generation="custom")

    def unserve(self, kind: KindRef) -> None:
        """Serve it no longer."""
        self._storage.kinds.pop(kind, None)

    def forbid(self, verb: Verb, kind: KindRef, account: str = "") -> None:
        """Take this right from the operator, or from an account."""
        self._forbidden.add((verb, kind, account))

    def allow(self, verb: Verb, kind: KindRef, account: str = "") -> None:
        """Give it back."""
        self._forbidden.discard((verb, kind, account))

    def expire(self) -> None:
        """Forget the history: open watches break off, and resuming them gets Expired."""
        self._storage.compact()
        self.drop_watches()

    def silence(self, kind: KindRef, *, on: bool = True) -> None:
        """Watches of this kind stay open and say nothing; later, what was held back comes."""
        if on:
            self._silent.add(kind)
        else:
            self._silent.discard(kind)
            for watch in self._watches:
                watch.woken.set()

    def drop_watches(self, kind: KindRef | None = None) -> None:
        """Break off open watches."""
        for watch in self._watches:
            if kind in {None, watch.kind}:
                watch.dropped = True
                watch.woken.set()

    @property
    def open_watches(self) -> OpenWatches:
        """Kind and namespace of each."""
        return [(watch.kind, watch.namespace) for watch in self._watches]

    @property
    def effects(self) -> Calls:
        """The calls that changed something."""
        return [call for call in self.log if call.applied]

    @staticmethod
    def _lacks(behalf: Behalf, verb: str, ref: ObjectRef) -> str:
        where = f"namespace {ref.namespace}" if ref.namespace else "all namespaces"
        return f'{behalf} lacks the right to "{verb}" resource "{ref.kind.kind}" in {where}'

    async def _call(self, call: Call, effect: Callable[[], Any], *, guarded: bool = True) -> Any:
        """A call through the port: leadership, fault, way there, effect, fault, way back."""
        call.behalf = self._behalf
        if self._behalf is not None and call.ref.namespace != self._behalf.namespace:
            raise Invalid(f"{call}: a rollout looks at its own namespace alone")
        if guarded and call.verb in {"patch", "create"} and not self.may_write():
            raise NotLeading(f"{call}: not sent, for this process does not lead (any longer)")
        call.at = asyncio.get_running_loop().time()
        try:
            if self.before is not None:
                await self.before(call)
            await asyncio.sleep(self.latency / 2)
            behalf = self._behalf or Behalf("")
            if self._behalf is not None and not behalf.account and self.require_account:
                raise Forbidden(f"{call}: this rollout names no ServiceAccount")
            if (call.verb, call.ref.kind, behalf.account) in self._forbidden:
                raise Forbidden(f"{call}: {self._lacks(behalf, call.verb, call.ref)}")
            self._storage.check(call.ref, named=call.verb in {"get", "patch"})
            result = self._do(call, effect)
            if self.after is not None:
                await self.after(call)
        except BaseException as error:
            call.error = error
            raise
        await asyncio.sleep(self.latency / 2)
        return result

    def _do(self, call: Call, effect: Callable[[], Any]) -> Any:
        call.at = call.at or asyncio.get_running_loop().time()
        self.log.append(call)
        named = bool(call.ref.name)
        call.before = clone(self._storage.find(call.ref)) if named else None
        version = self._storage.version
        try:
            result = effect()
        except ApiError as error:
            call.error = error
            raise
        if self._storage.version != version and call.verb not in {"get", "list", "watch"}:
            call.applied = True
            call.after = clone(self._storage.find(call.ref)) if named else clone(result)
            for hear in self.on_effect:
                hear(call)
        return result

    def _spread(self, happening: Happening) -> None:
        for watch in self._watches:
            watch.offer(happening)

    @staticmethod
    def _shown(obj: Object, names_only: bool) -> Object:
        copy: Object = clone(obj)
        return project_names(copy) if names_only else copy


class _Unguarded(FakeKube):
    """Shares everything with the fake it was made from."""

    def __init__(self, origin: FakeKube) -> None:
        self.__dict__ = origin.__dict__

    async def _call(self, call: Call, effect: Callable[[], Any], *, guarded: bool = True) -> Any:
        return await super()._call(call, effect, guarded=False)


class _Watch:
    """One open watch and what it has yet to say."""

    def __init__(self, kind: KindRef, namespace: str, selector: str) -> None:
        self.kind = kind
        self.namespace = namespace
        self.selector = selector
        self.waiting: deque[tuple[str, Happening]] = deque()
        self.woken = asyncio.Event()
        self.dropped = False

    def offer(self, happening: Happening) -> None:
        if happening.ref.kind == self.kind and self.namespace in {"", happening.ref.namespace}:
            word = self._word(happening)
            if word:
                self.waiting.append((word, happening))
                self.woken.set()

    def _word(self, happening: Happening) -> str:
        """What it is to those who see only what their selector lets through; empty where it is nothing."""
        before = happening.before is not None and matches(self.selector, labels_of(happening.before))
        after = happening.type != "DELETED" and matches(self.selector, labels_of(happening.object))
        if before:
            return "MODIFIED" if after else "DELETED"
        return "ADDED" if after else ""


def ref_of(obj: Object) -> ObjectRef:
    """The reference of an object that carries apiVersion and kind."""
    metadata = obj["metadata"]
    return ObjectRef(KindRef(obj["apiVersion"], obj["kind"]), metadata.get("namespace", ""), metadata.get("name", ""))
