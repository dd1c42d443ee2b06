"""Keeping alerting rules and dashboards as the specs ask, beside the passes: a task of its own, one rollout after
another, so that no pass and no way back ever waits for it.

Level-triggered: what stands is compared with what the spec asks for, and written only where it differs; when the spec
changes, when this process begins to lead, and every few minutes, so that what somebody deletes or changes comes back.
The objects belong to the SyncRollout and go with it. The operator deletes nothing: what is not asked for any more is
emptied. A rollout without spec.monitoring costs nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
import json
import logging
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from pydantic import ValidationError

from syncrollout.act.record import merge_patch
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.objects import FOLDER_ANNOTATION, emptied, place, places, wanted
from syncrollout.ports import (
    ACTING_FOR,
    ApiError,
    Behalf,
    KindNotServed,
    KindRef,
    KubeApi,
    NotFound,
    NotLeading,
    Object,
    ObjectRef,
    OnBehalf,
    PatchType,
    Turn,
)

log = logging.getLogger(__name__)

LOOK_EVERY: Final = 600.0
"""Seconds between looks at what stands, where nothing has changed."""
FIRST_RETRY: Final = 5.0
"""Seconds until what failed is tried again; twice as long each time."""
FAILURES: Final = 4
"""In a row, before they are told of: an API server that is away for a while is no matter of one rollout's."""
PATIENCE: Final = {422: 1, 403: 2}
"""The same by the HTTP status: an API server that has just started refuses everybody, and does so once."""
_RULE: Final = KindRef("monitoring.coreos.com/v1", "PrometheusRule")
_CONTENT: Final = ("data", "spec")
Which = tuple[str, str]
"""Namespace and name of a rollout."""


@dataclass(slots=True)
class _Kept:
    """A rollout whose rules and dashboards are kept."""

    raw: Object
    due: float = 0.0
    """When it is looked at next, event loop's time."""
    failures: int = 0
    told: str = ""
    """What was last told of it."""
    made_for: tuple[object, ...] = ()
    """For which spec all was last made right,"""
    digests: dict[tuple[KindRef, str], str] = field(default_factory=dict)
    """and as what it stood then: as long as that is so, nothing has to be made anew to be compared."""


