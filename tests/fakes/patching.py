"""Merge patch (RFC 7386) and JSON patch (RFC 6902) as an API server applies them. Inputs are never changed."""

from __future__ import annotations

from typing import Any


class PatchFailedError(Exception):
    """An operation does not apply: a `test` does not hold or a path is not there."""


def clone(value: Any) -> Any:
    """A deep copy of JSON; several times faster than copy.deepcopy."""
    if isinstance(value, dict):
        return {key: clone(each) for key, each in value.items()}
    if isinstance(value, list):
        return [clone(each) for each in value]
    return value


def merge_patch(target: Any, patch: Any) -> Any:
    """What RFC 7386 says, null removing a key."""
    return clone(_merged(target, patch))


def _merged(target: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    merged = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = _merged(merged.get(key), value)
    return merged


def json_patch(target: Any, operations: Any) -> Any:
    """`add`, `remove`, `replace` and `test`, all or nothing. Raises PatchFailedError."""
    document = {"": clone(target)}
    for operation in operations:
        path = operation["path"]
        if path and not path.startswith("/"):
            raise PatchFailedError(f"not a JSON pointer: {path!r}")
        *parents, last = ["", *(part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:])]
        holder: Any = document
        for part in parents:
            holder = _child(holder, part)
        _apply(operation, holder, last)
    return document[""]


def _apply(operation: dict[str, Any], holder: Any, last: str) -> None:
    match operation["op"]:
        case "test":
            # As in the API server's library, a missing member equals null.
            found = _child(holder, last) if not isinstance(holder, dict) else holder.get(last)
            if not _equal(found, operation.get("value")):
                raise PatchFailedError(f"testing value {operation['path']} failed")
        case "add" if isinstance(holder, list):
            holder.insert(len(holder) if last == "-" else _index(holder, last, len(holder)), clone(operation["value"]))
        case "add" if isinstance(holder, dict):
            holder[last] = clone(operation["value"])
        case "replace" if isinstance(holder, list):
            holder[_index(holder, last)] = clone(operation["value"])
        case "replace" if isinstance(holder, dict):
            holder[last] = clone(operation["value"])  # the API server's library lets a missing member pass
        case "remove":
            _child(holder, last)
            del holder[_index(holder, last) if isinstance(holder, list) else last]
        case other:
            raise PatchFailedError(f"cannot {other} at {operation['path']}")


def _child(holder: Any, part: str) -> Any:
    if isinstance(holder, list):
        return holder[_index(holder, part)]
    if isinstance(holder, dict) and part in holder:
        return holder[part]
    raise PatchFailedError(f"there is no {part!r}")


def _index(holder: list[Any], part: str, last: int | None = None) -> int:
    last = len(holder) - 1 if last is None else last
    if not part.isdigit() or int(part) > last:
        raise PatchFailedError(f"no index {part!r} in a list of {len(holder)}")
    return int(part)


def _equal(one: Any, other: Any) -> bool:
    """JSON equality: true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    return bool(one == other)
