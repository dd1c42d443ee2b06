"""What a rollout goes by where its spec is not right: the last one that was, or what of this one going back takes."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from syncrollout.api.spec import SyncRolloutSpec

DEFAULT_REVISION = SyncRolloutSpec.model_fields["revision"].default


def switched(good: SyncRolloutSpec, raw: Mapping[str, Any]) -> SyncRolloutSpec:
    """The last good spec with the switches of one that is not: the API server has seen to what they are."""
    stop, suspend = bool(raw.get("emergencyStop")), bool(raw.get("suspend"))
    revision = str(raw.get("revision", DEFAULT_REVISION))
    return good.model_copy(update={"emergency_stop": stop, "suspend": suspend, "revision": revision})


def to_go_back_by(raw: Mapping[str, Any]) -> SyncRolloutSpec | None:
    """A spec without what says when, and without fields of a later release: those alone can be wrong in a way that the
    API server does not see, and no way back goes by them. Nothing moves forward by such a spec, for its problem stands.
    None where something else is wrong."""
    left = copy.deepcopy({name: each for name, each in raw.items() if name != "schedule"})
    rollback, phases = left.get("rollback"), left.get("phases")
    if isinstance(rollback, dict):
        rollback.pop("drill", None)
    for phase in phases if isinstance(phases, list) else ():
        if isinstance(phase, dict):
            phase.pop("verification", None)
    try:
        return SyncRolloutSpec.model_validate(left)
    except ValidationError as error:
        for each in error.errors():
            if each["type"] == "extra_forbidden":
                _drop(left, each["loc"])
    try:
        return SyncRolloutSpec.model_validate(left)
    except ValidationError:
        return None


def _drop(node: Any, path: tuple[int | str, ...]) -> None:
    """Take away what stands there, if anything does."""
    *above, last = path
    for part in above:
        inside = node.get(part) if isinstance(node, dict) else node[part] if isinstance(part, int) else None
        if inside is None:
            return
        node = inside
    if isinstance(node, dict):
        node.pop(last, None)


__all__ = ["DEFAULT_REVISION", "switched", "to_go_back_by"]
