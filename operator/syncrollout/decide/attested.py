"""What people confirm before the start: each annotation `syncrollout.io/attest-<check>` is one line of the checklist.

Each check has an annotation of its own, so that nobody's word can replace another's. A value counts once, and for the
spec.revision that it was taken in for: what was confirmed of one revision says nothing of the next. While the checklist
is open, taking the annotation away takes the word back; after that what was said stays as it is recorded.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from syncrollout.api.spec import MOST_CHECKED, Attestation, PreflightCheck, SyncRolloutSpec
from syncrollout.api.status import ATTESTED_LENGTH, AttestedStatus, PreflightStatus
from syncrollout.api.words import ATTEST_ANNOTATION, Reason
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, moment, one_line
from syncrollout.decide.reported import digest

FORM: Final = "by <who>: <what was seen>"
"""The value of the annotation."""
_SIGNED: Final = re.compile(r"by (.+?):(?: (.*))?", re.IGNORECASE)
_LONGEST_NAME: Final = 253


@dataclass(frozen=True, slots=True)
class Word:
    """What somebody has written; `by` is empty where it is not signed."""

    by: str
    message: str


def written(by: str, message: str) -> str:
    """The value of the annotation by which this is confirmed; see FORM."""
    return f"by {clip(one_line(by), _LONGEST_NAME)}: {clip(one_line(message), ATTESTED_LENGTH)}"


def parse(value: str) -> Word:
    """What was written."""
    line = one_line(value)
    found = _SIGNED.fullmatch(line)
    by, message = (found[1], found[2] or "") if found else ("", line)
    return Word(clip(by, _LONGEST_NAME), clip(message.strip(), ATTESTED_LENGTH))


def checks(spec: SyncRolloutSpec) -> tuple[PreflightCheck, ...]:
    """The lines of the checklist that a person confirms."""
    lines = spec.preflight.checks if spec.preflight is not None else ()
    return tuple(each for each in lines if each.attestation is not None)


def objection(asked: Attestation, word: Word) -> str:
    """Why this word does not count; empty where it does. Of groups the admission policy alone knows who is in them."""
    if not word.message:
        return "it says nothing"
    if asked.by is None:
        return ""
    if not word.by:
        return f"it does not say who confirms it: write {FORM}"
    if word.by in asked.by.users or asked.by.groups:
        return ""
    return f"{word.by} may not confirm it, but {may(asked)}"


def may(asked: Attestation) -> str:
    """Who may confirm it, in words."""
    if asked.by is None:
        return "anybody"
    users, groups = list(asked.by.users), [f"group {name}" for name in asked.by.groups]
    return " or ".join([*users, *groups]) or "nobody"


def hear(
    spec: SyncRolloutSpec,
    before: PreflightStatus | None,
    annotations: Mapping[str, str],
    now: float,
    *,
    is_open: bool,
) -> tuple[tuple[AttestedStatus, ...], tuple[Note, ...]]:
    """What is confirmed as it stands now, and what is told of it. `is_open`: the checklist is asked for."""
    known = {each.check: each for each in before.attested} if before is not None else {}
    kept: list[AttestedStatus] = []
    notes: list[Note] = []
    for check in checks(spec):
        assert check.attestation is not None
        was, value = known.get(check.name), annotations.get(check.name)
        if value is None:
            if was is not None and not is_open:
                kept.append(was)
            elif was is not None and not was.refused:
                text = f"{check.name} is not confirmed any more: {ATTEST_ANNOTATION}{check.name} was taken away"
                notes.append(Note(Reason.ATTESTATION_WITHDRAWN, text, "Warning"))
            continue
        mark = digest(check.name, value)
        if was is not None and was.taken == mark:
            kept.append(was)
            continue
        word = parse(value)
        why_not = objection(check.attestation, word)
        one = AttestedStatus(
            check=check.name,
            revision=spec.revision,
            by=word.by,
            message=word.message,
            at=now,
            taken=mark,
            refused=clip(why_not, ATTESTED_LENGTH),
        )
        kept.append(one)
        notes.append(_told(one))
    if not is_open:
        # What was confirmed before the start stays as it is recorded, whatever becomes of the list.
        asked = {check.name for check in checks(spec)}
        kept += [each for each in known.values() if each.check not in asked]
    return tuple(kept)[:MOST_CHECKED], tuple(notes)


def _told(one: AttestedStatus) -> Note:
    if one.refused:
        text = f"{ATTEST_ANNOTATION}{one.check} does not count: {one.refused}"
        return Note(Reason.REQUEST_IGNORED, clip(text), "Warning")
    who = one.by or "somebody who has not signed"
    return Note(Reason.ATTESTED, f"{one.check} is confirmed for revision {one.revision} by {who}: {one.message}")


def judge(asked: Attestation, one: AttestedStatus | None, name: str, revision: str) -> tuple[bool, str]:
    """Whether it is confirmed for this revision, and in words by whom, or what is missing."""
    how = f"{asked.text} - {may(asked)} confirms it: kubectl syncrollout attest, or {ATTEST_ANNOTATION}{name}"
    if one is None:
        return False, how
    if one.refused:
        return False, f"{one.refused}; {how}"
    if one.revision != revision:
        return False, f"was confirmed for revision {one.revision}; {how}"
    signed = f"by {one.by} " if one.by else ""
    return True, f"confirmed {signed}{moment(one.at)}: {one.message}"


__all__ = ["FORM", "Word", "checks", "hear", "judge", "may", "objection", "parse", "written"]
