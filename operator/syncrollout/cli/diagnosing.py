"""`kubectl syncrollout diagnose`: what is wrong with a rollout, with its two systems, or with the operator."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, Final

import typer

from syncrollout.api.fields import format_duration
from syncrollout.cli import rollout as rollouts
from syncrollout.cli import runbook
from syncrollout.cli.answers import Ended, Failed
from syncrollout.cli.backtest import Ca, Login, Token, content, duration, login
from syncrollout.cli.forms import Form, as_json, as_yaml
from syncrollout.cli.gathering import Gathering, Manner
from syncrollout.cli.kubectl import RESOURCE, Kubectl, NotThere
from syncrollout.cli.rollout import Rollout
from syncrollout.cli.verbs import Context, Kubeconfig, Name, Namespace
from syncrollout.diagnosis.find import Diagnosis, Finding, diagnose
from syncrollout.diagnosis.words import Trouble
from syncrollout.ports import Endpoint

FOUND: Final = 2
"""Exit code: something was found."""
NOT_ALL: Final = 3
"""Exit code: nothing was found, but not everything could be looked at."""
LOOK_BACK: Final = 3600.0


def diagnosed(
    name: Name,
    *,
    trouble: Annotated[
        list[Trouble] | None, typer.Option(help="That one alone, may be given several times; all where none is given.")
    ] = None,
    output: Annotated[Form, typer.Option("-o", "--output", help="json, yaml: for programs.")] = Form.TEXT,
    since: Annotated[
        str, typer.Option(metavar="DURATION", show_default=False, help="How far back to look, unless as the spec says.")
    ] = "",
    namespace: Namespace = "",
    context: Context = "",
    kubeconfig: Kubeconfig = "",
    prometheus: Annotated[
        str, typer.Option(metavar="URL", show_default=False, help="The Prometheus to ask, unless that of the spec.")
    ] = "",
    token_file: Token = None,
    login_file: Login = None,
    ca_file: Ca = None,
    timeout: Annotated[str, typer.Option(metavar="DURATION", help="How long one query may take.")] = "10s",
    operator_namespace: Annotated[
        str, typer.Option(metavar="NAME", help="Where the operator runs.")
    ] = "syncrollout-system",
    lease: Annotated[str, typer.Option(metavar="NAME", help="The operator's Lease.")] = "syncrollout",
) -> None:
    """Say what is wrong, by which evidence, how sure that is, what to do and whom to call. Changes nothing.

    Exit code 0: nothing was found; 2: something was; 3: nothing was, but not everything could be looked at; 1: it could
    not be looked at all.
    """
    if token_file is not None and login_file is not None:
        raise Failed("give either --token-file or --login-file")
    cluster = Kubectl(namespace, context, kubeconfig)
    try:
        obj = cluster.whole(RESOURCE, name)
    except NotThere:
        obj = rollouts.find(cluster, name)  # says which ones there are
    rollout = rollouts.parse(obj)
    cluster = replace(cluster, namespace=rollout.namespace)
    declared = rollout.spec.prometheus
    address = prometheus or (declared.address if declared is not None else "")
    endpoint = None
    if address:
        endpoint = Endpoint(
            address,
            bearer_token=content("--token-file", token_file),
            basic_auth=login(login_file),
            ca=content("--ca-file", ca_file),
        )
    options = [("--context", context), ("--kubeconfig", kubeconfig)]
    spec = rollout.spec.diagnosis
    manner = Manner(
        endpoint=endpoint,
        timeout=duration("--timeout", timeout),
        look_back=duration("--since", since) if since else spec.look_back if spec is not None else LOOK_BACK,
        operator_namespace=operator_namespace,
        lease=lease,
        options=tuple(part for option, value in options if value for part in (option, value)),
    )
    wanted = tuple(trouble or Trouble)
    own = replace(cluster, namespace=operator_namespace)
    found = diagnose(Gathering(cluster, own, manner, wanted).facts(rollout, obj), wanted)
    if output is Form.TEXT:
        typer.echo("\n".join(lines(rollout, found, manner.look_back)))
    else:
        made = as_plain(rollout, found, manner.look_back)
        typer.echo(as_json(made) if output is Form.JSON else as_yaml(made))
    raise Ended(exit_code(found))


def exit_code(found: Diagnosis) -> int:
    """See the command."""
    if found.findings:
        return FOUND
    return NOT_ALL if found.blind else 0


def lines(rollout: Rollout, found: Diagnosis, look_back: float) -> list[str]:
    """For a person."""
    where = rollout.where if rollout.where.endswith((".", "?", "!")) else f"{rollout.where}."
    made = [where]
    if rollout.status.reason not in runbook.QUIET:
        made.append(f"Runbook of {rollout.status.reason}: {runbook.address(rollout.spec, rollout.status.reason)}")
    made.append(f"Looked back over {format_duration(look_back)}.")
    for number, finding in enumerate(found.findings, 1):
        made += ["", *_finding(rollout, number, finding)]
    if not found.findings:
        made += ["", "Nothing was found."]
    clear = [each.value for each in found.clear if each not in found.blind]
    if clear:
        made += ["", f"Not found: {', '.join(clear)}"]
    if found.blind:
        made += ["", f"Not found, as far as could be looked: {', '.join(each.value for each in found.blind)}"]
    if found.gaps:
        made += ["", "What could not be looked at", *(f"  - {gap.what}: {gap.why}" for gap in found.gaps)]
    return made


def _finding(rollout: Rollout, number: int, finding: Finding) -> list[str]:
    summary = finding.summary[0].upper() + finding.summary[1:]
    made = [f"{number}. {summary} ({finding.trouble}, {finding.certainty})"]
    made += [f"   - {sign.text}" for sign in finding.signs]
    made.append("   What to do")
    for action in finding.actions:
        made.append(f"     {action.what}{':' if action.command else ''}")
        made += [f"       {action.command}"] if action.command else []
    made.append(f"   Call: {'; '.join(finding.call)}")
    made.append(f"   Runbook: {runbook.address(rollout.spec, finding.page)}")
    return made


def as_plain(rollout: Rollout, found: Diagnosis, look_back: float) -> dict[str, Any]:
    """For programs."""
    return {
        "rollout": {"namespace": rollout.namespace, "name": rollout.name, "state": rollout.status.state.value},
        "lookBackSeconds": look_back,
        "findings": [
            {
                "trouble": each.trouble.value,
                "certainty": each.certainty.value,
                "sides": [side.value for side in each.sides],
                "summary": each.summary,
                "evidence": [
                    {
                        "text": sign.text,
                        "source": sign.source.value,
                        "strength": sign.strength.name.capitalize(),
                        **({"side": sign.side.value} if sign.side is not None else {}),
                    }
                    for sign in each.signs
                ],
                "actions": [
                    {"what": action.what, **({"command": action.command} if action.command else {})}
                    for action in each.actions
                ],
                "call": list(each.call),
                "runbook": runbook.address(rollout.spec, each.page),
            }
            for each in found.findings
        ],
        "notFound": [each.value for each in found.clear if each not in found.blind],
        "notFoundAsFarAsLooked": [each.value for each in found.blind],
        "notLookedAt": [
            {"what": gap.what, "why": gap.why, "troubles": sorted(each.value for each in gap.troubles)}
            for gap in found.gaps
        ],
    }


__all__ = ["diagnosed", "exit_code", "lines"]
