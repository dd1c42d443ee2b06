"""`kubectl syncrollout rollback`, `retry`, `override` and `decide`: what people ask of a rollout."""

from __future__ import annotations

import sys
from enum import StrEnum
from typing import Annotated

import typer

from syncrollout.api.fields import parse_duration
from syncrollout.api.words import Request
from syncrollout.cli import suggesting
from syncrollout.cli.answers import Failed
from syncrollout.cli.asking import Asking, DryRun, Manner, Terminal, Wish
from syncrollout.cli.kubectl import Kubectl

Name = Annotated[
    str, typer.Argument(metavar="NAME", help="The SyncRollout.", autocompletion=suggesting.names, show_default=False)
]
Namespace = Annotated[
    str,
    typer.Option(
        "-n",
        "--namespace",
        metavar="NAME",
        show_default=False,
        help="Its namespace, as for kubectl.",
        autocompletion=suggesting.namespaces,
    ),
]
Context = Annotated[
    str,
    typer.Option(
        metavar="NAME",
        show_default=False,
        help="The context of the kubeconfig, as for kubectl.",
        autocompletion=suggesting.contexts,
    ),
]
Kubeconfig = Annotated[str, typer.Option(metavar="FILE", show_default=False, help="The kubeconfig, as for kubectl.")]
Why = Annotated[
    str,
    typer.Option("-m", "--message", metavar="TEXT", help="Why: for those who read the history later."),
]
Yes = Annotated[bool, typer.Option("-y", "--yes", help="Do not ask first.")]
DryRunOption = Annotated[
    DryRun, typer.Option(help="client: say what would be done; server: let the API server check it too.")
]
Wait = Annotated[
    str, typer.Option(metavar="DURATION", help="How long to wait until the operator has taken it in; 0s: not at all.")
]


class Decision(StrEnum):
    """What a person decides of an incident."""

    CONTINUE = "continue"
    ROLLBACK = "rollback"


def rollback(
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
    """Send everything back to old, now, and carry out the rollback's procedure.

    Exit code 0: the operator has taken it in; 2: it makes no sense now, nothing was done; 3: not taken in within
    --wait; 1: it could not be asked.
    """
    effect = "This sends all traffic and work back to old at once; the next attempt begins at the first phase."
    wish = Wish(Request.ROLLBACK, said(message), effect, final=True, back=True)
    ask(name, wish, Kubectl(namespace, context, kubeconfig), manner_of(yes=yes, dry_run=dry_run, wait=wait))


def retry(
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
    """Begin the next attempt at a revision that was rolled back.

    Exit codes as of rollback.
    """
    wish = Wish(Request.RETRY, said(message), "This begins the next attempt, at the first phase.")
    ask(name, wish, Kubectl(namespace, context, kubeconfig), manner_of(yes=yes, dry_run=dry_run, wait=wait))


def override(
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
    """Pass over the open incident: the rollout goes on in spite of it.

    A breach that does not belong to it, or a graver one, opens the next. Exit codes as of rollback.
    """
    wish = Wish(Request.OVERRIDE, said(message), "This lets the rollout go on in spite of the open incident.")
    ask(name, wish, Kubectl(namespace, context, kubeconfig), manner_of(yes=yes, dry_run=dry_run, wait=wait))


def decide(
    name: Name,
    decision: Annotated[Decision, typer.Argument(metavar="continue|rollback", help="What is to be done.")],
    *,
    message: Why = "",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Decide of an incident that waits for a person (severity Medium).

    Exit codes as of rollback.
    """
    back = decision is Decision.ROLLBACK
    effect = "This sends all traffic and work back to old at once." if back else "This lets the rollout go on."
    value = f"{decision}: {message.strip()}" if message.strip() else decision.value
    wish = Wish(Request.DECIDE, value, effect, final=back, back=back)
    ask(name, wish, Kubectl(namespace, context, kubeconfig), manner_of(yes=yes, dry_run=dry_run, wait=wait))


class Mode(StrEnum):
    """How a drill is carried out."""

    REHEARSE = "rehearse"
    LIVE = "live"


def drill(
    name: Name,
    message: Why,
    *,
    mode: Annotated[Mode, typer.Option(help="live: all traffic really goes to old for a while.")] = Mode.REHEARSE,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Try whether a rollback would work: by dry runs, or by really moving all traffic to old for a while.

    Asks first where traffic is moved. What came of it is in status.drill.last, in Events, and in the condition
    RollbackRehearsed. Exit codes as of rollback: they say whether it has begun.
    """
    really = mode is Mode.LIVE
    effect = "This tries all that a rollback would do, without doing it, and has the data verified."
    if really:
        effect = "This really sends all traffic and work to old for a while (5m, or rollback.drill.liveFor), and back."
    wish = Wish(Request.DRILL, f"{mode}: {said(message)}", effect, final=really)
    ask(name, wish, Kubectl(namespace, context, kubeconfig), manner_of(yes=yes, dry_run=dry_run, wait=wait))


def said(message: str, what: str = "why, for those who read the history later") -> str:
    """A message that says something. Raises Failed where it does not."""
    if not message.strip():
        raise Failed(f"--message: say {what}")
    return message.strip()


def manner_of(*, yes: bool = False, dry_run: DryRun, wait: str) -> Manner:
    """How it is asked. Raises Failed where `wait` is no duration."""
    try:
        patience = parse_duration(wait)
    except ValueError as error:
        raise Failed(f"--wait: {error}") from error
    return Manner(yes=yes, dry_run=dry_run, wait=patience)


def terminal() -> Terminal:
    """The person who has called the command."""
    return Terminal(typer.echo, _confirm)


def ask(name: str, wish: Wish, cluster: Kubectl, manner: Manner) -> None:
    """Ask for it, and say what came of it."""
    Asking.of(cluster, wish, manner, terminal()).run(name)


def _confirm(question: str) -> bool:
    if not sys.stdin.isatty():
        raise Failed("nothing was done: nobody can be asked here, for this is no terminal; give --yes")
    return typer.confirm(question)


__all__ = [
    "Context",
    "DryRunOption",
    "Kubeconfig",
    "Name",
    "Namespace",
    "Wait",
    "Why",
    "Yes",
    "ask",
    "decide",
    "drill",
    "manner_of",
    "override",
    "retry",
    "rollback",
    "said",
    "terminal",
]
