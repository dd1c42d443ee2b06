"""`kubectl syncrollout checklist` and `attest`: what is missing before the start, and what a person confirms of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer

from syncrollout.api.status import PreflightStatus
from syncrollout.api.words import ATTEST_ANNOTATION, CheckGroup, Reason, Verdict
from syncrollout.cli import rollout as rollouts
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.asking import LOOK_EVERY, NOT_TAKEN_IN, POINTLESS, DryRun, Manner, Terminal
from syncrollout.cli.forms import Form, as_json, as_yaml
from syncrollout.cli.kubectl import RESOURCE, Cluster, Kubectl
from syncrollout.cli.moments import when
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.table import aligned
from syncrollout.cli.verbs import (
    Context,
    DryRunOption,
    Kubeconfig,
    Name,
    Namespace,
    Wait,
    Yes,
    manner_of,
    said,
    terminal,
)
from syncrollout.decide import attested, checklist, reported
from syncrollout.decide.phrases import moment

MISSING: Final = 2
"""Exit code: something is missing."""
MARKS: Final = {Verdict.PASS: "+", Verdict.FAIL: "x", Verdict.UNKNOWN: "?"}
_INDENT: Final = "  "


def checklist_of(
    name: Name,
    *,
    output: Annotated[Form, typer.Option("-o", "--output", help="json, yaml: status.preflight.")] = Form.TEXT,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Show the checklist before the start, by group, with what is missing and a template for missing variables.

    Exit code 0: every line passes; 2: something is missing; 1: it could not be read.
    """
    rollout = rollouts.read(Kubectl(namespace, context, kubeconfig), name)
    found = rollout.status.preflight
    if output is not Form.TEXT:
        value = found.model_dump(mode="json", by_alias=True, exclude_none=True) if found is not None else {}
        typer.echo(as_json(value) if output is Form.JSON else as_yaml(value))
    else:
        typer.echo("\n".join([rollout.where, "", *(_lines(found) or ["There is no checklist"]), *template(found)]))
    if checklist.missing(found) or (found is None and rollout.spec.preflight is not None):
        raise Ended(MISSING)


def attest(
    name: Name,
    check: Annotated[str, typer.Argument(metavar="CHECK", help="The line of the checklist.")],
    message: Annotated[str, typer.Option("-m", "--message", metavar="TEXT", help="What you have seen.")],
    *,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    yes: Yes = False,
    dry_run: DryRunOption = DryRun.NONE,
    wait: Wait = "30s",
) -> None:
    """Confirm a line of the checklist, by your name, for the revision that is to begin.

    Exit codes as of rollback.
    """
    cluster = Kubectl(namespace, context, kubeconfig)
    word = said(message, "what you have seen")
    Attesting(cluster, check, word, manner_of(yes=yes, dry_run=dry_run, wait=wait), terminal()).run(name)


def section(rollout: Rollout) -> list[str]:
    """The checklist as part of the picture: all of it before the start; once that is over, who has confirmed what."""
    found = rollout.status.preflight
    if found is None:
        return []
    if checklist.missing(found) and not rollout.status.in_flight:
        return _lines(found)
    confirmed = [each for each in found.attested if not each.refused and each.revision == found.revision]
    return [
        f"Confirmed before the start by {each.by or 'somebody'} {when(each.at)}: {each.check}: {each.message}"
        for each in confirmed
    ]


def _lines(found: PreflightStatus | None) -> list[str]:
    """By group, with a mark each."""
    if found is None or not found.checks:
        return []
    passed = len(found.checks) - len(checklist.missing(found))
    made = [f"Checklist of revision {found.revision}: {passed} of {len(found.checks)} pass"]
    rows = [[f"{MARKS[each.verdict]} {each.name}", each.verdict.value, each.message] for each in found.checks]
    lines = dict(zip((each.name for each in found.checks), aligned(rows, _INDENT * 2), strict=True))
    for group in CheckGroup:
        own = [each.name for each in found.checks if each.group is group]
        made += [f"{_INDENT}{group.value}", *(lines[name] for name in own)] if own else []
    return made


