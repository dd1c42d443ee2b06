"""`kubectl syncrollout init`: a manifest from what the cluster has, and from what its user says."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Final, Protocol

import typer

from syncrollout.cli import finding
from syncrollout.cli.answers import Failed
from syncrollout.cli.draft import Draft, Plan, manifest
from syncrollout.cli.finding import Obj
from syncrollout.cli.kubectl import Kubectl
from syncrollout.cli.verbs import Context, Kubeconfig, Namespace

NONE: Final = "none"
"""What is answered where there is no Prometheus, and where it moves by replicas."""


class WorkloadKind(StrEnum):
    """Kinds whose pods have a template that Services can be found by."""

    DEPLOYMENT = "Deployment"
    STATEFUL_SET = "StatefulSet"


class Looked(Protocol):
    """What init asks of a cluster: nothing that changes anything."""

    def every(self, resource: str, *, selector: str = "", everywhere: bool = False) -> list[Obj]:
        """See Cluster."""

    def served(self) -> list[str]:
        """Plural and group of every kind of objects in namespaces."""

    def accepts(self, file: str) -> str:
        """What the API server says to a file without applying it. Raises Failed where it refuses it."""


@dataclass(frozen=True, slots=True)
class Choosing:
    """The person: what is said to them, and what they choose. `choose` raises Failed where nobody can be asked."""

    say: Callable[[str], None]
    choose: Callable[[str, Sequence[str], str], str]
    """Question, what there is to choose from (anything where there is nothing), what is taken unless said."""


def init(
    name: Annotated[str, typer.Argument(metavar="[NAME]", help="Of the SyncRollout.", show_default=False)] = "",
    *,
    old: Annotated[str, typer.Option(metavar="NAME", show_default=False, help="What is replaced.")] = "",
    new: Annotated[str, typer.Option(metavar="NAME", show_default=False, help="What takes over.")] = "",
    kind: Annotated[WorkloadKind, typer.Option(help="Of both.")] = WorkloadKind.DEPLOYMENT,
    plan: Annotated[
        Plan | None,
        typer.Option(show_default=False, help="weeks: five phases in 20 days; days: a step a day; hour: three steps."),
    ] = None,
    prometheus: Annotated[
        str, typer.Option(metavar="URL", show_default=False, help="Its address in the cluster; none: without metrics.")
    ] = "",
    output: Annotated[
        str, typer.Option("-o", "--output", metavar="FILE", show_default=False, help="Write it there.")
    ] = "",
    force: Annotated[bool, typer.Option("--force", help="Write over a file that is there.")] = False,
    yes: Annotated[bool, typer.Option("-y", "--yes", help="Ask nothing: take what is likeliest.")] = False,
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
) -> None:
    """Write a SyncRollout from two workloads of the cluster: their Services, the routes that name both, Prometheus.

    Nothing is changed in the cluster. What is not said is asked; with --yes, or where there is no terminal, the
    likeliest is taken. The result is checked as by validate, and by the API server without being applied. Exit code 0:
    it is written and all is well with it; 1: it could not be written, or is refused.
    """
    if output and not force and Path(output).exists():
        raise Failed(f"{output} is there already and is not written over: give --force, or another name")
    cluster = Kubectl(namespace, context, kubeconfig)
    asked = Choosing(_say, _likeliest if yes or not sys.stdin.isatty() else _ask)
    draft = drafted(cluster, asked, Wishes(name, namespace, kind.value, old, new, plan, prometheus))
    text = manifest(draft)
    _check(text, output or "the manifest")
    if output:
        try:
            Path(output).write_text(text, encoding="utf-8")
        except OSError as error:
            raise Failed(f"{output} cannot be written: {error.strerror}") from error
        _say(f"{output} is written. {_accepted(cluster, output)}")
    else:
        typer.echo(text.rstrip("\n"))


@dataclass(frozen=True, slots=True)
class Wishes:
    """What was said on the command line; empty: not said."""

    name: str = ""
    namespace: str = ""
    kind: str = WorkloadKind.DEPLOYMENT.value
    old: str = ""
    new: str = ""
    plan: Plan | None = None
    prometheus: str = ""


def drafted(cluster: Looked, person: Choosing, wishes: Wishes) -> Draft:
    """Look, ask, and put it together. Raises Failed."""
    workloads = {each["metadata"]["name"]: each for each in cluster.every(f"{wishes.kind.lower()}s.apps")}
    if len(workloads) < 2:
        raise Failed(f"there are {len(workloads)} {wishes.kind}s here, and a migration takes two: look at --namespace")
    names = sorted(workloads)
    old = wishes.old or person.choose("Which one is replaced (--old)?", names, "")
    rest = [each for each in names if each != old]
    new = wishes.new or person.choose("Which one takes over (--new)?", rest, _successor(old, rest))
    for side in (old, new):
        if side not in workloads:
            raise Failed(f"there is no {wishes.kind} {side} here; there is {', '.join(names[:5])}")
    if old == new:
        raise Failed("--old and --new are the same: name the one that takes over")
    services = cluster.every("services")
    sides = {"old": (workloads[old], workloads[new]), "new": (workloads[new], workloads[old])}
    behind: dict[str, str] = {}
    for side, (mine, other) in sides.items():
        found = finding.services_of(mine, services, rival=other)
        if len(found) > 1:
            preferred = next((each for each in found if each == mine["metadata"]["name"]), found[0])
            found = [person.choose(f"Which Service do routes name for {side}?", found, preferred)]
        behind[side] = found[0] if found else ""
        person.say(f"{side}: {wishes.kind} {mine['metadata']['name']}, {_behind(behind[side])}")
    routes = _routes(cluster, person, behind) if all(behind.values()) else []
    total = max(2, *(int(each["spec"].get("replicas", 1)) for each in (workloads[old], workloads[new])))
    if not routes:
        both = finding.shared(workloads[old], workloads[new], services)
        behind = {"old": "", "new": ""}
        person.say(f"no route names both: it moves by replica counts, {total} in all{_shared(both)}")
    addresses = [wishes.prometheus] if wishes.prometheus else _prometheus(cluster, person)
    plan = wishes.plan or Plan(person.choose("How fast (--plan)?", [each.value for each in Plan], Plan.WEEKS.value))
    suggested = finding.name_for(old, new)
    return Draft(
        name=wishes.name or person.choose("What is the migration called?", (), suggested),
        namespace=wishes.namespace,
        kind=wishes.kind,
        old=old,
        new=new,
        old_service=behind["old"],
        new_service=behind["new"],
        routes=routes,
        replicas=total,
        prometheus="" if addresses[:1] in ([], [NONE]) else addresses[0],
        others=addresses[1:],
        plan=plan,
    )


def _successor(old: str, rest: Sequence[str]) -> str:
    """The other one, where there is no doubt."""
    return rest[0] if len(rest) == 1 else ""


def _behind(service: str) -> str:
    return f"Service {service}" if service else "no Service of its own"


def _shared(both: Sequence[str]) -> str:
    return f" (Service {both[0]} chooses the pods of both)" if both else ""


def _routes(cluster: Looked, person: Choosing, behind: dict[str, str]) -> list[Any]:
    objects: list[Obj] = []
    for resource in finding.router_resources(cluster.served()):
        try:
            objects += cluster.every(resource)
        except Failed as error:
            person.say(f"{resource} could not be looked at: {error}")
    found = finding.routes_of(objects, behind["old"], behind["new"])
    for route in found:
        person.say(f"route: {route}")
    share = finding.share_of(objects, found, behind["old"], behind["new"])
    if share:
        person.say(f"CHECK: new has {share:.0f} % already; a first phase with less will not begin before it has less")
    return found


def _prometheus(cluster: Looked, person: Choosing) -> list[str]:
    try:
        found = finding.prometheus_of(cluster.every("services", everywhere=True))
    except Failed:
        found = finding.prometheus_of(cluster.every("services"))
    if not found:
        return [person.choose("At which address is Prometheus (none: without metrics)?", (), NONE)]
    if len(found) == 1:
        person.say(f"prometheus: {found[0]}")
        return found
    chosen = person.choose("Which Prometheus?", [*found, NONE], found[0])
    return [chosen, *(each for each in found if each != chosen)]


def _check(text: str, file: str) -> None:
    from syncrollout.cli.mistakes import check  # noqa: PLC0415 - CEL takes a while to load

    checked = check(text, file)
    if checked.mistakes:
        said = "\n".join(f"{mistake.where}: {mistake.text}" for mistake in checked.mistakes)
        raise Failed(f"what was said makes no SyncRollout:\n{said}")


def _accepted(cluster: Looked, file: str) -> str:
    """What the API server says to it. Raises Failed where it refuses it; that it cannot be asked is no refusal."""
    try:
        cluster.accepts(file)
    except Failed as error:
        text = str(error)
        if "is invalid" in text or "denied the request" in text:
            raise Failed(f"{file} is written, and the API server would refuse it: {text}") from error
        return f"The API server could not be asked about it: {text}"
    return f"The API server would accept it. Look at the lines that say CHECK, then: kubectl apply -f {file}"


def _say(text: str) -> None:
    typer.echo(text, err=True)


def _likeliest(question: str, choices: Sequence[str], likely: str) -> str:
    if likely:
        return likely
    raise Failed(f"{question} Say so: there is {', '.join(choices[:5])}")


def _ask(question: str, choices: Sequence[str], likely: str) -> str:
    shown = f"{question} [{', '.join(choices)}]" if choices else question
    while True:
        answer: str = typer.prompt(shown, default=likely or None, err=True, show_default=bool(likely))
        if not choices or answer in choices:
            return answer
        _say(f"{answer} is none of them")


__all__ = ["Choosing", "Wishes", "drafted", "init"]
