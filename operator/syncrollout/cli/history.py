"""`kubectl syncrollout history`: what has happened to a rollout, run by run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from syncrollout.api.fields import format_duration
from syncrollout.api.status import HistoryEntry
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Failed
from syncrollout.cli.forms import Form, as_json, as_yaml
from syncrollout.cli.kubectl import Kubectl
from syncrollout.cli.moments import when
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.table import aligned
from syncrollout.cli.verbs import Context, Kubeconfig, Name, Namespace


def history(
    name: Name,
    *,
    run: Annotated[
        int | None, typer.Option(metavar="N", min=1, show_default=False, help="That run alone, unless all.")
    ] = None,
    output: Annotated[Form, typer.Option("-o", "--output", help="json, yaml: the entries of the status.")] = Form.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Print what has happened, run by run: when, why, and who, where the operator was told.

    Exit code 0: it is printed, or nothing has happened yet; 1: it could not be read, or there was no such run.
    """
    rollout = rollouts.read(Kubectl(namespace, context, kubeconfig), name)
    entries = of(rollout, run)
    if output is Form.TEXT:
        typer.echo("\n".join(lines(rollout, entries)))
        return
    plain = [each.model_dump(mode="json", by_alias=True) for each in entries]
    typer.echo(as_json(plain) if output is Form.JSON else as_yaml(plain))


def of(rollout: Rollout, run: int | None = None) -> list[HistoryEntry]:
    """The transitions, oldest first. Raises Failed where there was no such run."""
    if run is not None and run > rollout.status.run:
        raise Failed(f"{rollout.name} has had {rollout.status.run} runs, and none of number {run}")
    return [each for each in rollout.status.history if run in (None, each.run)]


def lines(rollout: Rollout, entries: Sequence[HistoryEntry]) -> list[str]:
    """A section for each run; `!` marks what is a warning."""
    kept = rollout.status.history
    if not kept:
        return [f"Nothing has happened yet. {rollout.where}"]
    if not entries:
        return [f"Nothing of that run is kept any more: the status keeps the last {len(kept)} transitions"]
    made: list[str] = []
    lost = kept[0].sequence - 1
    if entries[0] is kept[0] and lost:
        made.append(f"({lost} earlier transitions are not kept in the status any more)")
    for run in dict.fromkeys(each.run for each in entries):
        those = [each for each in entries if each.run == run]
        lasted = format_duration(those[-1].time - those[0].time)
        title = (
            f"Run {run}: {when(those[0].time)} to {when(those[-1].time)} ({lasted})" if run else "Before the first run"
        )
        rows = [
            [when(each.time), "!" if each.type == "Warning" else " ", each.reason.value, _told(each)] for each in those
        ]
        made += ["", title, *aligned(rows, "  ")] if made else [title, *aligned(rows, "  ")]
    return made


def _told(entry: HistoryEntry) -> str:
    """With who has asked for it, where the words do not say so."""
    named = entry.by is None or entry.by in entry.message
    return entry.message if named else f"{entry.message} (asked for by {entry.by})"


__all__ = ["history", "lines", "of"]
