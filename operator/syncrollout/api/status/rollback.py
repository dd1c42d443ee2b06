"""A rollback, and the steps of its procedure."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Sentence, Written
from syncrollout.api.words import Reason, Step, StepState


class StepStatus(Written):
    """One step of a rollback."""

    name: Step
    """Which one."""
    state: StepState = StepState.WAITING
    """How far it is."""
    budget_seconds: int
    """How long it may take, in seconds."""
    started: Time | None = None
    """When it began; recorded before anything is done for it."""
    deadline: Time | None = None
    """When its budget is used up."""
    finished: Time | None = None
    """When it ended; the next step begins then."""
    job: Annotated[str, Field(max_length=63)] | None = None
    """The Job that it runs, in the rollout's own namespace."""
    backup_job: Annotated[str, Field(max_length=63)] | None = None
    """The Job that has to end well before that of the restore is made; recorded before it is made."""
    backup_seen: bool = False
    """That one was seen: it is not made a second time."""
    config_map: Annotated[str, Field(max_length=253)] | None = None
    """The ConfigMap that it writes the incident report to."""
    restart: Annotated[str, Field(max_length=63)] | None = None
    """What old's pod template is stamped with, so that its pods are made anew; recorded before it is."""
    restart_seen: bool = False
    """That was seen there: it is not written a second time, though somebody may take it away."""
    restarted: Time | None = None
    """When all of old's pods were seen to be made from that template, and ready."""
    seen: bool = False
    """The Job was seen: it is not made a second time, whatever becomes of it."""
    exit_code: int | None = None
    """Of the container of the Job that failed, else of the first."""
    progress: Annotated[str, Field(max_length=256)] = ""
    """How far the Job is by its own words, every 15 s at most, or what is waited for before it, once a minute."""
    progress_at: Time | None = None
    """When that was last written."""
    output: Sentence = ""
    """What the containers of the Job have said last, with what looks like a secret masked."""
    message: Sentence = ""
    """What came of it, in words."""


class RollbackStatus(Written):
    """The last rollback of this run."""

    reason: Reason
    """What sent the rollout back."""
    message: Sentence
    """The same in words."""
    decided: Time
    """When it was decided."""
    from_phase: Annotated[str, Field(max_length=63)] = ""
    """The phase it came from."""
    from_weight: int = 0
    """Share of new when it was decided."""
    confirmed: Time | None = None
    """When everything was seen to stand at old again."""
    verified: Time | None = None
    """When the traffic itself was seen to be back, where traffic.verify says how to see it."""
    steps: Annotated[
        tuple[StepStatus, ...], Field(max_length=16, json_schema_extra={"x-kubernetes-list-type": "atomic"})
    ] = ()
    """The steps of rollback.procedure, in their order; none without it."""

    @property
    def old_since(self) -> float | None:
        """Since when old has all of the traffic and is as it is judged: since its pods were made anew, where they
        were; seconds since the epoch, None before."""
        restarted = (step.restarted for step in self.steps if step.restarted is not None)
        return next(restarted, self.confirmed)
