"""What is recorded by a decision that did not wait for Prometheus."""

from __future__ import annotations

from collections.abc import Collection

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import CriterionStatus
from syncrollout.decide import criteria
from syncrollout.decide.facts import ReadingKey


def as_far_as_read(
    spec: SyncRolloutSpec,
    read: Collection[ReadingKey],
    before: tuple[CriterionStatus, ...],
    now: tuple[CriterionStatus, ...],
) -> tuple[CriterionStatus, ...]:
    """Criteria as they were last judged, but for triggers whose readings are all there: alerts that were pushed."""
    triggers = criteria.questions(spec, None)
    known = {trigger.id for trigger in triggers if all(key in read for key in trigger.keys)}
    judged = {each.id: each for each in now if each.id in known}
    kept = tuple(judged.pop(each.id, each) for each in before)
    return (*kept, *judged.values())


__all__ = ["as_far_as_read"]
