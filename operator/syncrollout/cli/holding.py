"""`kubectl syncrollout hold` and `resume`: a rollout stands where it is until a person lets it go on.

A hold is there for as long as its annotation is: it is no request that counts once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from syncrollout.api.words import HOLD, REQUESTED_BY, Request, State
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import LOOK_EVERY, NOT_TAKEN_IN, POINTLESS, TRIES, DryRun, Manner, Terminal, unheard, who
from syncrollout.cli.kubectl import RESOURCE, Changed, Cluster, Kubectl
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.verbs import (
    Context,
    DryRunOption,
    Kubeconfig,
    Name,
    Namespace,
    Wait,
    Why,
    Yes,
    manner_of,
    said,
    terminal,
)
from syncrollout.decide import by_hand
from syncrollout.decide.requests import remembered


def hold(
    name: Name,
    message: Why,
    *,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Hold the rollout where it is, until somebody resumes it. What sends it back does so all the same.

    Exit codes as of rollback.
    """
    cluster, why = Kubectl(namespace, context, kubeconfig), said(message)
    Holding(cluster, why, manner_of(yes=yes, dry_run=dry_run, wait=wait), terminal()).run(name)


def resume(
    name: Name,
    message: Why,
    *,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Let a rollout go on that a person holds. spec.suspend is another thing, and stays.

    Exit codes as of rollback.
    """
    cluster, why = Kubectl(namespace, context, kubeconfig), said(message)
    Holding(cluster, why, manner_of(yes=yes, dry_run=dry_run, wait=wait), terminal(), held=False).run(name)


@dataclass(frozen=True, slots=True)
class Holding:
    """A hold, or its end, on its way. Its methods raise Ended with an exit code other than 0, or Failed."""

    cluster: Cluster
    why: str
    manner: Manner
    terminal: Terminal
    held: bool = True
    """Whether it is to be held, or to go on."""

    def run(self, name: str) -> None:
        """Ask for it, and say what came of it."""
        rollout, say = rollouts.read(self.cluster, name), self.terminal.say
        say(rollout.where)
        self._sensible(rollout)
        say(self._effect(rollout))
        by = who(self.cluster, self.terminal)
        if self.manner.dry_run is not DryRun.NONE:
            if self.manner.dry_run is DryRun.SERVER:
                self.cluster.patch(RESOURCE, name, self._patch(rollout, by), dry_run=True)
            asked = f"with {HOLD}={self.why}" if self.held else f"with {HOLD}-"
            say(f"Would annotate {rollout.namespace}/{name} {asked} ({self.manner.dry_run} dry run: nothing was done)")
            return
        self._write(rollout, by)
        if self.manner.wait > 0:
            self._wait(rollout)
        else:
            say("Asked for.")

    def _sensible(self, rollout: Rollout) -> None:
        why_not = self._why_not(rollout)
        if why_not:
            self.terminal.say(f"Nothing was done: {why_not}")
            raise Ended(POINTLESS)

    def _why_not(self, rollout: Rollout) -> str:
        """Why it makes no sense now, in words; empty where it does."""
        status, present = rollout.status, rollout.annotations.get(HOLD)
        if not self.held:
            suspended = "; spec.suspend has it stand still: remove that" if rollout.spec.suspend else ""
            return f"nobody holds it{suspended}" if present is None else ""
        if present is not None:
            held = by_hand.says(status.hold) if status.hold is not None else f"held: {present}"
            return f"it is {held} already"
        if status.state is State.ROLLING_BACK:
            return "everything is going back, and a hold does not stop that"
        if status.state in (State.COMPLETED, State.ROLLED_BACK) and not status.in_flight and status.retry is None:
            return "no run is under way; to keep the next one from beginning, set spec.suspend"
        return ""

    def _effect(self, rollout: Rollout) -> str:
        if self.held:
            return "This holds it where it is. Whatever sends it back does so all the same."
        hold = rollout.status.hold
        whose = f" It is {by_hand.says(hold)}." if hold is not None else ""
        return f"This lets it go on.{whose}"

    def _write(self, first: Rollout, by: str) -> None:
        rollout = first
        for _ in range(TRIES):
            self._sensible(rollout)
            if not self.held:
                unheard(rollout, by)
            try:
                self.cluster.patch(RESOURCE, rollout.name, self._patch(rollout, by))
            except Changed:
                rollout = rollouts.read(self.cluster, first.name)
                continue
            return
        raise Failed(f"{first.name} is being changed all the time, and was not annotated: try again")

    def _patch(self, rollout: Rollout, by: str) -> dict[str, Any]:
        words = (
            {HOLD: self.why, Request.RESUME.value: None} if self.held else {HOLD: None, Request.RESUME.value: self.why}
        )
        annotations = {**words, REQUESTED_BY: by or None}
        return {"metadata": {"resourceVersion": rollout.version, "annotations": annotations}}

    def _wait(self, before: Rollout) -> None:
        """Until the operator has seen it."""
        say, ends = self.terminal.say, self.terminal.now() + self.manner.wait
        while not self._seen(rollout := rollouts.read(self.cluster, before.name)):
            if self.terminal.now() >= ends:
                say(f"Asked for, and not taken in within {self.manner.wait:.0f} s: is the operator running?")
                raise Ended(NOT_TAKEN_IN)
            self.terminal.sleep(LOOK_EVERY)
        say(rollout.where)

    def _seen(self, rollout: Rollout) -> bool:
        hold = rollout.status.hold
        return hold is not None and hold.reason == remembered(self.why) if self.held else hold is None


__all__ = ["Holding", "hold", "resume"]
