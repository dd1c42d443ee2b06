"""What people report of new: each annotation `syncrollout.io/report-<id>` is one report, and counts once.

The annotations belong to people, as those by which they ask for something do (`requests.py`). Several people may report
at one moment, so each report is an annotation of its own, and none can overwrite another. What was taken in is
remembered for as long as the annotation is there, by a digest of its name and value: another value under the same name
is another report. A report counts in the phase that it was taken in, until somebody answers it or the phase is over;
one that comes while no run is under way is told and counts nowhere.

Everything is bounded. The last reports are kept in words, all are counted. Annotations beyond those that can be
remembered are counted too, for as long as they are there.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncrollout.api.spec import REPORTS, SyncRolloutSpec
from syncrollout.api.status import (
    DIGEST_LENGTH,
    MOST_REPORTS,
    MOST_TAKEN_IN,
    REPORT_LENGTH,
    REPORTER_LENGTH,
    PhaseStatus,
    ReportCounts,
    ReportsStatus,
    ReportStatus,
    SyncRolloutStatus,
)
from syncrollout.api.words import PROBLEM_ANNOTATION, Reason, Severity
from syncrollout.decide.facts import Facts, Reading, ReadingKey
from syncrollout.decide.notes import Note
from syncrollout.decide.phrases import clip, one_line
from syncrollout.decide.questions import limits

TOLD_SINGLY: Final = 8
"""Reports of one phase that are each told; after that it is told when there are twice as many."""
IGNORED_SINGLY: Final = 3
"""The same of those that count nowhere, of one pass."""
FORM: Final = "<severity> by <who>: <what users see>"
"""The value of the annotation; who may be left out."""
SEVERITIES: Final = (Severity.CRITICAL, Severity.HIGH, Severity.MEDIUM, Severity.LOW)
"""The gravest first."""

_WORD: Final = {severity.value.lower(): severity for severity in SEVERITIES}
_PLAIN: Final = re.compile(r"(critical|high|medium|low) ?: ?(.*)", re.IGNORECASE | re.ASCII)
_SIGNED: Final = re.compile(r"(critical|high|medium|low) by (.+?): (.*)", re.IGNORECASE | re.ASCII)
_SHOWN: Final = 100


@dataclass(frozen=True, slots=True)
class Problem:
    """One report as it was written."""

    severity: Severity
    by: str
    message: str


@dataclass(frozen=True, slots=True)
class Reported:
    """What is reported as it stands now."""

    status: ReportsStatus | None = None
    """As it goes into the status."""
    notes: tuple[Note, ...] = ()
    over: Mapping[Severity, int] = field(default_factory=dict)
    """How many there are beyond those that can be remembered."""


def written(severity: Severity, by: str, message: str) -> str:
    """The value of the annotation by which this is reported; see FORM."""
    signed = f" by {_who(by)}" if _who(by) else ""
    return f"{severity.value.lower()}{signed}: {clip(one_line(message), REPORT_LENGTH)}"


def parse(value: str) -> Problem | str:
    """A report as it was written, or why it is none, in words."""
    line = one_line(value)
    found = _PLAIN.fullmatch(line)
    severity, by, message = (found[1], "", found[2]) if found else ("", "", "")
    if not found:
        found = _SIGNED.fullmatch(line)
        severity, by, message = (found[1], found[2], found[3]) if found else ("", "", "")
    if not found:
        return f"write {FORM}, the severity being one of low, medium, high and critical"
    if not message.strip():
        return "it says nothing; write what users see"
    return Problem(_WORD[severity.lower()], _who(by), clip(message.strip(), REPORT_LENGTH))


def _who(by: str) -> str:
    """A name that ends where the value says so."""
    return clip(one_line(by).replace(": ", ":").strip(": "), REPORTER_LENGTH)


def digest(name: str, value: str) -> str:
    """What is remembered of an annotation; `name` is the report's id."""
    found = hashlib.sha256(f"{name}\0{value}".encode("utf-8", "surrogatepass")).digest()
    return base64.urlsafe_b64encode(found).decode()[:DIGEST_LENGTH]


def remembered(taken: str) -> tuple[str, ...]:
    """The digests in status.reports.taken."""
    return tuple(taken[start : start + DIGEST_LENGTH] for start in range(0, len(taken), DIGEST_LENGTH))


def fresh(present: Mapping[str, str], taken: str) -> bool:
    """Whether there is one that was not taken in, and could be. `present`: values of annotations by id."""
    if not present:
        return False
    known = set(remembered(taken))
    digests = {digest(name, value) for name, value in present.items()}
    return bool(digests - known) and len(digests & known) < MOST_TAKEN_IN


