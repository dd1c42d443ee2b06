"""`docs/routers.md`, made from the table of routers, its golden files and the manifests.

python -m syncrollout.act.routers.page [--write | --check]      at the root of the repository
"""

from __future__ import annotations

import argparse
import sys
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml

from syncrollout.act.routers import ROUTERS, Coding, Router
from syncrollout.pages import add_choice, carry_out

PAGE = Path("docs/routers.md")
GOLDEN = Path("tests/act/golden")
RIGHTS = Path("manifests/20-rbac.yaml")
LABEL = "rbac.syncrollout.io/aggregate-to-operator"
_WIDTH = 110
_VERBS = ["get", "list", "watch", "patch"]

_INTRO = f"""# Routers

Made from `operator/syncrollout/act/routers/table.py` and its golden files by `make generate`.

A route is any object of the rollout's own namespace that says which share of the traffic goes where.
`spec.traffic.routes` names it; where its weights stand is known for the kinds below, and is said with
`weightAt` for any other. All routes of a rollout move together.

- **Only weights are written**, as a JSON patch under the field manager `syncrollout`. Everything else stays
  byte for byte as its owner wrote it, inside an annotation that holds JSON too. The patch holds on to the
  object's uid, to the names of the entries and to whatever else the row rests on: an object that was changed
  meanwhile is read again, never overwritten.
- **Old and new are the two Services** `spec.old.service` and `spec.new.service`. They are moved in every rule
  that names both; a rule that names one of them alone is left alone. A route that names both nowhere is
  refused with a sentence, and nothing is moved, in any route of the rollout.
- **At the beginning** new has no more than the first phase gives it. A route that gives it more, such as one
  without weights, which most routers split evenly, is told (`TrafficAlreadyAtNew`) before the first run, and
  nothing is moved: put everything at old in it first.
- **Rounding.** Of a total of 100 the numbers are the weights. Of another total new gets `total x weight /
  100` rounded down, so that it never has more than its share, and old gets the rest. 0 and 100 are always
  exact.
- **A third backend** in a rule keeps its number. Where the router takes any numbers its share of the traffic
  changes with them: old and new together become 100 beside it, whatever they were. Where the numbers have to
  add up to 100, its share stays and old and new divide what it leaves; if it leaves nothing, the route is
  refused.
- **Read back.** The share that status shows is read from the object, from all of its rules; the greatest
  counts. Whether traffic follows the object is asked with `traffic.verify`.
- **Drift** is seen by watch and repaired at once.

## Rights

The operator may read and patch the kinds marked *by default*. For any other kind apply its ClusterRole below,
once in a cluster: the label `{LABEL}` adds its rules to the operator's. A right that is missing is told in
the rollout's status, with verb and resource. `get` is there to read an object again that changed under a
patch, `list` and `watch` to see the weights as they stand, `patch` to write them; nothing is created or
deleted. Where rollouts name a ServiceAccount, add `impersonate-on:serviceaccount:get` and
`impersonate-on:serviceaccount:patch` to the verbs: it is the account that writes ([security.md](security.md)).

## The table
"""

_OTHERS = """## Any other kind

`weightAt` says where the numbers stand, for a kind that is not in the table or is kept otherwise:

```yaml
routes:
- apiVersion: proxy.example.com/v1
  kind: Splitter
  name: sync
  weightAt:
    old: spec.pools[*].members[target.service=$old].share
    new: spec.pools[*].members[target.service=$new].share
    total: 1000
```

`old` is left out where the object holds new's number alone, as a part of `total` (100 where it is not given).
Paths lead from the object's root to the key that holds the number:

| in a path | leads to |
|---|---|
| `spec.pools` | a key of an object |
| `["a.b/c"]` | a key with dots or slashes in it |
| `["a.b/"*]` | every key that begins so |
| `[*]` | every item of a list; old and new are a pair where they stand in the same one |
| `[name=$new]` | the items of a list whose key has that value, or an object that has it; the key may be dotted |
| `[host~=$new]` | likewise, where the value is that Service as a host: its name alone, with the namespace, or in full |
| `[json]` | the JSON that a text holds |
| `$old`, `$new` | the two Services, in a key or a value |
"""


