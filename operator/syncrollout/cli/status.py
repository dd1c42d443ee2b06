"""`kubectl syncrollout status`: one rollout for a person, once or as it changes."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Protocol

import typer

from syncrollout.api.words import State
from syncrollout.cli import picture
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Ended
from syncrollout.cli.forms import Form, as_json, as_yaml
from syncrollout.cli.kubectl import RESOURCE, Cluster, Kubectl
from syncrollout.cli.moments import Here
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.verbs import Context, Kubeconfig, Name, Namespace

ROLLED_BACK: Final = 2
"""Exit code of -w: the run was rolled back, as of a backtest."""
_CLEAR: Final = "\x1b[H\x1b[2J"
"""To a terminal: go to the first line, and forget what stands there."""


def status(
    name: Name,
    *,
    watch: Annotated[bool, typer.Option("-w", "--watch", help="Go on showing it until the run has ended.")] = False,
    output: Annotated[Form, typer.Option("-o", "--output", help="json, yaml: the object.")] = Form.TEXT,
    readings: Annotated[
        bool,
        typer.Option("--readings", help="Also what was read in the last hour, where Prometheus answers from here."),
    ] = False,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Show where a rollout is: phases with dates, criteria, incident, rollback, and what a person may do.

    Exit code 0: it is shown, and with -w the run has completed; 2: with -w, it was rolled back; 1: it could not be
    read, or is not there any more.
    """
    cluster = Kubectl(namespace, context, kubeconfig)
    lately = Lately(cluster).lines if readings else None
    screen = Screen(output, Here(context, kubeconfig), terminal=watch and sys.stdout.isatty(), lately=lately)
    first = rollouts.find(cluster, name)
    if watch:
        follow(cluster, name, screen)
        return
    screen.show(first)


class Answers(Protocol):
    """A cluster whose API server passes questions on."""

    def raw(self, path: str) -> str:
        """What stands at a path. Raises Failed."""
        ...


@dataclass(slots=True)
class Lately:
    """What was lately read, asked of Prometheus anew no sooner than after `every` seconds however often it is shown."""

    cluster: Answers
    every: float = 15.0
    now: Callable[[], float] = time.time
    _asked: float = -math.inf
    _lines: list[str] = field(default_factory=list)

    def lines(self, rollout: Rollout) -> list[str]:
        """The section, after a blank line."""
        from syncrollout.cli.readings import section  # noqa: PLC0415 - with what asks Prometheus: only where it is asked

        if self.now() - self._asked >= self.every:
            self._asked = self.now()
            self._lines = ["", *section(rollout, self.cluster.raw, self._asked)]
        return self._lines


@dataclass(slots=True)
class Screen:
    """Where the rollout is shown, again and again: a terminal is drawn anew, else what has changed is added."""

    form: Form
    here: Here
    terminal: bool = False
    lately: Callable[[Rollout], list[str]] | None = None
    """What is shown below the rollout, where it is asked for."""
    shown: set[str] = field(default_factory=set)
    """The lines of the last time."""

    def show(self, obj: dict[str, Any]) -> Rollout:
        """Raises Failed where it cannot be read."""
        rollout = rollouts.parse(obj)
        if self.form is Form.JSON:
            typer.echo(as_json(obj))
        elif self.form is Form.YAML:
            typer.echo(("---\n" if self.shown else "") + as_yaml(obj))
            self.shown = {"---"}
        else:
            self._draw([*picture.lines(rollout, self.here), *(self.lately(rollout) if self.lately is not None else ())])
        return rollout

    def _draw(self, lines: list[str]) -> None:
        if self.terminal:
            typer.echo(_CLEAR + "\n".join(lines), color=True)
            return
        news = [line for line in lines if line not in self.shown]
        if news:
            typer.echo("\n".join(news if self.shown else lines))
        self.shown = set(lines)


def follow(cluster: Cluster, name: str, screen: Screen) -> None:
    """Show each change until the run has ended. Raises Ended where it was rolled back, Failed where it is deleted."""
    with closing(cluster.watch(RESOURCE, name)) as changes:
        for obj in changes:
            rollout = screen.show(obj)
            if not ended(rollout):
                continue
            if rollout.status.state is State.ROLLED_BACK:
                raise Ended(ROLLED_BACK)
            return


def ended(rollout: Rollout) -> bool:
    """Whether its run is over, and the operator has seen all that is asked of it."""
    seen = rollout.status.observed_generation >= rollout.generation
    over = rollout.status.state in (State.COMPLETED, State.ROLLED_BACK)
    return over and seen and rollout.status.retry is None


__all__ = ["ROLLED_BACK", "Lately", "Screen", "ended", "follow", "status"]
