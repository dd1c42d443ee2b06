"""Going back, in any phase."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Model
from syncrollout.api.spec.criteria import Trigger


class Rollback(Model):
    """What sends the rollout back in any phase."""

    triggers: Annotated[
        tuple[Trigger, ...], Field(max_length=32, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Judged in every phase that has weight on new."""
