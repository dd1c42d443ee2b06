"""Recording: the one status write, and the Events that tell the story."""

from __future__ import annotations

import hashlib
from typing import Any

from syncrollout.api.fields import format_time
from syncrollout.api.status import HistoryEntry, SyncRolloutStatus
from syncrollout.api.words import API_VERSION, FIELD_MANAGER, KIND, Reason
from syncrollout.ports import KindRef, Object, ObjectRef

EVENT = KindRef("v1", "Event")


def status_json(status: SyncRolloutStatus) -> dict[str, Any]:
    """The status as it stands on the wire."""
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


def merge_patch(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """The JSON merge patch (RFC 7386) from one object to another; lists are replaced whole."""
    patch: dict[str, Any] = {key: None for key in before if key not in after}
    for key, value in after.items():
        was = before.get(key)
        if isinstance(value, dict) and isinstance(was, dict):
            inner = merge_patch(was, value)
            if inner:
                patch[key] = inner
        elif was != value:
            patch[key] = value
    return patch


def status_patch(recorded: dict[str, Any], status: SyncRolloutStatus, resource_version: str) -> dict[str, Any]:
    """The patch of the status subresource, guarded by the resourceVersion that the decision rests on."""
    return {
        "metadata": {"resourceVersion": resource_version},
        "status": merge_patch(recorded, status_json(status)),
    }


def event(rollout: ObjectRef, uid: str, entry: HistoryEntry) -> tuple[ObjectRef, Object]:
    """The Event of one transition. Its name follows from the transition, so that posting it twice makes one."""
    identity = f"{uid}/{entry.sequence}"
    return _event(rollout, uid, identity, reason=entry.reason, message=entry.message, kind=entry.type, at=entry.time)


def warning(rollout: ObjectRef, uid: str, reason: Reason, message: str, at: float) -> tuple[ObjectRef, Object]:
    """The Event of a trouble that is no transition. Its name follows from the words, so that the same is told once."""
    identity = f"{uid}/{reason}/{message}"
    return _event(rollout, uid, identity, reason=reason, message=message, kind="Warning", at=at)


def _event(
    rollout: ObjectRef, uid: str, identity: str, *, reason: Reason, message: str, kind: str, at: float
) -> tuple[ObjectRef, Object]:
    digest = hashlib.sha256(identity.encode()).hexdigest()[:16]
    name = f"{rollout.name[:200].rstrip('-.')}.{digest}"
    moment = format_time(at)[:19] + "Z"
    body: Object = {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": name, "namespace": rollout.namespace},
        "involvedObject": {
            "apiVersion": API_VERSION,
            "kind": KIND,
            "namespace": rollout.namespace,
            "name": rollout.name,
            "uid": uid,
        },
        "reason": reason.value,
        "message": message[:1024],
        "type": kind,
        "source": {"component": FIELD_MANAGER},
        "firstTimestamp": moment,
        "lastTimestamp": moment,
        "count": 1,
    }
    return ObjectRef(EVENT, rollout.namespace, name), body