def hear(status: SyncRolloutStatus, facts: Facts, now: float, *, active: bool, answer: str, by: str = "") -> Reported:
    """What is reported now. `active`: there is something that could go back; `answer`: what somebody says to reports,
    as `unanswerable` takes it, empty where nobody does, and `by` whom."""
    before = status.reports
    if facts.deleting or (before is None and not facts.reports):
        return Reported(before)
    standing = in_phase(before or ReportsStatus(), status, active=active)
    present = {digest(name, value): name for name, value in sorted(facts.reports.items())}
    known = [each for each in remembered(standing.taken) if each in present]
    news = [each for each in present if each not in set(known)]
    room = MOST_TAKEN_IN - len(known)
    coming = [(present[each], parse(facts.reports[present[each]])) for each in news]
    good = [report for _, report in coming[:room] if isinstance(report, Problem) and active]
    bad = [(name, report) for name, report in coming[:room] if not (isinstance(report, Problem) and active)]
    over = [report for _, report in coming[room:] if isinstance(report, Problem) and active]
    notes: list[Note] = []
    if answer:
        standing = _answered(standing, answer, status)
        text = f"Reports up to number {standing.answered} are answered{signed(by)}: {standing.answer}"
        notes.append(Note(Reason.REPORTS_ANSWERED, text, by=by))
    after = _added(standing, status, good, now)
    notes += [*_told(standing, after, good), *_ignored(bad)]
    after = after.model_copy(update={"taken": "".join([*known, *news[:room]])})
    nothing = before is None and after == ReportsStatus()
    return Reported(None if nothing else after, tuple(notes), Counter(report.severity for report in over))


def in_phase(reports: ReportsStatus, status: SyncRolloutStatus, *, active: bool) -> ReportsStatus:
    """The same, of the run and the phase that the status names: what was open in another phase is so no more."""
    if not active:
        return reports
    if reports.run != status.run:
        none = ReportCounts()
        reports = reports.model_copy(update={"run": status.run, "counted": none, "open": none, "phase": ""})
    phase, entered = (status.phase.name, status.phase.entered) if status.phase is not None else ("", None)
    if reports.phase != phase:
        reports = reports.model_copy(update={"phase": phase, "entered": entered, "open": ReportCounts()})
    return reports


def _added(before: ReportsStatus, status: SyncRolloutStatus, news: Sequence[Problem], now: float) -> ReportsStatus:
    phase: PhaseStatus | None = status.phase
    made = tuple(
        ReportStatus(
            number=before.number + count,
            run=status.run,
            phase=phase.name if phase is not None else "",
            at=now,
            severity=report.severity,
            by=report.by,
            message=report.message,
        )
        for count, report in enumerate(news, start=1)
    )
    more = Counter(report.severity for report in news)
    return before.model_copy(
        update={
            "number": before.number + len(made),
            "open": _sum(before.open, more),
            "counted": _sum(before.counted, more),
            "latest": (*before.latest, *made)[-MOST_REPORTS:],
        }
    )


def _sum(counts: ReportCounts, more: Mapping[Severity, int]) -> ReportCounts:
    """With so many more of each severity."""
    return ReportCounts(
        **{name: getattr(counts, name) + more.get(severity, 0) for name, severity in _WORD.items()},
    )


def _total(counts: ReportCounts) -> int:
    return sum(getattr(counts, name) for name in _WORD)


# ---- answers ----


def unanswerable(status: SyncRolloutStatus, line: str) -> str:
    """Why an answer makes no sense, in words; empty where it does. It begins with the number of the last report that
    is answered."""
    reports = status.reports or ReportsStatus()
    number, why = _split(line)
    if number is None or not why:
        return "write the number of the last report that it answers, a colon, and what is to be said to it"
    if number > reports.number:
        return f"there is no report of number {number}: the last is {reports.number}"
    if number <= reports.answered or not _total(reports.open):
        return "no report up to that number is open"
    least = reports.latest[0].number - 1 if reports.latest else 0
    if number < least:
        return f"reports up to {least} have to be answered together, for no more are kept in words"
    return ""


def _split(line: str) -> tuple[int | None, str]:
    number, _, why = line.partition(":")
    good = number.strip().isdecimal() and len(number.strip()) < _LONGEST_NUMBER
    return (int(number) if good else None), why.strip()


_LONGEST_NUMBER: Final = 10


