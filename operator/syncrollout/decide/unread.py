"""What is recorded by a decision that did not wait for Prometheus: alerts that were pushed, how new's pods are, and
what people report are known at once."""

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
    """Criteria as they were last judged, but for those whose readings are all there."""
    asked = (question for phase in (None, *spec.phases) for question in criteria.questions(spec, phase))
    known = {question.id for question in asked if all(key in read for key in question.keys)}
    judged = {each.id: each for each in now if each.id in known}
    kept = tuple(judged.pop(each.id, each) for each in before)
    return (*kept, *judged.values())


__all__ = ["as_far_as_read"]
