"""How a person's request reaches the operator: an annotation is set, and what came of it is waited for.

With each goes the name of who asks, as the API server knows it: `requested-by`. Where it does not say, it is asked for
without a name, for a rollback must not wait for that.

Nothing is lost: a request that would replace one that the operator has not taken in yet is refused, and what somebody
else changes in between is looked at before anything is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from syncrollout.api.fields import format_time
from syncrollout.api.words import REQUESTED_BY, Reason, Request
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.kubectl import RESOURCE, Changed, Cluster
from syncrollout.cli.rollout import Rollout
from syncrollout.decide.requests import remembered

POINTLESS: Final = 2
"""Exit code: it makes no sense now, and nothing was changed; or the operator found so."""
NOT_TAKEN_IN: Final = 3
"""Exit code: it was asked for, and the operator has not taken it in within --wait."""
TRIES: Final = 5
LOOK_EVERY: Final = 0.5
"""Seconds between looks at what has come of it."""


class DryRun(StrEnum):
    """How much is really done."""

    NONE = "none"
    CLIENT = "client"
    SERVER = "server"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a person asks for."""

    request: Request
    value: str
    """Of the annotation."""
    effect: str
    """What it will do, in a sentence."""
    final: bool = False
    """It cannot be undone, so it is asked about first."""
    back: bool = False
    """It leads back, so it waits for nobody."""


@dataclass(frozen=True, slots=True)
class Manner:
    """How it is asked."""

    yes: bool = False
    """Do not ask first."""
    dry_run: DryRun = DryRun.NONE
    wait: float = 30.0
    """Seconds to wait until the operator has taken it in; 0: not at all."""


@dataclass(frozen=True, slots=True)
class Terminal:
    """The person: what is said to them, and what they answer. `confirm` raises Failed where nobody can be asked."""

    say: Callable[[str], None]
    confirm: Callable[[str], bool]
    now: Callable[[], float] = time.time
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, slots=True)
class Asking:
    """A person's wish on its way. Its methods raise Ended with an exit code other than 0, or Failed."""

    cluster: Cluster
    wish: Wish
    manner: Manner
    terminal: Terminal

    by: str = ""
    """Who asks; empty where the API server does not say."""

    @classmethod
    def of(cls, cluster: Cluster, wish: Wish, manner: Manner, terminal: Terminal) -> Asking:
        """By whom the API server says it is."""
        return cls(cluster, wish, manner, terminal, who(cluster, terminal))

    def run(self, name: str) -> None:
        """Ask for it, and say what came of it."""
        rollout = rollouts.read(self.cluster, name)
        say = self.terminal.say
        say(rollout.where)
        why_not = rollout.pointless(self.wish.request, self.wish.value, self.by)
        if why_not:
            say(f"Nothing was done: {why_not}")
            raise Ended(POINTLESS)
        say(self.wish.effect)
        if self.manner.dry_run is not DryRun.NONE:
            self._try(rollout)
            return
        if self.wish.final and not self.manner.yes and not self.terminal.confirm("Go on?"):
            say("Nothing was done.")
            raise Ended(POINTLESS)
        value = self._write(rollout)
        if self.manner.wait > 0:
            self._wait(rollout, value)
        else:
            say(f"Asked: {self.wish.request.value}={value}")

    def _try(self, rollout: Rollout) -> None:
        value = self._unlike_the_last(rollout)
        if self.manner.dry_run is DryRun.SERVER:
            self.cluster.patch(RESOURCE, rollout.name, self._patch(rollout, value), dry_run=True)
        named = f" and {REQUESTED_BY}={self.by}" if self.by else ""
        asked = f"{rollout.namespace}/{rollout.name} with {self.wish.request.value}={value}{named}"
        self.terminal.say(f"Would annotate {asked} ({self.manner.dry_run} dry run: nothing was done)")

    def _write(self, first: Rollout) -> str:
        """Set the annotation; its value."""
        rollout = first
        for _ in range(TRIES):
            self._nobody_waits(rollout)
            value = self._unlike_the_last(rollout)
            try:
                self.cluster.patch(RESOURCE, rollout.name, self._patch(rollout, value))
            except Changed:
                # The operator writes to the same object all the time. What people have asked for meanwhile counts.
                rollout = rollouts.read(self.cluster, first.name)
                continue
            return value
        raise Failed(f"{first.name} is being changed all the time, and was not annotated: try again")

    def _nobody_waits(self, rollout: Rollout) -> None:
        """Somebody else's request of the same kind that is not taken in yet is not to be replaced unheard."""
        request = self.wish.request
        present = rollout.annotations.get(request.value)
        if present is not None and remembered(present) != rollout.taken_in(request):
            said = f"{request.value}={present}"
            msg = f"somebody has asked for the same, and the operator has not taken it in yet: {said}; is it running?"
            raise Failed(f"{msg} Look at its log, and try again once it has")
        if not self.wish.back:
            unheard(rollout, self.by)

    def _unlike_the_last(self, rollout: Rollout) -> str:
        """The value; with the time where the same was said before, for a value counts once."""
        value = self.wish.value
        if remembered(value) != remembered(rollout.annotations.get(self.wish.request.value, "")):
            return value
        return f"{value} ({format_time(self.terminal.now())})"

    def _patch(self, rollout: Rollout, value: str) -> dict[str, Any]:
        annotations = {self.wish.request.value: value, REQUESTED_BY: self.by or None}
        return {"metadata": {"resourceVersion": rollout.version, "annotations": annotations}}

    def _wait(self, before: Rollout, value: str) -> None:
        """Until the operator has taken it in. Says what it made of it."""
        request, say = self.wish.request, self.terminal.say
        ends = self.terminal.now() + self.manner.wait
        while (rollout := rollouts.read(self.cluster, before.name)).taken_in(request) != remembered(value):
            if self.terminal.now() >= ends:
                removes = f"kubectl -n {before.namespace} annotate syncrollout {before.name} {request.value}-"
                say(f"Asked for, and not taken in within {self.manner.wait:.0f} s: is the operator running?")
                say(f"It will be taken in once it is. To take it back: {removes}")
                raise Ended(NOT_TAKEN_IN)
            self.terminal.sleep(LOOK_EVERY)
        news = [entry for entry in rollout.status.history if entry.sequence > before.told]
        for entry in news:
            say(f"{entry.reason.value}: {entry.message}")
        if any(entry.reason is Reason.REQUEST_IGNORED and entry.message.startswith(request.value) for entry in news):
            raise Ended(POINTLESS)
        say(rollout.where)


def unheard(rollout: Rollout, by: str) -> None:
    """What another person has asked for is not to be put under this one's name. Raises Failed where that waits to be
    taken in. What leads back does not ask: the other is told under the wrong name then, at worst."""
    name = rollout.annotations.get(REQUESTED_BY, "")
    for other in Request if name not in ("", by) else ():
        value = rollout.annotations.get(other.value)
        if value is not None and remembered(value) != rollout.taken_in(other):
            msg = f"{name} has asked for something, and the operator has not taken it in yet: {other.value}={value}"
            raise Failed(f"{msg}; is it running? Look at its log, and try again once it has")


def who(cluster: Cluster, terminal: Terminal) -> str:
    """The name that goes with what is asked for. Said where there is none."""
    try:
        return cluster.who()
    except Failed as error:
        terminal.say(f"It is asked for without your name: {error}")
        return ""


__all__ = ["NOT_TAKEN_IN", "POINTLESS", "Asking", "DryRun", "Manner", "Terminal", "Wish", "unheard", "who"]
