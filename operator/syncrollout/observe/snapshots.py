"""The VolumeSnapshot that a restore may go back to, as it stands. Asked for only while a restore waits."""

from __future__ import annotations

import logging
from typing import Any, Final

from syncrollout.act.target import Target
from syncrollout.api.fields import parse_time
from syncrollout.api.spec import VolumeSnapshot
from syncrollout.decide.check_facts import SnapshotFact
from syncrollout.observe.masks import masked
from syncrollout.ports import ApiError, KindNotServed, KindRef, NotFound, Object, ObjectRef, OnBehalf

log = logging.getLogger(__name__)

KIND: Final = KindRef("snapshot.storage.k8s.io/v1", "VolumeSnapshot")


class Snapshots:
    """Looks at snapshots on behalf of the gatherer. Remembers nothing."""

    def __init__(self, api: OnBehalf) -> None:
        self._api = api

    async def look(self, target: Target, asked: VolumeSnapshot | None) -> SnapshotFact | None:
        """The one that is named, or the newest of those with the labels that can be used; None where none is asked for.
        Never raises for what an API server can answer."""
        if asked is None:
            return None
        namespace, api = target.ref.namespace, self._api.acting_as(target.behalf)
        try:
            if asked.name is not None:
                return read(await api.get(ObjectRef(KIND, namespace, asked.name)))
            listing = await api.list(KIND, namespace, label_selector=asked.selector)
        except KindNotServed:
            text = "this cluster has no VolumeSnapshots (snapshot.storage.k8s.io/v1): install the CSI snapshotter and "
            return SnapshotFact(None, text + "its CRDs, or give backup.metric or backup.job")
        except NotFound:
            return SnapshotFact(None, f"VolumeSnapshot {namespace}/{asked.name} does not exist")
        except ApiError as error:
            log.warning("a VolumeSnapshot cannot be seen: %s", error)
            return SnapshotFact(None, str(error)[:500])
        return newest(listing.items, asked.selector)


def newest(items: list[Object], selector: str) -> SnapshotFact:
    """The newest that can be used; else why none can."""
    facts = [read(item) for item in items]
    usable = [fact for fact in facts if fact.taken is not None]
    if usable:
        return max(usable, key=lambda fact: fact.taken or 0.0)
    if facts:
        more = f"; nor can any of {len(facts) - 1} more be used" if len(facts) > 1 else ""
        return SnapshotFact(None, f"{facts[0].text}{more}")
    return SnapshotFact(None, f"no VolumeSnapshot has the labels {selector}")


def read(obj: Object) -> SnapshotFact:
    """A snapshot that can be used, with when it was taken; else why it cannot."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    name = f"VolumeSnapshot {metadata.get('namespace', '')}/{metadata.get('name', '')}"
    error: Any = (status.get("error") or {}).get("message")
    if status.get("readyToUse") is not True or metadata.get("deletionTimestamp"):
        why = f": {masked(str(error)[:300])}" if error else ""
        going = "is being deleted" if metadata.get("deletionTimestamp") else "is not ready to use"
        return SnapshotFact(None, f"{name} {going}{why}")
    taken = status.get("creationTime")
    try:
        return SnapshotFact(parse_time(taken), name)
    except ValueError:
        return SnapshotFact(None, f"{name} does not say when it was taken (status.creationTime)")


__all__ = ["Snapshots", "newest", "read"]
