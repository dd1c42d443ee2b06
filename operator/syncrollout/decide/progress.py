"""How far a step is, in the status: on change alone, and not too often, for each change is a write."""

from __future__ import annotations

from typing import Final

from syncrollout.api.status import StepStatus
from syncrollout.decide.phrases import clip

EVERY: Final = 15.0
"""Seconds between two writes of what a Job says."""
EVERY_READING: Final = 60.0
"""Seconds between two writes of what is waited for: readings are quoted in it, and move all the time."""
LONGEST: Final = 256


def noted(step: StepStatus, said: str, now: float, every: float = EVERY) -> StepStatus:
    """The step with what is said of its progress, if that is new and it is time; as it is otherwise."""
    said = clip(said, LONGEST)
    if not said or said == step.progress or (step.progress_at is not None and now < step.progress_at + every):
        return step
    return step.model_copy(update={"progress": said, "progress_at": now})


__all__ = ["EVERY", "EVERY_READING", "noted"]
