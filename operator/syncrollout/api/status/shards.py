"""Slots, and who owns them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Written
from syncrollout.api.words import HandoverStage, Side


class ShardsStatus(Written):
    """Who owns which of the 1000 slots of keys, and how far a handover is."""

    config_map: Annotated[str, Field(max_length=253)]
    """The ConfigMap that says so to the workers."""
    epoch: int
    """The number of the assignment; it rises with every change."""
    new_below: int
    """New owns the slots below this one."""
    old_from: int
    """Old owns the slots from this one on; slots between the two belong to nobody yet."""
    shadow: bool = False
    """New handles every key without effect."""
    stop: bool = False
    """New starts nothing any more."""
    stage: HandoverStage = HandoverStage.SETTLED
    """Settled; Releasing while workers have to let go of slots that move; GivenBack after they did not in time."""
    new_reach: int
    """New may still hold slots below this one, until its pods are seen to have let go."""
    old_reach: int
    """Old may still hold slots from this one on, until its pods are seen to have let go."""
    drying: bool = False
    """New has left the shadow, and its pods may still run without effect."""
    losing: Annotated[
        tuple[Side, ...], Field(max_length=2, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Sides whose pods are waited for."""
    gaining: Annotated[
        tuple[Side, ...], Field(max_length=2, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """Sides that were given slots, or another task, with this epoch."""
    since: Time
    """Since when it stands so."""
    deadline: Time | None = None
    """When what is waited for counts as not coming; once slots were given back, when it is tried again."""
    waiting_for: Annotated[
        tuple[Annotated[str, Field(max_length=253, description="A pod's name.")], ...],
        Field(max_length=5, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """Pods that have not let go yet, the first few."""