class MonitoringKeeper:
    """Keeps them. `tell` hears, in words, of what could not be applied, once for each problem; `observe` whether all of
    a rollout's stands as it should, None where nothing is kept for it any more."""

    def __init__(
        self,
        api: OnBehalf,
        *,
        tell: Callable[[ObjectRef, str, str], None],
        observe: Callable[[str, str, bool | None], None],
        rng: random.Random | None = None,
    ) -> None:
        self._api = api
        self._tell = tell
        self._observe = observe
        self._rng = rng or random.Random()
        self._kept: dict[Which, _Kept] = {}
        self._turns: list[tuple[float, Which]] = []
        """A heap of when which one is due; what is not so any more is passed over."""
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def seen(self, raw: Object) -> None:
        """A SyncRollout as the API server shows it. Costs next to nothing where it asks for nothing."""
        metadata = raw["metadata"]
        which = (str(metadata.get("namespace", "")), str(metadata["name"]))
        kept = self._kept.get(which)
        if "deletionTimestamp" in metadata:
            self.gone(*which)
        elif kept is None:
            if _asks(raw):
                self._kept[which] = _Kept(raw)
                self._schedule(which, 0.0)
        else:
            before, kept.raw = kept.raw, raw
            if _edited(before, raw):
                kept.failures = 0
                self._schedule(which, 0.0)

    def gone(self, namespace: str, name: str) -> None:
        """The rollout is no more, or about to be: what was made for it goes with it."""
        if self._kept.pop((namespace, name), None) is not None:
            self._observe(namespace, name, None)

    def lead(self) -> None:
        """Begin to write: all are looked at anew."""
        for which in self._kept:
            self._schedule(which, 0.0)
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run(), name="monitoring")

    def follow(self) -> None:
        """Stop writing; what there is to keep is remembered."""
        if self._task is not None:
            self._task.cancel()
            self._task = None
        for which in self._kept:
            self._observe(*which, None)  # whoever leads says how it stands

    async def close(self) -> None:
        """End."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def _schedule(self, which: Which, delay: float) -> None:
        """Look at it so many seconds from now, and at no other time."""
        kept = self._kept[which]
        kept.due = self._now() + delay
        heapq.heappush(self._turns, (kept.due, which))
        self._news.set()

    async def _run(self) -> None:
        while True:
            self._news.clear()
            wait: float | None = None
            while self._turns and wait is None:
                due, which = self._turns[0]
                kept = self._kept.get(which)
                if kept is None or kept.due != due:
                    heapq.heappop(self._turns)
                elif due <= self._now():
                    heapq.heappop(self._turns)
                    await self._look(which, kept)
                else:
                    wait = due - self._now()
            try:
                async with asyncio.timeout(wait):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _look(self, which: Which, kept: _Kept) -> None:
        """One rollout: make it right, and say when to look again."""
        raw, patience = kept.raw, 1
        ACTING_FOR.set(str(raw["metadata"].get("uid", "")))
        try:
            problem = await self._keep(which, kept, raw)
        except NotLeading:
            if self._kept.get(which) is kept:
                self._schedule(which, FIRST_RETRY)
            return
        except ApiError as error:
            problem, patience = str(error), PATIENCE.get(error.status, FAILURES)
        except Exception:  # an error of our own costs this rollout its dashboards, and no other one anything
            log.exception("rules and dashboards of %s/%s ended in an error of the operator's own", *which)
            problem = "an error of the operator's own, which its log has"
        if self._kept.get(which) is kept and not _edited(raw, kept.raw):  # otherwise it is due already
            self._settle(which, kept, problem, patience)

    def _settle(self, which: Which, kept: _Kept, problem: str, patience: int) -> None:
        """Remember what came of a look, and tell of a problem that has been met so often."""
        if not problem:
            kept.failures, kept.told = 0, ""
            if _asks(kept.raw):
                self._observe(*which, True)
                self._schedule(which, LOOK_EVERY * self._rng.uniform(0.9, 1.1))
            else:
                self.gone(*which)  # all is taken away that was asked for earlier
            return
        self._schedule(which, min(LOOK_EVERY, FIRST_RETRY * 2.0 ** min(kept.failures, 10)))
        kept.failures += 1
        if kept.failures < patience:
            return
        self._observe(*which, False)
        if problem != kept.told:
            kept.told = problem
            log.warning("rules and dashboards of %s/%s cannot be applied: %s", *which, problem)
            self._tell(ObjectRef(KindRef(API_VERSION, KIND), *which), str(kept.raw["metadata"].get("uid", "")), problem)

    async def _keep(self, which: Which, kept: _Kept, raw: Object) -> str:
        """Make everything be as it is asked for; what cannot be made, in words. Raises ApiError."""
        namespace, name = which
        account = str((raw.get("spec") or {}).get("serviceAccountName") or "")
        api = self._api.acting_as(Behalf(namespace, account))
        stands = await self._stands(api, namespace, name)
        served = any(kind == _RULE for kind, _ in stands)
        metadata = raw["metadata"]
        made_for = (metadata.get("generation"), metadata.get("uid"), served)
        if kept.made_for == made_for and kept.digests == _digests(stands):
            return ""
        try:
            spec = SyncRolloutSpec.model_validate(raw.get("spec"))
        except ValidationError:
            return ""  # the rollout itself says so; what stands is left as it is
        objects: dict[tuple[KindRef, str], Object] = {}
        try:
            for obj in wanted(Subject(namespace, name, spec), served=served):
                api_version, kind_name, called = place(obj)
                objects[KindRef(api_version, kind_name), called] = obj
                await asyncio.sleep(0)  # others are let in between
        except MonitoringError as error:
            return str(error)
        problems: list[str] = []
        for (kind, called), found in stands.items():
            ref, asked = ObjectRef(kind, namespace, called), objects.get((kind, called))
            owners = (found or {}).get("metadata", {}).get("ownerReferences") or ()
            if found is None:
                if asked is not None:
                    stands[kind, called] = await api.create(ref, _owned(asked, raw), turn=Turn.LEISURE)
            elif any(owner.get("uid") == metadata.get("uid") for owner in owners):
                asked = asked if asked is not None else emptied(found)
                stands[kind, called] = await self._amend(api, ref, found, asked)
            elif asked is not None:
                problems.append(f"{ref} exists, and is not of this rollout: rename or delete it")
        if not problems:
            kept.made_for, kept.digests = made_for, _digests(stands)
        return "; ".join(problems)

    @staticmethod
    async def _stands(api: KubeApi, namespace: str, name: str) -> dict[tuple[KindRef, str], Object | None]:
        """All that there may be of it as it stands, None where there is none; without kinds that are not served."""
        found: dict[tuple[KindRef, str], Object | None] = {}
        for api_version, kind_name, called in places(name):
            kind = KindRef(api_version, kind_name)
            try:
                found[kind, called] = await api.get(ObjectRef(kind, namespace, called))
            except KindNotServed:
                continue
            except NotFound:
                found[kind, called] = None
        return found

    @staticmethod
    async def _amend(api: KubeApi, ref: ObjectRef, found: Object, asked: Object) -> Object:
        """Write what differs, and nothing where nothing does; the object as it stands then."""
        patch = merge_patch(_shown(found), _shown(asked))
        if not patch:
            return found
        patch.setdefault("metadata", {})["uid"] = found["metadata"]["uid"]
        return await api.patch(ref, patch, PatchType.MERGE, turn=Turn.LEISURE)

    @staticmethod
    def _now() -> float:
        return asyncio.get_running_loop().time()


def _asks(raw: Object) -> bool:
    return (raw.get("spec") or {}).get("monitoring") is not None


def _edited(before: Object, after: Object) -> bool:
    """Whether the spec is another one, or the whole object."""
    return any(before["metadata"].get(field) != after["metadata"].get(field) for field in ("generation", "uid"))


def _digests(stands: Mapping[tuple[KindRef, str], Object | None]) -> dict[tuple[KindRef, str], str]:
    """What stands, in few bytes each."""
    texts = {which: json.dumps(_shown(obj), sort_keys=True) for which, obj in stands.items() if obj is not None}
    return {which: hashlib.sha256(text.encode()).hexdigest() for which, text in texts.items()}


def _shown(obj: Object) -> Object:
    """All of an object that is ours to say. Annotations of others stay."""
    metadata = obj["metadata"]
    folder = (metadata.get("annotations") or {}).get(FOLDER_ANNOTATION)
    ours: dict[str, Any] = {
        "labels": metadata.get("labels") or {},
        "annotations": {FOLDER_ANNOTATION: folder} if folder is not None else {},
    }
    return {"metadata": ours, **{field: obj[field] for field in _CONTENT if obj.get(field)}}


def _owned(obj: Object, raw: Object) -> Object:
    metadata = raw["metadata"]
    owner = {"apiVersion": API_VERSION, "kind": KIND, "name": metadata["name"], "uid": metadata.get("uid", "")}
    return {**obj, "metadata": {**obj["metadata"], "ownerReferences": [{**owner, "controller": True}]}}


__all__ = ["LOOK_EVERY", "MonitoringKeeper"]
