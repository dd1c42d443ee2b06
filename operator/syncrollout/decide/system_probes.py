"""Whether old answers over HTTP after a rollback, as the probes of `verifySystem` say it."""

from __future__ import annotations

from syncrollout.api.spec import Probe, SyncRolloutSpec
from syncrollout.api.status import StepStatus, SyncRolloutStatus
from syncrollout.decide.facts import Facts
from syncrollout.decide.firsts import First
from syncrollout.decide.system_checks import awaited


def of(spec: SyncRolloutSpec) -> tuple[Probe, ...]:
    """The probes; none without the step."""
    procedure = spec.rollback.procedure
    return procedure.verify_system.probes if procedure is not None and procedure.verify_system is not None else ()


def asked(spec: SyncRolloutSpec, status: SyncRolloutStatus) -> tuple[Probe, ...]:
    """Those that the step waits for now."""
    return of(spec) if awaited(spec, status) else ()


def look(spec: SyncRolloutSpec, facts: Facts, step: StepStatus) -> First:
    """Whether all of them pass, at one and the same look."""
    probes = of(spec)
    if not probes:
        return First(step)
    if facts.probes is None or len(facts.probes) != len(probes):
        return First(step, waits="")
    told = "; ".join(fact.text for fact in facts.probes)
    if all(fact.passes for fact in facts.probes):
        return First(step, said=f"all probes pass ({told})")
    return First(step, waits=f"not all probes pass: {told}")


__all__ = ["asked", "look", "of"]
