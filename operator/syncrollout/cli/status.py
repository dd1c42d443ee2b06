"""`kubectl syncrollout status`: one rollout for a person, once or as it changes."""

from __future__ import annotations

import sys
import time
from contextlib import closing
from dataclasses import dataclass, field
from typing import Annotated, Any, Final

import typer

from syncrollout.api.words import State
from syncrollout.cli import picture
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Ended, Failed
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
    if readings and watch:
        raise Failed("give either --readings or --watch: what is watched is the rollout alone")
    cluster = Kubectl(namespace, context, kubeconfig)
    screen = Screen(output, Here(context, kubeconfig), terminal=watch and sys.stdout.isatty())
    first = rollouts.find(cluster, name)
    if watch:
        follow(cluster, name, screen)
        return
    rollout = screen.show(first)
    if readings and output is Form.TEXT:
        typer.echo("\n".join(["", *_readings(rollout, cluster)]))


def _readings(rollout: Rollout, cluster: Kubectl) -> list[str]:
    from syncrollout.cli.readings import section  # noqa: PLC0415 - with what asks Prometheus: only where it is asked

    return section(rollout, cluster.raw, time.time())


@dataclass(slots=True)
class Screen:
    """Where the rollout is shown, again and again: a terminal is drawn anew, else what has changed is added."""

    form: Form
    here: Here
    terminal: bool = False
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
            self._draw(picture.lines(rollout, self.here))
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


__all__ = ["ROLLED_BACK", "Screen", "ended", "follow", "status"]