def markdown() -> str:
    """The page."""
    granted = _granted()
    lines = [
        _INTRO,
        "| router | kind | where the weights stand | a missing number means | rights |",
        "|---|---|---|---|---|",
    ]
    for row in ROUTERS:
        where = "<br>".join(f"`{path}`" for path in _paths(row))
        rights = "by default" if _is_granted(row, granted) else f"[ClusterRole](#{row.slug})"
        kind = f"{row.kind}<br>{', '.join(row.groups)}"
        lines.append(f"| [{row.name}](#{row.slug}) | {kind} | {where} | {_absent(row)} | {rights} |")
    lines += ["", "Every version of a group is known. `$side` stands for the Service of old, and for that of new."]
    for row in ROUTERS:
        lines += _section(row, default=_is_granted(row, granted))
    return "\n".join(lines) + "\n\n" + _OTHERS


def _paths(row: Router) -> list[str]:
    """The paths as they are read: both sides' where they are alike."""
    return [
        path.text.replace("$new", "$side") if place.old else path.text for place in row.places for path in place.new
    ]


def _absent(row: Router) -> str:
    if any(path.endswith("[json].$side") for path in _paths(row)):
        return "the Service is not named"
    return "not known: it is written first" if row.absent is None else str(row.absent)


def _section(row: Router, *, default: bool) -> list[str]:
    [example, *_] = sorted((GOLDEN / row.slug).glob("*.yaml"))
    head, _, after = example.read_text("utf-8").split("\n---\n")
    told: dict[str, Any] = yaml.safe_load(head)
    reference = yaml.safe_dump([told["route"]], sort_keys=False, default_flow_style=None).strip()
    facts = [
        f"A weight is {row.coding.value}." if row.coding is not Coding.NUMBER else "",
        f"`{row.total_at}` is the total where it is there, else {row.total}." if row.total_at is not None else "",
        f"All numbers of a {row.rule} have to add up to {row.total}." if row.whole else "",
        "Where old and new both have nothing, the router splits evenly." if row.even else "",
        "The object holds new's number alone; old has the rest." if not row.places[0].old else "",
        *(f"{need.says[0].upper()}{need.says[1:]}." for need in row.needs),
        row.notes,
    ]
    rights = (
        ["Rights: the operator has them by default."]
        if default
        else ["Rights:", "", "```yaml", *_cluster_role(row).splitlines(), "```"]
    )
    caption = (
        f"With old `{told['old']}` and new `{told['new']}`, the reference in `spec.traffic.routes` and the object at "
        f"weight {told['weight']}:"
    )
    said = " ".join(fact for fact in facts if fact)
    return [
        f"\n## {row.name}\n",
        *([textwrap.fill(said, _WIDTH, break_long_words=False, break_on_hyphens=False), ""] if said else []),
        caption,
        "",
        "```yaml",
        *reference.splitlines(),
        "```",
        "```yaml",
        *after.strip().splitlines(),
        "```",
        "",
        *rights,
    ]


def _cluster_role(row: Router) -> str:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRole",
        "metadata": {"name": f"syncrollout-route-{row.resource}-{row.groups[0]}", "labels": {LABEL: "true"}},
        "rules": [{"apiGroups": list(row.groups[:1]), "resources": [row.resource], "verbs": _VERBS}],
    }
    text: str = yaml.safe_dump(role, sort_keys=False, default_flow_style=None)
    return text


def _granted() -> set[tuple[str, str, str]]:
    """Group, resource and verb of what the operator may do without further ado."""
    roles = [obj for obj in yaml.safe_load_all(RIGHTS.read_text("utf-8")) if obj["kind"] == "ClusterRole"]
    return {
        (group, resource, verb)
        for role in roles
        for rule in role.get("rules") or ()
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _is_granted(row: Router, granted: set[tuple[str, str, str]]) -> bool:
    return all((row.groups[0], row.resource, verb) in granted for verb in _VERBS)


def main(arguments: Sequence[str] | None = None) -> int:
    """Write docs/routers.md, or compare it with what it should be. Run it at the root of the repository."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.act.routers.page", description=main.__doc__)
    add_choice(parser, PAGE)
    return carry_out(parser.parse_args(arguments), PAGE, markdown(), source="the table of routers says")


if __name__ == "__main__":
    sys.exit(main())
