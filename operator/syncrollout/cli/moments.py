"""Moments and commands in the words of the picture."""

from __future__ import annotations

import shlex
from dataclasses import dataclass

from syncrollout.cli.rollout import Rollout
from syncrollout.decide.phrases import moment


@dataclass(frozen=True, slots=True)
class Here:
    """How this rollout is reached: what the person gave, to be given again."""

    context: str = ""
    kubeconfig: str = ""

    def command(self, rollout: Rollout, verb: str, *words: str) -> str:
        """A command of the plugin, filled in, as a shell takes it."""
        options = [("-n", rollout.namespace), ("--context", self.context), ("--kubeconfig", self.kubeconfig)]
        given = [part for option, value in options if value for part in (option, value)]
        return shlex.join(["kubectl", "syncrollout", verb, rollout.name, *words, *given])


def when(seconds: float | None) -> str:
    """To the second; a dash where there is none."""
    return "-" if seconds is None else moment(seconds)


__all__ = ["Here", "when"]
