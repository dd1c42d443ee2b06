"""What a message may tell, as plain values: texts, numbers, lists and mappings of them. docs/messages.md lists them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from syncrollout.api.fields import format_duration, parse_time
from syncrollout.api.spec import Phase, PhaseMode, SyncRolloutSpec
from syncrollout.api.status import MessageStatus, PastResult, SyncRolloutStatus
from syncrollout.api.words import Language, Severity, Verdict
from syncrollout.decide import criteria, on_the_clock
from syncrollout.decide.limits import describe
from syncrollout.decide.timeline import Stage, Timeline, timeline
from syncrollout.messages import japanese_words

COMPLETION: Final = "completion"
_OPEN: Final = (Stage.NOW, Stage.COMING)
_NEXT: Final = re.compile(r"^(.*) (\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$")
_LIMIT: Final = re.compile(r"^(above|below|at least|at most) (\S+) ?(.*)$")


@dataclass(frozen=True, slots=True)
class About:
    """What a message is about: the rollout as it stands when the message is written."""

    name: str
    namespace: str
    spec: SyncRolloutSpec
    status: SyncRolloutStatus


def facts(about: About, message: MessageStatus, audience: str, language: Language) -> Mapping[str, Any]:
    """All that a template may use."""
    spec, status = about.spec, about.status
    say = _Saying(language, _zone(spec))
    cause = status.rollback
    phase = next((each for each in spec.phases if each.name == message.phase.rpartition(" ")[2]), None)
    began = status.started
    plan = timeline(spec, status, None, message.time)
    upcoming, at = _next(about, message, phase, plan)
    dates = {row.phase: row.start for row in plan.rows if row.start is not None}
    return {
        "event": message.event.value,
        "name": about.name,
        "namespace": about.namespace,
        "audience": audience,
        "severity": message.severity.value,
        "severity_said": say.severity(message.severity.value),
        "alarming": message.severity in (Severity.CRITICAL, Severity.HIGH),
        "time": say.time(message.time),
        "run": message.run,
        "revision": spec.revision,
        "phase": message.phase,
        "previous_phase": message.before,
        "description": phase.description if phase is not None else "",
        "weight": message.weight,
        "old_weight": 100 - message.weight,
        "effect": say.effect(phase) if phase is not None else "",
        "text": message.text,
        "message": status.message,
        "state": status.state.value,
        "state_said": say.state(status.state.value),
        "weight_now": status.weight,
        "results": [say.result(spec, each) for each in message.results],
        "next": upcoming,
        "next_time": say.time(at) if at is not None else "",
        "phases": [say.phase(each, dates.get(each.name)) for each in spec.phases],
        "duration": say.duration(sum(each.duration for each in spec.phases)),
        "earliest_end": say.time(plan.completes) if plan.completes is not None else "",
        "took": say.duration(message.time - began) if began is not None else "",
        "started": say.time(began) if began is not None else "",
        "old": str(spec.old.workload),
        "new": str(spec.new.workload),
        "scope": [f"{each.kind} {each.name}" for each in spec.traffic.routes] + _work(spec),
        "on_trouble": _on_trouble(spec, say),
        "cause": cause.message if cause is not None else message.text,
        "decided": say.time(cause.decided) if cause is not None else "",
        "from_phase": cause.from_phase if cause is not None else "",
        "from_weight": cause.from_weight if cause is not None else 0,
        "confirmed": say.time(cause.confirmed) if cause is not None and cause.confirmed is not None else "",
        "steps": [
            {
                "name": each.name.value,
                "state": each.state.value,
                "state_said": say.state(each.state.value),
                "message": each.message,
            }
            for each in (cause.steps if cause is not None else ())
        ],
        "report": next((each.config_map or "" for each in (cause.steps if cause is not None else ())[::-1]), ""),
        "deadline": _deadline(status, say),
        "follow_ups": _follow_ups(spec, status, audience, say),
        "about": say.about(message.about.value) if message.about is not None else "",
        "level": message.level,
        "ack": f"kubectl syncrollout ack {about.name} -n {about.namespace} -m '...'",
    }


def _follow_ups(spec: SyncRolloutSpec, status: SyncRolloutStatus, audience: str, say: _Saying) -> list[dict[str, str]]:
    if spec.notifications is None:
        return []
    coming = on_the_clock.coming_follow_ups(spec.notifications, status, audience)
    return [{"time": say.time(at), "about": say.about(about)} for at, about in coming]


def _deadline(status: SyncRolloutStatus, say: _Saying) -> str:
    incident = status.incident
    return say.time(incident.deadline) if incident is not None and incident.deadline is not None else ""


def _next(about: About, message: MessageStatus, phase: Phase | None, plan: Timeline) -> tuple[str, float | None]:
    """What comes next, and when at the earliest: by the timeline, where the rollout is still where the message says,
    else as it was known then."""
    current = about.status.phase
    if phase is not None and (not about.status.in_flight or (current is not None and current.label == message.phase)):
        at = next((n for n, row in enumerate(plan.rows) if row.phase == phase.name and row.stage in _OPEN), None)
        if at is not None:
            rest = plan.rows[at + 1 :]
            return (rest[0].phase, rest[0].start) if rest else (COMPLETION, plan.completes)
    dated = _NEXT.match(message.next)
    if dated is not None:
        return dated[1], parse_time(dated[2])
    if phase is not None and message.next:
        return message.next, message.time + phase.duration
    return message.next, None


def _on_trouble(spec: SyncRolloutSpec, say: _Saying) -> list[dict[str, str]]:
    asked = criteria.questions(spec, None)
    return [
        {"severity": str(each.severity), "severity_said": say.severity(str(each.severity)), "if": say.when(each)}
        for each in asked
    ]


def _work(spec: SyncRolloutSpec) -> list[str]:
    shards = spec.traffic.shards
    return [f"ConfigMap {shards.config_map}"] if shards is not None else []


def _zone(spec: SyncRolloutSpec) -> ZoneInfo:
    return ZoneInfo(spec.timezone)


@dataclass(frozen=True, slots=True)
class _Saying:
    """How things are put in a language."""

    language: Language
    zone: ZoneInfo

    def time(self, seconds: float) -> str:
        moment = (datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds)).astimezone(self.zone)
        form = "%Y年%m月%d日 %H:%M %Z" if self.language is Language.JA else "%Y-%m-%d %H:%M %Z"
        return moment.strftime(form)

    def duration(self, seconds: float) -> str:
        text = format_duration(seconds)
        if self.language is not Language.JA:
            return text
        return "".join(japanese_words.DURATIONS.get(char, char) for char in text)

    def severity(self, word: str) -> str:
        return japanese_words.SEVERITIES.get(word, word) if self.language is Language.JA else word

    def state(self, word: str) -> str:
        return japanese_words.STATES.get(word, word) if self.language is Language.JA else word

    def about(self, word: str) -> str:
        return japanese_words.ABOUT[word] if self.language is Language.JA else _ABOUT[word]

    def limit(self, limit: str) -> str:
        parts = _LIMIT.match(limit)
        if self.language is not Language.JA:
            return limit
        if parts is None:
            return japanese_words.LIMITS.get(limit, limit)
        unit = japanese_words.UNITS.get(parts[3], f" {parts[3]}".rstrip())
        return f"{parts[2]}{unit}{japanese_words.COMPARISONS[parts[1]]}"

    def when(self, question: Any) -> str:
        return f"{question.comparison.source} {self.limit(describe(question))}"

    def phase(self, phase: Phase, start: float | None) -> dict[str, Any]:
        return {
            "name": phase.name,
            "start": self.time(start) if start is not None else "",
            "weight": phase.weight,
            "duration": self.duration(phase.duration) if phase.duration else "",
            "description": phase.description,
            "effect": self.effect(phase),
        }

    def effect(self, phase: Phase) -> str:
        """What users notice of a phase."""
        words = japanese_words.EFFECTS if self.language is Language.JA else _EFFECTS
        if phase.mode is PhaseMode.SHADOW:
            return words["shadow"]
        if phase.retire_old:
            return words["retired"]
        if phase.weight in (0, 100):
            return words["none" if phase.weight == 0 else "all"]
        return words["share"].format(weight=phase.weight)

    def result(self, spec: SyncRolloutSpec, result: PastResult) -> dict[str, Any]:
        unit = _unit(spec, result.metric)
        reading, baseline = result.reading, result.baseline
        change = (reading - baseline) / baseline * 100.0 if reading is not None and baseline else None
        return {
            "metric": result.metric,
            "limit": self.limit(result.limit),
            "verdict": result.verdict.value,
            "said": self._verdict(result.verdict),
            "reading": _number(reading, unit),
            "baseline": _number(baseline, unit),
            "change": f"{change:+.0f} %" if change is not None else "",
        }

    def _verdict(self, verdict: Verdict) -> str:
        return japanese_words.VERDICTS[verdict.value] if self.language is Language.JA else verdict.value


def _unit(spec: SyncRolloutSpec, metric: str) -> str:
    try:
        return spec.metric(metric).unit
    except KeyError:
        return ""


def _number(value: float | None, unit: str) -> str:
    return "" if value is None else f"{value:.4g} {'%' if unit == 'percent' else unit}".rstrip()


_ABOUT: Final = {
    "FirstCause": "first cause",
    "DetailedCause": "detailed cause",
    "WhatHappened": "what happened",
    "NextSteps": "scope and next steps",
    "Report": "report",
}
_EFFECTS: Final = {
    "shadow": "none: new works on copies, and its results are compared and thrown away",
    "none": "none: old does all of the work",
    "share": "about {weight} % of the work is done by new",
    "all": "all of the work is done by new; old stands by",
    "retired": "all of the work is done by new; old is stopped",
}

__all__ = ["About", "facts"]
