"""The slots of keys as they stand: what the workers are told, and what each side may still hold.

See `shards` for the protocol, and for what the reach of a side is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from syncrollout.api.spec import HandoverMethod, Shards
from syncrollout.api.status import ShardsStatus
from syncrollout.api.words import HandoverStage, Side
from syncrollout.decide.facts import Assignment, HoldersFact, ShardsFact, WorkloadFact

SLOTS: Final = 1000


@dataclass(frozen=True, slots=True)
class Slots:
    """The assignment as it stands, and all that a step rests on."""

    shards: Shards
    assignment: Assignment | None
    record: ShardsStatus | None
    """As it is to be recorded now; None before there was any assignment."""
    old: WorkloadFact
    new: WorkloadFact
    old_holders: HoldersFact | None
    new_holders: HoldersFact | None
    now: float

    def workload(self, side: Side) -> WorkloadFact:
        """The workload of a side."""
        return self.old if side is Side.OLD else self.new

    def holders(self, side: Side) -> HoldersFact | None:
        """The pods of a side, where they were looked at."""
        return self.old_holders if side is Side.OLD else self.new_holders


def look(
    shards: Shards,
    fact: ShardsFact,
    recorded: ShardsStatus | None,
    *,
    old: WorkloadFact,
    new: WorkloadFact,
    now: float,
) -> Slots:
    """What stands now. `recorded` is status.shards; that of another ConfigMap counts for nothing."""
    if recorded is not None and recorded.config_map != shards.config_map:
        recorded = None
    slots = Slots(shards, fact.assignment, recorded, old, new, fact.old, fact.new, now)
    if fact.assignment is None:
        return slots
    if recorded is not None and not says(recorded, fact.assignment) and fact.assignment.epoch <= recorded.epoch:
        # Not ours, and no pod can be seen to obey it: its epoch was obeyed before. What it says may have been read.
        widened = {
            "new_reach": max(recorded.new_reach, fact.assignment.new_below),
            "old_reach": min(recorded.old_reach, fact.assignment.old_from),
        }
        return replace(slots, record=recorded.model_copy(update=widened))
    if recorded is None or recorded.epoch != fact.assignment.epoch:
        recorded = _news(slots, fact.assignment, recorded)
    return replace(slots, record=_narrowed(replace(slots, record=recorded)))


def awaited(shards: Shards, assignment: Assignment | None, recorded: ShardsStatus | None) -> frozenset[Side]:
    """The sides whose pods have to be looked at for the next step."""
    nobody = WorkloadFact()
    record = look(shards, ShardsFact(assignment), recorded, old=nobody, new=nobody, now=0.0).record
    if assignment is None or record is None:
        return frozenset()
    if record.stage is HandoverStage.GIVEN_BACK:
        return frozenset({Side.OLD, *record.losing})
    return frozenset(record.losing)


def says(record: ShardsStatus, assignment: Assignment) -> bool:
    """Whether this very assignment is the one recorded."""
    return record.epoch == assignment.epoch and content(record) == content(assignment)


def content(of: ShardsStatus | Assignment) -> tuple[int, int, bool, bool]:
    """What it says to the workers, apart from its epoch."""
    return of.new_below, of.old_from, of.shadow, of.stop


def _news(slots: Slots, a: Assignment, before: ShardsStatus | None) -> ShardsStatus:
    """The record of an assignment that was not recorded yet."""
    if before is None:
        # Whoever wrote it kept the rules, but which side the slots between came from is not known.
        new_reach, old_reach = max(a.new_below, a.old_from), min(a.new_below, a.old_from)
        drying, gains = False, frozenset[Side]()
    else:
        new_reach, old_reach = max(before.new_reach, a.new_below), min(before.old_reach, a.old_from)
        skipped = a.epoch > before.epoch + 1
        if skipped:
            # Several writes were not recorded: what they granted in between is bounded by what stands now alone.
            new_reach, old_reach = max(new_reach, a.old_from), min(old_reach, a.new_below)
        drying = not a.shadow and (before.shadow or before.drying or skipped)
        gains_new = a.new_below > before.new_below or (a.shadow and not before.shadow)
        gains_old = a.old_from < before.old_from
        gains = _sides(old=gains_old, new=gains_new)
    losing = _sides(old=old_reach < a.old_from, new=new_reach > a.new_below or drying)
    given_back = before is not None and _gave_back(before, a, slots.now)
    stage = HandoverStage.RELEASING if losing or a.new_below != a.old_from else HandoverStage.SETTLED
    stage = HandoverStage.GIVEN_BACK if given_back else stage
    return ShardsStatus(
        config_map=slots.shards.config_map,
        epoch=a.epoch,
        new_below=a.new_below,
        old_from=a.old_from,
        shadow=a.shadow,
        stop=a.stop,
        stage=stage,
        new_reach=new_reach,
        old_reach=old_reach,
        drying=drying,
        losing=_ordered(losing),
        gaining=_ordered(gains),
        since=slots.now,
        deadline=None if stage is HandoverStage.SETTLED else round(slots.now + patience(slots.shards), 3),
        waiting_for=before.waiting_for if given_back and before is not None else (),
    )


def _gave_back(before: ShardsStatus, a: Assignment, now: float) -> bool:
    """Whether this is what old was given back after it had not let go in time."""
    late = before.stage is HandoverStage.RELEASING and before.deadline is not None and now >= before.deadline
    return late and a.epoch == before.epoch + 1 and a.new_below == before.new_below and a.old_from < before.old_from


def _narrowed(slots: Slots) -> ShardsStatus:
    """The record after a look at the pods: a side that was seen to obey reaches as far as it owns."""
    record = slots.record
    assert record is not None
    gone = [side for side in record.losing if _let_go(slots, side)]
    losing = tuple(side for side in record.losing if side not in gone)
    changes: dict[str, object] = {"losing": losing}
    if Side.NEW in gone:
        changes |= {"new_reach": record.new_below, "drying": False}
    if Side.OLD in gone:
        changes["old_reach"] = record.old_from
    if record.stage is HandoverStage.RELEASING:
        changes["waiting_for"] = tuple(name for side in losing for name in _names(slots, side))[:5]
        if not losing and record.new_below == record.old_from:
            changes |= {"stage": HandoverStage.SETTLED, "deadline": None}
    return record.model_copy(update=changes)


def _let_go(slots: Slots, side: Side) -> bool:
    holders, record = slots.holders(side), slots.record
    assert record is not None
    if holders is not None and holders.let_go:
        return True
    if slots.shards.handover.method is not HandoverMethod.DRAIN or not slots.workload(side).scalable:
        return False
    return slots.now >= round(record.since + slots.shards.handover.drain_time, 3)


def _names(slots: Slots, side: Side) -> tuple[str, ...]:
    holders = slots.holders(side)
    return holders.waiting if holders is not None else ()


def patience(shards: Shards) -> float:
    """Seconds after which what is waited for counts as not coming."""
    handover = shards.handover
    return max(handover.timeout, handover.drain_time) if handover.method is HandoverMethod.DRAIN else handover.timeout


def _sides(*, old: bool, new: bool) -> frozenset[Side]:
    return frozenset(side for side, there in ((Side.OLD, old), (Side.NEW, new)) if there)


def _ordered(sides: frozenset[Side]) -> tuple[Side, ...]:
    return tuple(side for side in Side if side in sides)
