"""`kubectl syncrollout report` and `answer`: what users see, and what is said to it.

Each report is an annotation of its own, so that nobody's can replace another's, however many people report at once.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Final

import typer

from syncrollout.api.status import ReportsStatus
from syncrollout.api.words import PROBLEM_ANNOTATION, Reason, Request, Severity
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import LOOK_EVERY, NOT_TAKEN_IN, POINTLESS, DryRun, Manner, Terminal, Wish
from syncrollout.cli.kubectl import RESOURCE, Cluster, Kubectl
from syncrollout.cli.rollout import Rollout
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
    terminal,
)
from syncrollout.decide import reported
from syncrollout.decide.phrases import clip

_SHOWN: Final = 60


class Grade(StrEnum):
    """How grave a person finds it."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


def report(
    name: Name,
    severity: Annotated[Grade, typer.Option(help="How grave it is; triggers on reports go by it.")],
    message: Annotated[str, typer.Option("-m", "--message", metavar="TEXT", help="What users see.")],
    *,
    by: Annotated[
        str, typer.Option(metavar="WHO", show_default=False, help="Who reports it, if not the kubeconfig's user.")
    ] = "",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Report a problem of the new system that users see.

    It is counted once, shown with who reported it, and may hold the rollout or send it back, as its triggers say. Exit
    codes as of rollback.
    """
    report = Report(Severity[severity.name], said(message, "what users see"), by)
    cluster = Kubectl(namespace, context, kubeconfig)
    Reporting(cluster, report, manner_of(dry_run=dry_run, wait=wait), terminal()).run(name)


def answer(
    name: Name,
    message: Annotated[
        str, typer.Option("-m", "--message", metavar="TEXT", help="What is to be said to what was reported.")
    ],
    *,
    up_to: Annotated[
        int | None,
        typer.Option(metavar="NUMBER", min=1, show_default=False, help="The last report answered, if not all."),
    ] = None,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Answer what was reported: those reports count against the new system no more.

    Only what can be read now is answered, not what is reported meanwhile. Exit codes as of rollback.
    """
    cluster = Kubectl(namespace, context, kubeconfig)
    reports = rollouts.read(cluster, name).status.reports or ReportsStatus()
    for line in open_reports(reports):
        typer.echo(line)
    effect = "The reports up to that number then count against the new system no more."
    wish = Wish(Request.ANSWER, f"{up_to or reports.number}: {said(message, 'what is to be said to it')}", effect)
    ask(name, wish, cluster, manner_of(yes=yes, dry_run=dry_run, wait=wait))


def open_reports(reports: ReportsStatus) -> list[str]:
    """What there is to answer, a line each."""
    kept = [each for each in reports.latest if each.number > reports.answered and each.at >= (reports.entered or 0.0)]
    return [f"Open in this phase: {reported.counted(reports.open)}"] + [
        f"  {each.number}: {each.severity.value}{reported.signed(each.by)}: {clip(each.message, _SHOWN)}"
        for each in kept
    ]


@dataclass(frozen=True, slots=True)
class Report:
    """What a person reports; `by` is empty where the kubeconfig's user does."""

    severity: Severity
    message: str
    by: str = ""


@dataclass(frozen=True, slots=True)
class Reporting:
    """A report on its way. Its methods raise Ended with an exit code other than 0, or Failed."""

    cluster: Cluster
    report: Report
    manner: Manner
    terminal: Terminal
    new_id: Callable[[], str] = lambda: secrets.token_hex(5)

    def run(self, name: str) -> None:
        """Report it, and say what came of it."""
        rollout, say = rollouts.read(self.cluster, name), self.terminal.say
        say(rollout.where)
        if not rollout.active:
            say("Nothing was done: no run is under way, so the report would count nowhere")
            raise Ended(POINTLESS)
        value = reported.written(self.report.severity, self.report.by or self._who(), self.report.message)
        report_id = self.new_id()
        annotation = f"{PROBLEM_ANNOTATION}{report_id}"
        # No resourceVersion: nobody else writes this annotation, and whatever else changes meanwhile is no matter.
        patch = {"metadata": {"annotations": {annotation: value}}}
        if self.manner.dry_run is not DryRun.NONE:
            if self.manner.dry_run is DryRun.SERVER:
                self.cluster.patch(RESOURCE, name, patch, dry_run=True)
            asked = f"{rollout.namespace}/{name} with {annotation}={value}"
            say(f"Would annotate {asked} ({self.manner.dry_run} dry run: nothing was done)")
            return
        self.cluster.patch(RESOURCE, name, patch)
        say(f"Reported: {annotation}={value}")
        if self.manner.wait > 0:
            self._wait(rollout, report_id, value)

    def _who(self) -> str:
        try:
            return self.cluster.who()
        except Failed as error:
            raise Failed(f"{error}: give --by") from error

    def _wait(self, before: Rollout, report_id: str, value: str) -> None:
        """Until the operator has taken it in. Says what it made of it."""
        say, mark = self.terminal.say, reported.digest(report_id, value)
        ends = self.terminal.now() + self.manner.wait
        while True:
            rollout = rollouts.read(self.cluster, before.name)
            reports = rollout.status.reports or ReportsStatus()
            if mark in reported.remembered(reports.taken):
                break
            if self.terminal.now() >= ends:
                say(f"Not taken in within {self.manner.wait:.0f} s: is the operator running? It will be once it is")
                raise Ended(NOT_TAKEN_IN)
            self.terminal.sleep(LOOK_EVERY)
        annotation = f"{PROBLEM_ANNOTATION}{report_id}"
        for entry in rollout.status.history:
            if entry.reason is Reason.REQUEST_IGNORED and entry.message.startswith(annotation):
                say(f"{entry.reason.value}: {entry.message}")
                raise Ended(POINTLESS)
        say(f"Taken in. Open in this phase: {reported.counted(reports.open)}")
        say(rollout.where)


__all__ = ["Report", "Reporting", "answer", "open_reports", "report"]
