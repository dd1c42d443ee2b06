"""Who is told what, in which language, and by which channels."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from syncrollout.api.fields import Duration as AnyDuration
from syncrollout.api.fields import Model, Name, ObjectName, PositiveDuration, pattern, rule, rules
from syncrollout.api.spec.prometheus import SecretKey
from syncrollout.api.words import FollowUpAbout, Language, MessageEvent, Severity

MOST_AUDIENCES, MOST_CHANNELS = 8, 8
_NAMED = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}
_SET = {"x-kubernetes-list-type": "set"}


class AlertmanagerChannel(Model):
    """An Alertmanager that messages are pushed to as alerts, by its API v2."""

    address: Annotated[
        str,
        Field(
            max_length=512,
            **pattern(
                r"^https?://[^\s/?#@]+(/[^\s?#]*)?$",
                "not the base URL of an Alertmanager; write http:// or https://, host, port and, where there is one, "
                "a path prefix, such as http://alertmanager.monitoring:9093",
            ),
        ),
    ]
    """Base URL, such as http://alertmanager.monitoring:9093; a path prefix is kept."""
    bearer_token: SecretKey | None = None
    """A bearer token to present."""


class Channel(Model):
    """One way to reach an audience: by exactly one of urlFrom and alertmanager."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "has(self.urlFrom) != has(self.alertmanager)",
                "a channel is reached by exactly one of urlFrom and alertmanager",
            ),
        ),
    )

    name: Name
    """Its name, unique in the audience."""
    url_from: SecretKey | None = None
    """Where its Apprise URL stands, such as slack://..., mailtos://... or jsons://...; docs/messages.md has which ones
    are taken."""
    alertmanager: AlertmanagerChannel | None = None
    """An Alertmanager, whose routes decide who is told."""
    severities: Annotated[tuple[Severity, ...], Field(min_length=1, max_length=4, json_schema_extra=_SET)] | None = None
    """Which messages take this way; all of them unless given. One that tells of no trouble is Low."""


class Audience(Model):
    """People who are told the same things, in the same language."""

    name: Name
    """Such as team, stakeholders or users; followUps and escalation go by it."""
    language: Language = Language.EN
    """The language of its messages."""
    events: Annotated[tuple[MessageEvent, ...], Field(max_length=24, json_schema_extra=_SET)] | None = None
    """What it is told of; everything unless given. An empty list leaves followUps and escalation alone, which name the
    audience that they go to."""
    channels: Annotated[tuple[Channel, ...], Field(min_length=1, max_length=MOST_CHANNELS, json_schema_extra=_NAMED)]
    """The ways to reach it; a message takes all of them that its severity allows."""


class FollowUp(Model):
    """What an audience is told some time after a rollback was decided."""

    audience: Name
    """Who is told: a name from audiences."""
    after: PositiveDuration
    """How long after the rollback was decided, such as 30m."""
    about: FollowUpAbout
    """What it is about."""


class EscalationLevel(Model):
    """Who is told, and when, while nobody has acknowledged that there is trouble."""

    name: Name
    """Such as level-2."""
    audience: Name
    """Who is told: a name from audiences."""
    after: AnyDuration
    """How long after the trouble began without anybody's acknowledgement, such as 15m; 0s tells at once."""
    severities: Annotated[tuple[Severity, ...], Field(min_length=1, max_length=4, json_schema_extra=_SET)] | None = None
    """Of which severities; Critical and High unless given."""


class Templates(Model):
    """Messages of one's own."""

    config_map: ObjectName
    """A ConfigMap of the rollout's own namespace with keys such as RolledBack.en or Started.ja.title; what it does not
    have is built in."""


def _known(field: str, path: str) -> dict[str, str]:
    return rule(
        f"!has(self.{field}) || self.{field}.all(e, self.audiences.exists(a, a.name == e.audience))",
        f"{field} names an audience that is not in audiences; add the audience or correct the name",
        fieldPath=path,
    )


class Notifications(Model):
    """Who is told what."""

    model_config = ConfigDict(
        json_schema_extra=rules(_known("followUps", ".followUps"), _known("escalation", ".escalation")),
    )

    audiences: Annotated[tuple[Audience, ...], Field(min_length=1, max_length=MOST_AUDIENCES, json_schema_extra=_NAMED)]
    """Who is told."""
    templates: Templates | None = None
    """Messages of one's own instead of those that are built in."""
    follow_ups: Annotated[tuple[FollowUp, ...], Field(max_length=16)] | None = None
    """What is told on a clock after a rollback. Unless given: team 30m FirstCause, 2h DetailedCause; stakeholders 1h
    WhatHappened, 4h NextSteps, 24h Report, as far as there are such audiences."""
    escalation: Annotated[tuple[EscalationLevel, ...], Field(max_length=8, json_schema_extra=_NAMED)] | None = None
    """Who is told while nobody has acknowledged that there is trouble. Unless given: developer 15m, senior-developer
    1h, tech-lead 4h, cto 0s for Critical, as far as there are such audiences."""

    def audience(self, name: str) -> Audience | None:
        """The audience of that name."""
        return next((each for each in self.audiences if each.name == name), None)


__all__ = [
    "AlertmanagerChannel",
    "Audience",
    "Channel",
    "EscalationLevel",
    "FollowUp",
    "Notifications",
    "Templates",
]
