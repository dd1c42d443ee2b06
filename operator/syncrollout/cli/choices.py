"""What a person may ask of a rollout now, as commands."""

from __future__ import annotations

from typing import Final

from syncrollout.api.words import HOLD, Request
from syncrollout.cli.moments import Here
from syncrollout.cli.rollout import Rollout
from syncrollout.decide import approvals, attested, checklist

_WHY: Final = "WHY"
_BACK: Final = "send everything back to old"
_DECISIONS: Final = (
    (Request.DECIDE, "continue", ("continue", "-m", _WHY), "let it go on"),
    (Request.DECIDE, "rollback", ("rollback", "-m", _WHY), _BACK),
    (Request.OVERRIDE, _WHY, ("-m", _WHY), "let it go on in spite of the incident"),
)
_OTHERS: Final = (
    (Request.ACK, _WHY, ("-m", "WHAT"), "acknowledge the trouble, so that nobody else is called"),
    (Request.ROLLBACK, _WHY, ("-m", _WHY), _BACK),
    (Request.RETRY, _WHY, ("-m", _WHY), "begin the next attempt, at the first phase"),
)


def of_incident(rollout: Rollout, here: Here) -> list[tuple[str, str]]:
    """Command and what it does, of all that makes sense for the open incident now."""
    return _sensible(rollout, here, _DECISIONS)


def of_all(rollout: Rollout, here: Here) -> list[tuple[str, str]]:
    """The same of everything that makes sense now, reading included."""
    made = [*_by_hand(rollout, here), *of_incident(rollout, here)]
    decides_back = any(what == _BACK for _, what in made)
    made += [each for each in _sensible(rollout, here, _OTHERS) if not (decides_back and each[1] == _BACK)]
    unconfirmed = {each.name for each in checklist.missing(rollout.status.preflight)} if not rollout.active else set()
    for check in attested.checks(rollout.spec):
        if check.name in unconfirmed and check.attestation is not None:
            made.append(
                (here.command(rollout, "attest", check.name, "-m", "WHAT"), f"confirm: {check.attestation.text}")
            )
    reports = rollout.status.reports
    if reports is not None and sum(reports.open.model_dump().values()) and rollout.active:
        made.append((here.command(rollout, "answer", "-m", "WHAT"), "answer what users have reported"))
    if rollout.status.rollback is not None and _reports(rollout):
        made.append((here.command(rollout, "report-incident"), "read the incident report"))
    return made


def _by_hand(rollout: Rollout, here: Here) -> list[tuple[str, str]]:
    """What can be said of the present phase."""
    status = rollout.status
    made = []
    phase = status.phase.name if status.phase is not None else ""
    if approvals.current(rollout.spec, status) is None and not rollout.pointless(Request.APPROVE, phase):
        made.append((here.command(rollout, "approve", phase, "-m", _WHY), f"approve that phase {phase} ends"))
    if HOLD in rollout.annotations:
        made.append((here.command(rollout, "resume", "-m", _WHY), "let it go on"))
    return made


def _sensible(
    rollout: Rollout, here: Here, choices: tuple[tuple[Request, str, tuple[str, ...], str], ...]
) -> list[tuple[str, str]]:
    return [
        (here.command(rollout, request.value.rpartition("/")[2], *words), what)
        for request, value, words, what in choices
        if not rollout.pointless(request, value)
    ]


def _reports(rollout: Rollout) -> bool:
    procedure = rollout.spec.rollback.procedure
    return procedure is not None and procedure.evidence is not None


__all__ = ["of_all", "of_incident"]
