"""Informers on demand: a kind is watched from its first use until some minutes after its last."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Hashable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import NamedTuple

from syncrollout.ports import KindRef, KubeApi, Object, ObjectRef
from syncrollout.runtime.informer import Change, Informer, Project


class _Which(NamedTuple):
    kind: KindRef
    label: str = ""
    names_only: bool = False
    namespace: str = ""
    """Only there; empty where all namespaces of the operator are watched."""


@dataclass(slots=True)
class _Entry:
    informer: Informer
    users: set[Hashable] = field(default_factory=set)
    ending: asyncio.TimerHandle | None = None


Selected = Callable[[tuple[Hashable, ...], Object | None, Object | None], None]
"""(users, old, new) of an object in a namespace of its users' own. Must not block."""


class Informers:
    """One Informer for each (kind, label, names_only, namespace) that has a user. The arguments are those of Informer;
    `linger`: seconds that one outlives its last user, for rollouts come and go. Of what is watched in one namespace
    `on_selected` hears, with all who use it, and `on_change` does not."""

    def __init__(
        self,
        api: KubeApi,
        *,
        namespaces: tuple[str, ...] | None = None,
        on_change: Change | None = None,
        on_selected: Selected | None = None,
        project: Project | None = None,
        linger: float = 300.0,
        relist_every: float = 600.0,
        rng: random.Random | None = None,
    ) -> None:
        self._api = api
        self._namespaces = namespaces
        self._on_change = on_change
        self._on_selected = on_selected
        self._project = project
        self._linger = linger
        self._relist_every = relist_every
        self._rng = rng or random.Random()
        self._entries: dict[_Which, _Entry] = {}
        self._stopping: set[asyncio.Task[None]] = set()

    def acquire(
        self, kind: KindRef, *, label: str = "", names_only: bool = False, namespace: str = "", user: Hashable = ""
    ) -> Informer:
        """The informer of a kind, started if need be; again for the same user changes nothing."""
        which = _Which(kind, label, names_only, namespace)
        entry = self._entries.get(which)
        if entry is None:
            informer = Informer(
                self._api,
                kind,
                namespaces=(namespace,) if namespace else self._namespaces,
                label=label,
                names_only=names_only,
                on_change=partial(self._selected, which) if namespace else self._on_change,
                project=self._project,
                relist_every=self._relist_every,
                rng=self._rng,
            )
            entry = self._entries[which] = _Entry(informer)
            informer.start()
        entry.users.add(user)
        if entry.ending is not None:
            entry.ending.cancel()
            entry.ending = None
        return entry.informer

    def release(self, kind: KindRef, *, label: str = "", names_only: bool = False, user: Hashable = "") -> None:
        """This user needs the kind no longer."""
        self._release(_Which(kind, label, names_only), user)

    def forget(self, user: Hashable) -> None:
        """This user needs nothing any longer."""
        for which in list(self._entries):
            self._release(which, user)

    def peek(self, kind: KindRef, *, label: str = "", names_only: bool = False) -> Informer | None:
        """The informer of a kind if there is one."""
        entry = self._entries.get(_Which(kind, label, names_only))
        return entry.informer if entry else None

    def get(self, ref: ObjectRef, *, names_only: bool = False) -> Object | None:
        """An object as last seen; None where it is not known, or its kind is not watched."""
        informer = self.peek(ref.kind, names_only=names_only)
        return informer.get(ref.namespace, ref.name) if informer else None

    def update(self, obj: Object) -> None:
        """Take in the answer to one's own write, wherever its kind is watched."""
        kind = KindRef(str(obj.get("apiVersion", "")), str(obj.get("kind", "")))
        for informer in self._of(kind):
            informer.update(obj)

    @contextmanager
    def writing(self, ref: ObjectRef) -> Iterator[None]:
        """Around one's own write and its `update`; see `Informer.writing`."""
        with ExitStack() as stack:
            for informer in self._of(ref.kind):
                stack.enter_context(informer.writing(ref.namespace, ref.name))
            yield

    @property
    def last_heard(self) -> float:
        """When the most silent informer last heard of the API server (event loop's time); now if there is none."""
        now = asyncio.get_running_loop().time()
        return min((entry.informer.last_heard for entry in self._entries.values()), default=now)

    @property
    def problems(self) -> dict[KindRef, str]:
        """What cannot be watched, and why."""
        return {each.kind: entry.informer.problem for each, entry in self._entries.items() if entry.informer.problem}

    async def close(self) -> None:
        """Stop all."""
        entries, self._entries = self._entries, {}
        for entry in entries.values():
            if entry.ending is not None:
                entry.ending.cancel()
        await asyncio.gather(*(entry.informer.stop() for entry in entries.values()), *self._stopping)

    def _selected(self, which: _Which, ref: ObjectRef, old: Object | None, new: Object | None) -> None:
        entry = self._entries.get(which)
        if entry is not None and self._on_selected is not None:
            self._on_selected(tuple(entry.users), old, new)

    def _of(self, kind: KindRef) -> list[Informer]:
        return [entry.informer for which, entry in self._entries.items() if which.kind == kind]

    def _release(self, which: _Which, user: Hashable) -> None:
        entry = self._entries.get(which)
        if entry is None or user not in entry.users:
            return
        entry.users.discard(user)
        if not entry.users:
            entry.ending = asyncio.get_running_loop().call_later(self._linger, self._end, which)

    def _end(self, which: _Which) -> None:
        entry = self._entries.pop(which)
        task = asyncio.create_task(entry.informer.stop())
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)
