"""The assignment of slots as a ConfigMap: read strictly, written with preconditions. Pure.

The one key is a valid file name and a valid name of a variable, and all is in its one value: so a worker that mounts
the ConfigMap and one that takes it into its environment both see an assignment whole, never half of two. What is read
by guessing would be handed out twice: anything that is not exactly what protocol 1 says is a problem for a person.
"""

from __future__ import annotations

import json
from typing import Any, Final

from syncrollout.api.words import API_VERSION, KIND, SHARDS_LABEL, Reason
from syncrollout.decide.facts import Assignment, Problem
from syncrollout.ports import KindRef, Object, ObjectRef

Operation = dict[str, Any]
"""One operation of a JSON patch (RFC 6902)."""
CONFIG_MAP: Final = KindRef("v1", "ConfigMap")
DATA_KEY: Final = "SYNCROLLOUT_SHARDS"
PROTOCOL: Final = 1
SLOTS: Final = 1000
LAST_EPOCH: Final = 2**53
"""Up to here a metric tells every epoch from the next."""
_LIVE, _SHADOW = "live", "shadow"
_TYPES: Final[dict[str, tuple[type, str]]] = {
    "epoch": (int, "a whole number"),
    "newBelow": (int, "a whole number"),
    "oldFrom": (int, "a whole number"),
    "mode": (str, f'"{_LIVE}" or "{_SHADOW}"'),
    "stop": (bool, "true or false"),
}


class _Invalid(ValueError):
    """What is wrong with a value; never leaves this module."""


def text(assignment: Assignment) -> str:
    """An assignment as workers read it."""
    value = {
        "protocol": PROTOCOL,
        "epoch": assignment.epoch,
        "newBelow": assignment.new_below,
        "oldFrom": assignment.old_from,
        "mode": _SHADOW if assignment.shadow else _LIVE,
        "stop": assignment.stop,
    }
    return json.dumps(value, separators=(",", ":"))


def read(obj: Object, rollout: ObjectRef, uid: str) -> Assignment | Problem:
    """The assignment that a ConfigMap holds for the rollout of this name and uid, or what a person has to mend."""
    where = f"ConfigMap {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
    taken = _taken(obj, where, rollout, uid)
    if taken is not None:
        return taken
    try:
        return _parse((obj.get("data") or {}).get(DATA_KEY))
    except _Invalid as error:
        message = (
            f"{where}: {DATA_KEY} {error}; workers may read it differently, so nothing is moved: put back what the "
            "operator wrote (status.shards says the slots), or delete the ConfigMap to have it made anew"
        )
        return Problem(Reason.ASSIGNMENT_INVALID, message)


def create(assignment: Assignment, rollout: ObjectRef, uid: str) -> Object:
    """The body of a new ConfigMap."""
    owner = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "name": rollout.name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": False,
    }
    metadata = {"labels": {SHARDS_LABEL: _label(rollout)}, "ownerReferences": [owner]}
    return {"metadata": metadata, "data": {DATA_KEY: text(assignment)}}


def patch(obj: Object, assignment: Assignment, rollout: ObjectRef) -> list[Operation]:
    """The JSON patch from what a ConfigMap holds to an assignment: it applies to this very object, with this very
    value, and to nothing else. Our label comes back with it where somebody took it away."""
    metadata = obj["metadata"]
    operations: list[Operation] = [{"op": "test", "path": "/metadata/uid", "value": metadata["uid"]}]
    value, data = f"/data/{DATA_KEY}", obj.get("data") or {}
    if DATA_KEY in data:
        operations.append({"op": "test", "path": value, "value": data[DATA_KEY]})
    else:  # somebody took it away: then it must be this very version
        version = metadata["resourceVersion"]
        operations.append({"op": "test", "path": "/metadata/resourceVersion", "value": version})
    if data:
        operations.append({"op": "add", "path": value, "value": text(assignment)})
    else:
        operations.append({"op": "add", "path": "/data", "value": {DATA_KEY: text(assignment)}})
    labels = metadata.get("labels")
    if not labels:
        operations.append({"op": "add", "path": "/metadata/labels", "value": {SHARDS_LABEL: _label(rollout)}})
    elif SHARDS_LABEL not in labels:
        path = f"/metadata/labels/{SHARDS_LABEL.replace('/', '~1')}"
        operations.append({"op": "add", "path": path, "value": _label(rollout)})
    return operations


