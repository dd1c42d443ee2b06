"""Whether a completed run is still watched. The rules are in `watching`."""

from __future__ import annotations

import hashlib
import json

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus, WatchStatus
from syncrollout.api.words import State
from syncrollout.decide.phrases import moment


def moves(spec: SyncRolloutSpec) -> str:
    """A fingerprint of what a rollout moves from where to where."""
    how = spec.traffic.model_copy(update={"verify": None})
    parts = [part.model_dump(mode="json") for part in (spec.old, spec.new, how)]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def goes_on(spec: SyncRolloutSpec, status: SyncRolloutStatus, *, taken: bool) -> bool:
    """Whether a completed run is still watched. `taken`: another rollout moves what it has moved."""
    watch = status.watch
    return watch is not None and status.state is State.COMPLETED and watch.moves == moves(spec) and not taken


def says(watch: WatchStatus) -> str:
    """What comes next, for the column NEXT."""
    return f"watched until {moment(watch.until)}"
