"""The steps of the migration."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Duration, Model, Name, PositiveDuration, Text, rule, rules
from syncrollout.api.spec.approval import Approval
from syncrollout.api.spec.criteria import Criteria
from syncrollout.api.spec.persons import Persons
from syncrollout.api.spec.verification import Verifications


class PhaseMode(StrEnum):
    """What new does with the work that it is given in a phase."""

    LIVE = "Live"
    SHADOW = "Shadow"


class OnFailure(StrEnum):
    """What a phase does once a criterion of its rollbackOn holds."""

    ROLLBACK = "Rollback"
    STEP_BACK = "StepBack"
    HOLD = "Hold"


class OnDeadline(StrEnum):
    """What a phase does that has not passed by its deadline."""

    HOLD = "Hold"
    ROLLBACK = "Rollback"


class Phase(Model):
    """One step of the migration."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.mode) || self.mode != 'Shadow' || self.weight == 0",
                "mode Shadow needs weight 0: new only gets copies of what old answers",
                fieldPath=".mode",
            ),
            rule(
                "!has(self.mirrorPercent) || (has(self.mode) && self.mode == 'Shadow')",
                "mirrorPercent says how much a phase mirrors; give the phase mode: Shadow, or leave mirrorPercent out",
                fieldPath=".mirrorPercent",
            ),
            rule(
                "!has(self.retireOld) || !self.retireOld || self.weight == 100",
                "retireOld needs weight 100: old cannot stop while it still has traffic",
                fieldPath=".retireOld",
            ),
            rule(
                "!has(self.onFailure) || self.onFailure == 'Rollback' || "
                "(has(self.rollbackOn) && self.rollbackOn.size() > 0) || "
                "(has(self.success) && self.success.exists(c, has(c.onNoData) && c.onNoData == 'Rollback'))",
                "onFailure says what rollbackOn leads to; give the phase a rollbackOn, or leave onFailure out",
                fieldPath=".onFailure",
            ),
            rule(
                "!has(self.approvers) || (has(self.approval) && self.approval == 'Required')",
                "approvers say who may approve; give the phase approval: Required, or leave approvers out",
                fieldPath=".approvers",
            ),
            rule(
                "!has(self.success) || self.success.all(c, !has(c.reports) || (!has(c.above) && !has(c.atLeast)))",
                "success asks for few reports; give atMost (0 where nothing is given) or below",
                fieldPath=".success",
            ),
            rule(
                "!has(self.rollbackOn) || self.rollbackOn.all(c, !has(c.reports) || (!has(c.below) && !has(c.atMost)))",
                "rollbackOn goes by many reports; give above (0 where nothing is given) or atLeast",
                fieldPath=".rollbackOn",
            ),
        ),
    )

    name: Name
    """Unique within the rollout; a phase keeps its identity by name when the spec is edited."""
    description: Text = ""
    """What happens in it, for people."""
    weight: Annotated[int, Field(ge=0, le=100)]
    """Share of new in percent; never less than in the phase before."""
    mode: PhaseMode = PhaseMode.LIVE
    """Live, or Shadow: new gets copies of the work while old does all of it, so that both can be compared. Routes
    mirror requests to new, whose answers are thrown away; workers of new run dry. Needs weight 0."""
    mirror_percent: Annotated[int, Field(ge=0, le=100)] | None = None
    """Share of the requests that a phase of mode Shadow mirrors to new, percent; all of them unless given. 0 leaves the
    routes as they are, for a phase in which workers alone run dry."""
    duration: Duration = 0.0
    """The least time that the phase lasts, counted from when the weights stand."""
    deadline: PositiveDuration | None = None
    """How long after it was entered the phase may take to pass; then onDeadline says what happens. A suspended rollout
    has none."""
    on_deadline: OnDeadline = OnDeadline.HOLD
    """What happens at the deadline. Hold: a person decides, as for a trigger of severity Medium. Rollback: all traffic
    goes back to old."""
    success: Criteria = ()
    """All must pass before the phase ends. One with onNoData Rollback is one of rollbackOn while it has no data."""
    rollback_on: Criteria = ()
    """Any that holds sends the rollout back at once, or does what onFailure says."""
    on_failure: OnFailure = OnFailure.ROLLBACK
    """What a criterion of rollbackOn does once it holds. Rollback: all traffic goes back to old. StepBack: back to the
    phase before and its weight, whose time begins anew; after rollback.maxStepBacks a rollback. Hold: the
    phase is held and a person decides, as for a trigger of severity Medium."""
    approval: Approval = Approval.NOT_REQUIRED
    """Required: the phase ends once a person has approved, besides all else; the last one is followed by completion."""
    approvers: Persons | None = None
    """Who may approve; those of spec.approval unless given."""
    verification: Verifications = ()
    """Jobs that are run by a schedule while the weights of the phase stand, each with its severity."""
    retire_old: bool = False
    """Stop the old workload in this phase: scale it to zero, or suspend a CronJob."""

    @property
    def mirrored(self) -> int:
        """Share of the requests that routes mirror to new, percent."""
        if self.mode is not PhaseMode.SHADOW:
            return 0
        return 100 if self.mirror_percent is None else self.mirror_percent
