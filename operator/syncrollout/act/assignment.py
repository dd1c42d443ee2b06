"""The assignment of slots as a ConfigMap: read strictly, written with preconditions. Pure.

The one key is a valid file name and a valid name of a variable, and all is in its one value: so a worker that mounts
the ConfigMap and one that takes it into its environment both see an assignment whole, never half of two. What is read
by guessing would be handed out twice: anything that is not exactly what protocol 1 says is a problem for a person.

The ConfigMap outlives its SyncRollout: workers go on mounting it, and those that have not read the last assignment yet
still have to. So it has no ownerReference, for whatever has one is deleted with its owner, and in a foreground deletion
even before it. Whose it is stands in annotations: the rollout's name, and the two systems that it divides keys between.
A SyncRollout of the same name and systems goes on from where it stands.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from syncrollout.api.words import KIND, NEW_ANNOTATION, OLD_ANNOTATION, ROLLOUT_ANNOTATION, SHARDS_LABEL, Reason
from syncrollout.decide.facts import Assignment, Problem
from syncrollout.ports import KindRef, Object

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


@dataclass(frozen=True, slots=True)
class Migration:
    """Whose an assignment is: the rollout's name, and the workloads that it moves from and to, as `kind/name`."""

    rollout: str
    old: str
    new: str

    @property
    def annotations(self) -> dict[str, str]:
        """As the ConfigMap says it."""
        return {ROLLOUT_ANNOTATION: self.rollout, OLD_ANNOTATION: self.old, NEW_ANNOTATION: self.new}


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


def read(obj: Object, migration: Migration) -> Assignment | Problem:
    """The assignment that a ConfigMap holds for this migration, or what a person has to mend."""
    where = f"ConfigMap {obj['metadata'].get('namespace', '')}/{obj['metadata']['name']}"
    taken = _taken(obj, where, migration)
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


def create(assignment: Assignment, migration: Migration) -> Object:
    """The body of a new ConfigMap."""
    metadata = {"labels": {SHARDS_LABEL: _label(migration)}, "annotations": migration.annotations}
    return {"metadata": metadata, "data": {DATA_KEY: text(assignment)}}


def patch(obj: Object, assignment: Assignment, migration: Migration) -> list[Operation]:
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
        operations.append({"op": "add", "path": "/metadata/labels", "value": {SHARDS_LABEL: _label(migration)}})
    elif SHARDS_LABEL not in labels:
        path = f"/metadata/labels/{SHARDS_LABEL.replace('/', '~1')}"
        operations.append({"op": "add", "path": path, "value": _label(migration)})
    return operations


def _label(migration: Migration) -> str:
    return migration.rollout[:63].rstrip("-.")


_ELSEWHERE: Final = "name another one in spec.traffic.shards.configMap, or delete this one"


def _taken(obj: Object, where: str, migration: Migration) -> Problem | None:
    """What is wrong where it was not made for a rollout of this name and of these systems."""
    metadata = obj["metadata"]
    owner = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
    name = (metadata.get("annotations") or {}).get(ROLLOUT_ANNOTATION)
    if owner is not None:
        whose = f"belongs to {owner.get('kind')} {owner.get('name')}"
    elif name is None:
        whose = "exists already and belongs to nobody"
    elif name != migration.rollout:
        whose = f"belongs to {KIND} {name}"
    else:
        return _of_others(obj, where, migration)
    message = f"{where} {whose}: the operator writes only to those it has made; {_ELSEWHERE}"
    return Problem(Reason.CONFIG_MAP_TAKEN, message)


def _of_others(obj: Object, where: str, migration: Migration) -> Problem | None:
    """What is wrong where it divides keys between other systems. Their workers may still read it, and would take what
    is granted to the new of this one, even where new has nothing now."""
    annotations = obj["metadata"]["annotations"]
    old, new = annotations.get(OLD_ANNOTATION, "nobody"), annotations.get(NEW_ANNOTATION, "nobody")
    if (old, new) == (migration.old, migration.new):
        return None
    message = (
        f"{where} divides keys between {old} (old) and {new} (new), and this {KIND} moves from {migration.old} to "
        f"{migration.new}: workers of both would take its slots for theirs; {_ELSEWHERE} once no worker reads it"
    )
    return Problem(Reason.CONFIG_MAP_TAKEN, message)


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


__all__ = ["CONFIG_MAP", "DATA_KEY", "PROTOCOL", "SLOTS", "Migration", "create", "patch", "read", "text"]
