"""`kubectl syncrollout notify --preview` and `ack`: what would be told to whom, and that somebody sees to it."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from syncrollout.api.words import Language, MessageEvent, Request
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import DryRun, Wish
from syncrollout.cli.kubectl import Kubectl
from syncrollout.cli.verbs import (
    Context,
    DryRunOption,
    Kubeconfig,
    Name,
    Namespace,
    Wait,
    Yes,
    ask,
    manner_of,
    said,
)

BROKEN = 2
"""Exit code: a template of one's own cannot be filled in."""


def ack(
    name: Name,
    message: Annotated[
        str,
        typer.Option("-m", "--message", metavar="TEXT", help="Who sees to it, and how: for those who read it later."),
    ],
    *,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Acknowledge that there is trouble, so that nobody else is called. It decides nothing.

    Exit codes as of rollback.
    """
    wish = Wish(Request.ACK, said(message), "This ends the escalation: nobody else is called for this trouble.")
    ask(name, wish, Kubectl(namespace, context, kubeconfig), manner_of(yes=yes, dry_run=dry_run, wait=wait))


def notify(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="The SyncRollout, unless -f names a file.")] = "",
    *,
    preview: Annotated[bool, typer.Option("--preview", help="Print what would be sent; nothing is.")] = False,
    file: Annotated[
        str,
        typer.Option(
            "-f",
            "--filename",
            metavar="FILE",
            show_default=False,
            help="The SyncRollout, and the ConfigMap of templates where there is one, as YAML; - is standard input.",
        ),
    ] = "",
    event: Annotated[MessageEvent | None, typer.Option(show_default=False, help="This one alone, unless all.")] = None,
    language: Annotated[
        Language | None, typer.Option(show_default=False, help="In this language, unless that of the audience.")
    ] = None,
    audience: Annotated[
        str, typer.Option(metavar="NAME", show_default=False, help="For this audience alone, unless for all.")
    ] = "",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print the messages of a rollout as they would be sent now: to whom, by which channels, title and text.

    What has been told is printed as it was; what has not happened yet is made up. Messages are sent by the operator
    alone. Exit code 0: they are printed; 2: a template cannot be filled in; 1: there is nothing to print, and why.
    """
    if not preview:
        raise Failed("messages are sent by the operator alone: give --preview to see them")
    from syncrollout.cli.previews import meant, shown  # noqa: PLC0415 - templates need a library that no other verb does
    from syncrollout.messages.samples import mistakes  # noqa: PLC0415

    about, own = meant(name, file, Kubectl(namespace, context, kubeconfig), namespace)
    wanted = about.spec.notifications
    if wanted is None:
        raise Failed(f"{about.name} tells nobody: add spec.notifications, as docs/messages.md says")
    audiences = [each for each in wanted.audiences if not audience or each.name == audience]
    if not audiences:
        raise Failed(f"there is no audience {audience}; there is {', '.join(each.name for each in wanted.audiences)}")
    found = list(shown(about, own, audiences, event, language))
    if not found:
        raise Failed("none of these audiences is told of that")
    typer.echo("\n".join(found).rstrip("\n"))
    wrong = mistakes(about.spec, about.name, own)
    if wrong:
        sys.stderr.write("".join(f"{each}\n" for each in wrong))
        raise Ended(BROKEN)


__all__ = ["ack", "notify"]
