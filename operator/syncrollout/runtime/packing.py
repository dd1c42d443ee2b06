"""Rollouts that have ended, in little memory: of an object at rest what is still looked at, and the rest packed away.

As Python's objects one takes ten times its bytes, and every full collection looks at each of them; of a fleet most have
ended. Packed, one takes some two kilobytes, and nothing has to look at it.
"""

from __future__ import annotations

import marshal
import zlib
from typing import Any, Final

from syncrollout.ports import Object

_METADATA: Final = (
    "name",
    "namespace",
    "uid",
    "resourceVersion",
    "generation",
    "creationTimestamp",
    "deletionTimestamp",
    "finalizers",
    "annotations",
)
_SPEC: Final = ("revision", "emergencyStop", "pool")
_STATUS: Final = ("state", "revision", "lastGoodRevision", "observedGeneration", "requests")
_FASTEST: Final = 1


def brief(obj: Object) -> Object:
    """Of a rollout at rest what is asked of it while it is: whether it still is, and what others wait for."""
    status: dict[str, Any] = obj.get("status") or {}
    kept = _pick(status, _STATUS)
    taken = (status.get("reports") or {}).get("taken")
    if taken:
        kept["reports"] = {"taken": taken}
    return {
        "metadata": _pick(obj["metadata"], _METADATA),
        "spec": _pick(obj.get("spec") or {}, _SPEC),
        "status": kept,
    }


def pack(obj: Object) -> bytes:
    """The whole object; it is of JSON's types."""
    return zlib.compress(marshal.dumps(obj), _FASTEST)


def unpack(packed: bytes) -> Object:
    """What was packed by this very process."""
    obj: Object = marshal.loads(zlib.decompress(packed))  # noqa: S302 - nobody else's bytes
    return obj


def _pick(source: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: source[name] for name in names if name in source}


__all__ = ["brief", "pack", "unpack"]
