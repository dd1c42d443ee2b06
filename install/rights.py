"""The operator's rights, of `manifests/20-rbac.yaml`: as a Role for one namespace, and as a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import yaml

SOURCE: Final = Path("manifests/20-rbac.yaml")
ROLE: Final = Path("manifests/namespaced/rights/role.yaml")
OF_THE_CLUSTER: Final = frozenset({"nodes"})
"""Resources that are in no namespace, so that no Role can hold a right to them."""

_BINDING: Final = """\
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: syncrollout-operator
  labels:
    app.kubernetes.io/name: syncrollout
    app.kubernetes.io/component: operator
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: syncrollout-operator
subjects:
- kind: ServiceAccount
  name: syncrollout
  namespace: syncrollout-system
"""


def role() -> str:
    """The Role and its binding, the reason of each verb with it."""
    head, rules = _operator()
    kept = [rule for rule in rules if not OF_THE_CLUSTER & set(_parsed(rule)["resources"])]
    made = f"# Made from {SOURCE} by `make generate`: what the operator may do in one namespace.\n"
    return (
        made + head[head.index("apiVersion:") :].replace("kind: ClusterRole", "kind: Role") + "".join(kept) + _BINDING
    )


def table() -> list[str]:
    """A row for each rule: what, which verbs, and in which modes."""
    lines = ["| API group | resources | verbs | all namespaces | single namespaces |", "|---|---|---|---|---|"]
    for text in _operator()[1]:
        rule = _parsed(text)
        group = ", ".join(f"`{each}`" if each else "core" for each in rule["apiGroups"])
        cluster = bool(OF_THE_CLUSTER & set(rule["resources"]))
        single = "only with `rbac.nodes`, of the cluster" if cluster else "in those alone"
        lines.append(f"| {group} | {', '.join(rule['resources'])} | {', '.join(rule['verbs'])} | yes | {single} |")
    lines.append("| rules that are added | of your choice | get, list, watch, patch | by label | `rbac.extraRules` |")
    lines.append(
        "| `coordination.k8s.io` | leases | create; get, patch of its own | its own namespace | its own namespace |"
    )
    return lines


def _operator() -> tuple[str, list[str]]:
    """The ClusterRole up to its rules, and each rule as text."""
    document = next(
        each for each in _documents() if (parsed := yaml.safe_load(each)) and parsed["kind"] == "ClusterRole"
    )
    head, _, rules = document.partition("rules:\n")
    return f"{head}rules:\n", [f"- {rule}" for rule in re.split(r"^- ", rules, flags=re.MULTILINE) if rule]


def _documents() -> Iterator[str]:
    yield from SOURCE.read_text("utf-8").split("---\n")


def _parsed(rule: str) -> dict[str, list[str]]:
    [parsed] = yaml.safe_load(rule)
    return dict(parsed)
