"""What waits for people, and what they have asked for."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from syncrollout.api.fields import Time
from syncrollout.api.status.base import Sentence, Written
from syncrollout.api.words import Severity

MOST_CRITERIA = 75
"""Of a phase: sixteen of success, sixteen of rollbackOn, the triggers, and what the operator runs itself."""
REQUEST_LENGTH = 256
PERSON_LENGTH = 256
"""Characters that are kept of a person's name."""


class PassedOver(Written):
    """Breaches that belong together, and that somebody may have passed over."""

    severity: Severity
    """High or Medium: that of the gravest breach in it."""
    criterion: Annotated[str, Field(max_length=200)]
    """The id of that breach in status.criteria."""
    message: Sentence
    """That breach in words, as it was first seen."""
    since: Time
    """When the first breach was seen."""
    criteria: Annotated[
        tuple[Annotated[str, Field(max_length=200, description="An id in status.criteria.")], ...],
        Field(max_length=MOST_CRITERIA, json_schema_extra={"x-kubernetes-list-type": "atomic"}),
    ] = ()
    """All that have been breached in it."""
    overridden: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """The reason for which the rollout goes on in spite of it."""
    overridden_at: Time | None = None
    """When that was said."""
    overridden_by: Annotated[str, Field(max_length=PERSON_LENGTH)] | None = None
    """Who has said it, where a name was given with it."""


class IncidentStatus(PassedOver):
    """A breach that does not send the rollout back at once: by when it will, or who has taken it upon himself."""

    deadline: Time | None = None
    """High: when the rollout goes back. Medium: when rollback.medium.default applies. None once it is overridden."""
    clear_since: Time | None = None
    """Since when all of that severity are clear."""
    earlier: PassedOver | None = None
    """What was overridden before this one was opened, and stays so."""


class RequestsStatus(Written):
    """What people have asked for by annotation, as last taken in: each value counts once. Long ones are cut,
    and one is forgotten when its annotation is gone."""

    override: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/override."""
    decide: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/decide."""
    rollback: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/rollback."""
    retry: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/retry."""
    answer: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/answer."""
    drill: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/drill."""
    approve: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/approve."""
    skip: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/skip."""
    resume: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/resume."""
    ack: Annotated[str, Field(max_length=REQUEST_LENGTH)] | None = None
    """Of syncrollout.io/ack."""


class RetryStatus(Written):
    """The next attempt at a revision that was rolled back, asked for and not begun yet."""

    revision: Annotated[str, Field(max_length=63)]
    """The revision."""
    reason: Annotated[str, Field(max_length=REQUEST_LENGTH)]
    """What was said with it."""
    asked: Time
    """When it was taken in."""
    by: Annotated[str, Field(max_length=PERSON_LENGTH)] | None = None
    """Who has asked, where a name was given with it."""
