"""What would be told to whom: the messages of a rollout as they would be sent now."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from syncrollout.api.spec import Audience, Notifications
from syncrollout.api.status import MessageStatus, SyncRolloutStatus
from syncrollout.api.words import Language, MessageEvent
from syncrollout.backtest.manifest import ManifestError, read
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Failed
from syncrollout.cli.kubectl import Cluster, NotThere
from syncrollout.decide import on_the_clock, telling
from syncrollout.messages.facts import About
from syncrollout.messages.samples import sample
from syncrollout.messages.writing import write


def shown(
    about: About,
    own: Mapping[str, str],
    audiences: list[Audience],
    event: MessageEvent | None,
    language: Language | None,
) -> Iterator[str]:
    """For each message a line that says to whom and by which channels, then its title and text."""
    now = time.time()
    for each in [event] if event is not None else MessageEvent:
        message, status = sample(about.spec, about.status, each, now)
        for to in audiences:
            if not _hears(about.spec.notifications, to, each):
                continue
            then = About(about.name, about.namespace, about.spec, status)
            written = write(then, message, to.name, language or to.language, own)
            yield _head(to, message)
            yield f"{written.title}\n\n{written.body}"


def _hears(wanted: Notifications | None, audience: Audience, event: MessageEvent) -> bool:
    if wanted is None:
        return False
    if event is MessageEvent.FOLLOW_UP:
        return any(each.audience == audience.name for each in on_the_clock.follow_ups(wanted))
    if event is MessageEvent.ESCALATED:
        return any(each.audience == audience.name for each in on_the_clock.levels(wanted))
    return audience.events is None or event in audience.events


def _head(audience: Audience, message: MessageStatus) -> str:
    names = ", ".join(each.name for each in telling.channels(audience, message))
    return f"=== {message.event.value} ({message.severity.value}) to {audience.name} by {names or 'no channel'}"


def meant(name: str, file: str, cluster: Cluster, namespace: str = "") -> tuple[About, Mapping[str, str]]:
    """The rollout, of a file or of the cluster, and templates of one's own. Raises Failed."""
    if bool(name) == bool(file):
        raise Failed("say which SyncRollout: give either NAME or -f FILE")
    if name:
        found = rollouts.read(cluster, name)
        about = About(found.name, found.namespace, found.spec, found.status)
        return about, _of_cluster(about, cluster)
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
        manifest = read(text, file)
    except ManifestError as error:
        raise Failed(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise Failed(f"{file} cannot be read: {error}") from error
    where = manifest.namespace or namespace or "default"
    about = About(manifest.name, where, manifest.spec, SyncRolloutStatus())
    documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    return about, _of(next((each for each in documents if _named(each) == (_config_map(about), "ConfigMap")), {}))


def _named(document: dict[str, Any]) -> tuple[object, object]:
    return (document.get("metadata") or {}).get("name"), document.get("kind")


def _config_map(about: About) -> str:
    templates = about.spec.notifications.templates if about.spec.notifications is not None else None
    return templates.config_map if templates is not None else ""


def _of_cluster(about: About, cluster: Cluster) -> Mapping[str, str]:
    config_map = _config_map(about)
    if not config_map:
        return {}
    try:
        return _of(cluster.get("configmaps", config_map))
    except NotThere as error:
        raise Failed(f"ConfigMap {config_map}, named by spec.notifications.templates, is not there") from error


def _of(found: dict[str, Any]) -> Mapping[str, str]:
    return {str(key): str(value) for key, value in (found.get("data") or {}).items()}


__all__ = ["meant", "shown"]