def ours(obj: Object, uid: str) -> bool:
    """Whether the ConfigMap was made for the rollout of this uid."""
    owner = _controller(obj)
    return owner is not None and owner.get("uid") == uid


def _controller(obj: Object) -> Object | None:
    owners = obj["metadata"].get("ownerReferences") or ()
    return next((each for each in owners if each.get("controller")), None)


def _label(rollout: ObjectRef) -> str:
    return rollout.name[:63].rstrip("-.")


def _taken(obj: Object, where: str, rollout: ObjectRef, uid: str) -> Problem | None:
    owner = _controller(obj)
    if ours(obj, uid):
        return None
    mend = "name another one in spec.traffic.shards.configMap, or delete this one"
    if owner is None:
        whose = "exists already and belongs to nobody"
    elif (owner.get("kind"), owner.get("name")) == (KIND, rollout.name):
        whose = f"belongs to an earlier {KIND} of this name"
        mend = "it goes with that one; delete it if it stays"
    else:
        whose = f"belongs to {owner.get('kind')} {owner.get('name')}"
    return Problem(Reason.CONFIG_MAP_TAKEN, f"{where} {whose}: the operator writes only to those it has made; {mend}")


def _parse(value: object) -> Assignment:
    if value is None:
        raise _Invalid("is missing")
    try:
        parsed = json.loads(str(value), object_pairs_hook=_no_twins)
    except _Invalid:
        raise
    except (ValueError, RecursionError) as error:
        raise _Invalid(f"is not JSON ({error})") from error
    if not isinstance(parsed, dict):
        raise _Invalid(f"is not a JSON object, but {type(parsed).__name__}")
    protocol = parsed.pop("protocol", None)
    if protocol != PROTOCOL or type(protocol) is not int:
        raise _Invalid(f"speaks protocol {protocol!r}, and this operator knows {PROTOCOL} only")
    fields = {name: _field(parsed, name) for name in _TYPES}
    if not 1 <= fields["epoch"] <= LAST_EPOCH:
        raise _Invalid(f"has epoch {fields['epoch']}, and epochs are 1 to 2^53")
    if not 0 <= fields["newBelow"] <= fields["oldFrom"] <= SLOTS:
        raise _Invalid(
            f"has newBelow {fields['newBelow']} and oldFrom {fields['oldFrom']}, and 0 <= newBelow <= oldFrom <= "
            f"{SLOTS} has to hold, or slots have two owners"
        )
    return Assignment(
        epoch=fields["epoch"],
        new_below=fields["newBelow"],
        old_from=fields["oldFrom"],
        shadow=fields["mode"] == _SHADOW,
        stop=fields["stop"],
    )


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of two fields of one name every reader takes another one."""
    names = [name for name, _ in pairs]
    twins = sorted({name for name in names if names.count(name) > 1})
    if twins:
        raise _Invalid(f"has {', '.join(twins)} twice")
    return dict(pairs)


def _field(parsed: dict[str, Any], name: str) -> Any:
    kind, wanted = _TYPES[name]
    if name not in parsed:
        raise _Invalid(f"has no {name}")
    value = parsed.pop(name)
    # a bool is an int to Python, and must not be one here
    if type(value) is not kind or (name == "mode" and value not in (_LIVE, _SHADOW)):
        raise _Invalid(f"has {name} {json.dumps(value)[:80]}, and it should be {wanted}")
    return value


__all__ = ["CONFIG_MAP", "DATA_KEY", "PROTOCOL", "SLOTS", "create", "ours", "patch", "read", "text"]