def _answered(reports: ReportsStatus, line: str, status: SyncRolloutStatus) -> ReportsStatus:
    number, why = _split(line)
    assert number is not None
    entered = reports.entered or 0.0
    left = [each for each in reports.latest if each.number > number and each.run == status.run and each.at >= entered]
    counts = _sum(ReportCounts(), Counter(each.severity for each in left))
    return reports.model_copy(update={"open": counts, "answered": number, "answer": clip(why, REPORT_LENGTH)})


# ---- what criteria go by ----


def readings(
    spec: SyncRolloutSpec, reports: ReportsStatus | None, over: Mapping[Severity, int], *, active: bool
) -> dict[ReadingKey, Reading]:
    """A reading for each severity that anything in the spec asks for. Outside a run nothing is reported."""
    asked = {each.reports for each in limits(spec)}
    return {
        key(severity): _reading(severity, reports if active else None, over if active else {})
        for severity in asked
        if severity is not None
    }


def key(severity: Severity) -> ReadingKey:
    """The reading that counts the open reports of this severity or graver."""
    return ReadingKey(f"{REPORTS}{severity.value}")


def _reading(severity: Severity, reports: ReportsStatus | None, over: Mapping[Severity, int]) -> Reading:
    grave = SEVERITIES[: SEVERITIES.index(severity) + 1]
    counts = reports.open if reports is not None else ReportCounts()
    count = sum(getattr(counts, each.value.lower()) + over.get(each, 0) for each in grave)
    kept = reports.latest if reports is not None else ()
    last = next((each for each in reversed(kept) if each.severity in grave), None) if count else None
    which = "problems" if severity is Severity.LOW else f"problems of severity {severity.value} or graver"
    if severity is Severity.CRITICAL:
        which = "problems of severity Critical"
    told = f" (the last{signed(last.by)}: {clip(last.message, _SHOWN)})" if last is not None else ""
    return Reading(float(count), message=f"{which} reported in this phase: {count}{told}")


def signed(by: str) -> str:
    """Who it is, to be said after something; empty where nobody has signed."""
    return f" by {by}" if by else ""


# ---- what is told ----


def _told(before: ReportsStatus, after: ReportsStatus, news: Sequence[Problem]) -> list[Note]:
    """Each of the first few of a phase; of more only how many there are, and seldom, so that nothing else is
    crowded out of the history."""
    had, has = _total(before.open), _total(after.open)
    notes = [
        _received(before.number + count, report)
        for count, report in enumerate(news, start=1)
        if had + count <= TOLD_SINGLY
    ]
    if has > TOLD_SINGLY and had.bit_length() < has.bit_length():
        text = f"{has} reports are open in this phase, up to number {after.number}: {counted(after.open)}"
        notes.append(Note(Reason.REPORT_RECEIVED, text, "Warning"))
    return notes


def _received(number: int, report: Problem) -> Note:
    grave = report.severity in (Severity.CRITICAL, Severity.HIGH)
    text = f"Report {number} of severity {report.severity.value}{signed(report.by)}: {report.message}"
    return Note(Reason.REPORT_RECEIVED, text, "Warning" if grave else "Normal")


def counted(counts: ReportCounts) -> str:
    """How many of each severity, in words; those of which there are none are left out."""
    found = ((severity, getattr(counts, severity.value.lower())) for severity in SEVERITIES)
    return ", ".join(f"{count} {severity.value}" for severity, count in found if count) or "none"


def _ignored(bad: Iterable[tuple[str, Problem | str]]) -> list[Note]:
    told = [_why_ignored(name, report) for name, report in bad]
    notes = [Note(Reason.REQUEST_IGNORED, text, "Warning") for text in told[:IGNORED_SINGLY]]
    if len(told) > IGNORED_SINGLY:
        text = f"{len(told) - IGNORED_SINGLY} more reports were not counted"
        notes.append(Note(Reason.REQUEST_IGNORED, text, "Warning"))
    return notes


def _why_ignored(name: str, report: Problem | str) -> str:
    annotation = f"{PROBLEM_ANNOTATION}{name}"
    if isinstance(report, str):
        return f"{annotation} was not counted: {report}"
    said = f"{report.severity.value}{signed(report.by)}: {clip(report.message, _SHOWN)}"
    return f"{annotation} was not counted, for no run is under way: {said}"


__all__ = [
    "Problem",
    "Reported",
    "counted",
    "digest",
    "fresh",
    "hear",
    "in_phase",
    "key",
    "parse",
    "readings",
    "remembered",
    "signed",
    "unanswerable",
    "written",
]