def template(found: PreflightStatus | None) -> list[str]:
    """What is to be added to the containers of each side, so that no variable is missing."""
    made: list[str] = []
    for side, names in (("old", found.missing_old), ("new", found.missing_new)) if found is not None else ():
        made += ["", f"# to be added to `env` of the containers of {side}"] if names else []
        made += [line for name in names for line in (f"- name: {name}", f"{_INDENT}value: {json.dumps('')}")]
    return made


@dataclass(frozen=True, slots=True)
class Attesting:
    """A person's word on its way. Its methods raise Ended with an exit code other than 0, or Failed."""

    cluster: Cluster
    check: str
    message: str
    manner: Manner
    terminal: Terminal

    def run(self, name: str) -> None:
        """Confirm it, and say what came of it."""
        rollout, say = rollouts.read(self.cluster, name), self.terminal.say
        say(rollout.where)
        asked = next((each for each in attested.checks(rollout.spec) if each.name == self.check), None)
        if asked is None or asked.attestation is None:
            there = ", ".join(each.name for each in attested.checks(rollout.spec)) or "none"
            raise Failed(f"no line {self.check} of the checklist is confirmed by a person; there is {there}")
        if rollout.status.in_flight:
            say("Nothing was done: the run has begun, and its checklist is closed")
            raise Ended(POINTLESS)
        if not checklist.run_asked(rollout.spec, rollout.status):
            say("Nothing was done: no run is to begin; another spec.revision, or a retry, asks for one")
            raise Ended(POINTLESS)
        who = self.cluster.who()
        objection = attested.objection(asked.attestation, attested.Word(who, self.message))
        if objection:
            say(f"Nothing was done: {objection}")
            raise Ended(POINTLESS)
        say(f"This confirms, as {who}, for revision {rollout.spec.revision}: {asked.attestation.text}")
        if self.manner.dry_run is DryRun.NONE and not self.manner.yes and not self.terminal.confirm("Go on?"):
            say("Nothing was done.")
            raise Ended(POINTLESS)
        self._write(rollout, who)

    def _write(self, rollout: Rollout, who: str) -> None:
        annotation, say = f"{ATTEST_ANNOTATION}{self.check}", self.terminal.say
        value = attested.written(who, self.message)
        if value == rollout.annotations.get(annotation):
            # A value counts once: for another revision it has to be another.
            value = attested.written(who, f"{self.message} ({moment(self.terminal.now())})")
        # No resourceVersion: nobody else writes this annotation, and whatever else changes meanwhile is no matter.
        patch: dict[str, Any] = {"metadata": {"annotations": {annotation: value}}}
        if self.manner.dry_run is not DryRun.NONE:
            if self.manner.dry_run is DryRun.SERVER:
                self.cluster.patch(RESOURCE, rollout.name, patch, dry_run=True)
            what = f"{rollout.namespace}/{rollout.name} with {annotation}={value}"
            say(f"Would annotate {what} ({self.manner.dry_run} dry run: nothing was done)")
            return
        self.cluster.patch(RESOURCE, rollout.name, patch)
        say(f"Confirmed: {annotation}={value}")
        if self.manner.wait > 0:
            self._wait(rollout, value)

    def _wait(self, before: Rollout, value: str) -> None:
        """Until the operator has taken it in. Says what it made of it."""
        say, mark = self.terminal.say, reported.digest(self.check, value)
        ends = self.terminal.now() + self.manner.wait
        while True:
            rollout = rollouts.read(self.cluster, before.name)
            known = rollout.status.preflight.attested if rollout.status.preflight is not None else ()
            one = next((each for each in known if each.taken == mark), None)
            if one is not None:
                break
            if self.terminal.now() >= ends:
                say(f"Not taken in within {self.manner.wait:.0f} s: is the operator running? It will be once it is")
                raise Ended(NOT_TAKEN_IN)
            self.terminal.sleep(LOOK_EVERY)
        if one.refused:
            say(f"{Reason.REQUEST_IGNORED.value}: {one.refused}")
            raise Ended(POINTLESS)
        say(rollout.where)


__all__ = ["MISSING", "Attesting", "attest", "checklist_of", "section", "template"]
