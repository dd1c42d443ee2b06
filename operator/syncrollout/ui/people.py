"""What people have said and been told, as the page shows it: approvals, the checklist, messages. Pure."""

from __future__ import annotations

from collections import Counter
from typing import Final

from syncrollout.api.status import MessageStatus, SaidOfPhase, SyncRolloutStatus
from syncrollout.api.words import CheckGroup
from syncrollout.decide import checklist
from syncrollout.observe.masks import masked
from syncrollout.ui.rows import Json

TOLD: Final = 6
"""Messages that are shown."""


def said_of(said: SaidOfPhase) -> Json:
    """Who has said something of a phase, when and why."""
    return {"by": said.by, "at": said.at, "reason": masked(said.reason)}


def preflight(status: SyncRolloutStatus) -> Json | None:
    """The checklist by group; `waits` while it stands in the way of the start."""
    found = status.preflight
    if found is None:
        return None
    groups = []
    for group in CheckGroup:
        lines = [
            {
                "name": each.name,
                "verdict": each.verdict.value,
                "message": masked(each.message),
                "since": each.since,
            }
            for each in found.checks
            if each.group is group
        ]
        if lines:
            groups.append({"group": group.value, "checks": lines})
    return {
        "waits": bool(checklist.missing(found)) and not status.in_flight,
        "groups": groups,
        "missingOld": list(found.missing_old),
        "missingNew": list(found.missing_new),
        "confirmed": [
            {"check": each.check, "by": each.by, "at": each.at, "message": masked(each.message)}
            for each in found.attested
            if not each.refused and each.revision == found.revision
        ],
    }


def messages(status: SyncRolloutStatus) -> Json | None:
    """What people were told last, newest first, and the trouble that somebody has to take upon himself."""
    found = status.notifications
    if found is None:
        return None
    alarm = found.alarm
    return {
        "told": [_told(each) for each in reversed(found.messages[-TOLD:])],
        "alarm": None
        if alarm is None
        else {
            "severity": alarm.severity.value,
            "since": alarm.since,
            "text": masked(alarm.text),
            "ended": alarm.ended,
            "acknowledged": masked(alarm.acknowledged),
            "by": alarm.by,
        },
    }


def _told(message: MessageStatus) -> Json:
    return {
        "id": message.id,
        "event": message.event.value,
        "severity": message.severity.value,
        "at": message.time,
        "text": masked(message.text),
        "audiences": sorted({each.audience for each in message.deliveries}),
        "deliveries": dict(Counter(each.state.value for each in message.deliveries)),
        "error": masked(next((each.error for each in message.deliveries if each.error), "")),
    }


__all__ = ["messages", "preflight", "said_of"]
