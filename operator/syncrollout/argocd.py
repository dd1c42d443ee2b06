"""What Argo CD has to be told, made from the scripts in manifests/argocd and the table of routers:
`python -m syncrollout.argocd`.

Two things: how it shows a SyncRollout and what can be done to it from there (Lua), and which fields of users' objects
are the operator's, so that self-heal does not put them back to what Git says.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final

import yaml

from syncrollout.act.mirrors import MIRRORS
from syncrollout.act.paths import Begins, Every, Json, Key, Step, Where
from syncrollout.act.paths import Path as Place
from syncrollout.act.routers import ROUTERS
from syncrollout.api.words import FIELD_MANAGER, GROUP, KIND
from syncrollout.pages import add_choice, carry_out

FOLDER: Final = Path("manifests/argocd")
PAGE: Final = FOLDER / "argocd-cm.yaml"
_PLAIN: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_MANAGED: Final = (("batch", "CronJob"),)
"""Kinds of which the operator writes one field, and the API server remembers who has. Not Deployments and StatefulSets:
of a write to /scale it forgets the writer where server-side apply had the field before."""
_HEAD: Final = f"""\
# Made from the scripts beside it and the table of routers: make generate.
#
# Merge it into Argo CD's own ConfigMap:
#   kubectl -n argocd patch configmap argocd-cm --patch-file {PAGE}
# Applications then need the sync option RespectIgnoreDifferences=true: see application.yaml and docs/gitops.md.
"""


def jq(path: Place) -> str:
    """The jq expression for every place that a path may lead to, whatever the two Services are called.

    What is not there is no mistake: each step may lead nowhere. A number in the JSON of a text is the whole text.
    """
    written = ""
    for step in path.steps:
        if isinstance(step, Json):
            break
        written += _jq(step)
    return written


def _jq(step: Step) -> str:
    if isinstance(step, Every):
        return "[]?"
    if isinstance(step, Where):  # the items of a list, or the object itself
        return "|((arrays|.[]),objects)|"
    if isinstance(step, Begins):
        return f"|objects|.[keys[]|select(startswith({json.dumps(step.word.text)}))]"
    return _key(step.word.text) if isinstance(step, Key) else ""


def _key(text: str) -> str:
    return f".{text}" if _PLAIN.fullmatch(text) else f"[{json.dumps(text)}]"


def ignored() -> dict[tuple[str, str], tuple[str, ...]]:
    """By API group and kind: jq expressions for what the operator writes into routes."""
    found: dict[tuple[str, str], list[str]] = {}
    for router in ROUTERS:
        paths = [path for place in router.places for path in (*place.new, *place.old)]
        for group in router.groups:
            found.setdefault((group, router.kind), []).extend(jq(path) for path in paths)
    for (group, kind), mirror in MIRRORS.items():
        where = f".spec.{mirror.rules}[]?.{mirror.key}"
        if mirror.several is None:
            found[group, kind] += [where, f".spec.{mirror.rules}[]?.{mirror.percent[0]}"]
        else:
            chosen = " and ".join(f".{key} == {json.dumps(value)}" for key, value in mirror.several.items())
            found[group, kind].append(f"{where}[]? | select({chosen})")
    return {kind: tuple(dict.fromkeys(expressions)) for kind, expressions in sorted(found.items())}


def customizations() -> dict[tuple[str, str], dict[str, list[str]]]:
    """By API group and kind: what Argo CD ignores, in its own words."""
    routes = {kind: {"jqPathExpressions": list(expressions)} for kind, expressions in ignored().items()}
    return routes | {kind: {"managedFieldsManagers": [FIELD_MANAGER]} for kind in _MANAGED}


def config_map(scripts: Mapping[str, str]) -> str:
    """The text of the ConfigMap. `scripts`: by name, as `health` and `actions/approve`."""
    data = {f"resource.customizations.health.{GROUP}_{KIND}": scripts["health"]}
    names = sorted(name.removeprefix("actions/") for name in scripts if name.startswith("actions/"))
    actions = {
        "discovery.lua": scripts["actions/discovery"],
        "definitions": [
            {"name": name, "action.lua": scripts[f"actions/{name}"]} for name in names if name != "discovery"
        ],
    }
    data[f"resource.customizations.actions.{GROUP}_{KIND}"] = _dump(actions)
    for (group, kind), said in customizations().items():
        data[f"resource.customizations.ignoreDifferences.{group}_{kind}"] = _dump(said)
    labels = {"app.kubernetes.io/name": "argocd-cm", "app.kubernetes.io/part-of": "argocd"}
    whole = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "argocd-cm", "namespace": "argocd", "labels": labels},
        "data": data,
    }
    return _HEAD + _dump(whole)


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks, so that a script can be read where it stands."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _text)


def _dump(value: object) -> str:
    text: str = yaml.dump(value, Dumper=_Dumper, sort_keys=False, width=1000)
    return text


def read(folder: Path = FOLDER) -> dict[str, str]:
    """The scripts of a folder by their names."""
    files: Iterable[Path] = sorted(folder.rglob("*.lua"))
    return {str(file.relative_to(folder).with_suffix("")): file.read_text("utf-8") for file in files}


def main(arguments: Sequence[str] | None = None) -> int:
    """Write manifests/argocd/argocd-cm.yaml, or compare it with what it should be. Run it at the root of the
    repository."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.argocd", description=main.__doc__)
    add_choice(parser, PAGE)
    text = config_map(read())
    return carry_out(parser.parse_args(arguments), PAGE, text, source="the scripts and the table of routers say")


__all__ = ["config_map", "customizations", "ignored", "jq", "main", "read"]

if __name__ == "__main__":
    sys.exit(main())
