"""Old is restarted before it is verified, where `verifySystem.restartOld` asks for it.

Its pod template is stamped with the moment at which the rollback was decided; its controller then makes its pods anew,
a few at a time. The stamp is recorded before it is written and is the same whenever it is written again; once it was
seen it is never written again, for whoever takes it away makes the pods anew by that.
"""

from __future__ import annotations

from syncrollout.api.fields import format_duration, format_time
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, StepStatus
from syncrollout.api.words import Side
from syncrollout.decide.actions import Action, Restart
from syncrollout.decide.firsts import First
from syncrollout.decide.phrases import readiness, side
from syncrollout.decide.view import View

CRON_JOB = "CronJob"
"""A kind that has no pods at rest."""


def asked(spec: SyncRolloutSpec) -> bool:
    """Whether old is to be restarted."""
    procedure = spec.rollback.procedure
    return procedure is not None and procedure.verify_system is not None and procedure.verify_system.restart_old


def awaited(spec: SyncRolloutSpec, step: StepStatus) -> bool:
    """Whether nothing about old is to be looked at yet, for it has still to be restarted."""
    return asked(spec) and spec.old.workload.kind != CRON_JOB and step.restarted is None


def look(v: View, cause: RollbackStatus, step: StepStatus) -> First:
    """How far the restart is."""
    if not awaited(v.spec, step):
        return First(step, said=_said(v.spec, step))
    old = v.facts.old
    if old is None:
        return First(step, waits=f"{readiness(v.spec, Side.OLD, None)}, and is to be restarted")
    stamp = step.restart or format_time(cause.decided)
    seen = step.restart_seen or old.restart == stamp
    begun = step.model_copy(update={"restart": stamp, "restart_seen": seen})
    if seen and old.updated and old.complete:
        ended = begun.model_copy(update={"restarted": v.now, "message": ""})
        return First(ended, waits="")
    actions: tuple[Action, ...] = () if seen else (Restart(Side.OLD, stamp),)
    name = side(v.spec, Side.OLD)
    message = f"{name} is being restarted"
    how = readiness(v.spec, Side.OLD, old) if old.updated else "not all of its pods are made anew"
    return First(begun.model_copy(update={"message": message}), waits=f"{message}: {how}", actions=actions)


def _said(spec: SyncRolloutSpec, step: StepStatus) -> str:
    if step.restarted is None or step.started is None:
        return "old is a CronJob, so there was nothing to restart" if asked(spec) else ""
    return f"old was restarted within {format_duration(step.restarted - step.started)}"


__all__ = ["asked", "awaited", "look"]
