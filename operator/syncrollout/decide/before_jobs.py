"""What comes before the Job of each step: of a restore a backup, of a test of old its restart and its checks."""

from __future__ import annotations

from collections.abc import Iterator

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import RollbackStatus, StepStatus, SyncRolloutStatus
from syncrollout.api.words import Step
from syncrollout.decide import backup, restarting_old, system_checks, system_probes
from syncrollout.decide.facts import ReadingKey
from syncrollout.decide.firsts import First
from syncrollout.decide.view import View


def of(spec: SyncRolloutSpec, step: Step) -> str:
    """All of it in words; empty where nothing comes before."""
    if step is Step.RESTORE:
        return backup.words(spec)
    return ", ".join(_of_the_system(spec)) if step is Step.VERIFY_SYSTEM else ""


def _of_the_system(spec: SyncRolloutSpec) -> Iterator[str]:
    if restarting_old.asked(spec):
        yield "a restart of old"
    checks = system_checks.of(spec)
    if checks:
        yield f"checks of {', '.join(dict.fromkeys(check.metric for check in checks))}"
    probes = system_probes.of(spec)
    if probes:
        yield f"{len(probes)} probe{'s' if len(probes) > 1 else ''}"


def readings(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> frozenset[ReadingKey]:
    """The readings that a step waits for now."""
    return backup.readings(spec, status) | system_checks.readings(spec, status)


def look(v: View, cause: RollbackStatus, step: StepStatus) -> First:
    """How far that is, of a step that has begun and has made no Job yet."""
    if step.name is Step.RESTORE:
        return backup.look(v, cause, step)
    if step.name is not Step.VERIFY_SYSTEM:
        return First(step)
    restart = restarting_old.look(v, cause, step)
    if restart.waits is not None:
        return restart
    return _both(step, restart, system_checks.look(v, cause, step), system_probes.look(v.spec, v.facts, step))


def _both(step: StepStatus, *each: First) -> First:
    """All at once: what any of them waits for is waited for."""
    said = "; ".join(one.said for one in each if one.said)
    waits = [one.waits for one in each if one.waits is not None]
    return First(step, waits="; ".join(filter(None, waits)) if waits else None, said=said)


__all__ = ["look", "of", "readings"]
