"""What has to be so before the Job of a step is made, or before a step without one has succeeded."""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.status import StepStatus
from syncrollout.decide.actions import Action
from syncrollout.decide.notes import Note


@dataclass(frozen=True, slots=True)
class First:
    """How far that is.

    `step`: as it is recorded from now on. `waits`: why it is not so yet, in words; empty where nobody has looked yet,
    None where it is so. `said`: what came of it, in words. `fails`: it will not come about any more.
    """

    step: StepStatus
    waits: str | None = None
    said: str = ""
    actions: tuple[Action, ...] = ()
    notes: tuple[Note, ...] = ()
    fails: bool = False


__all__ = ["First"]
