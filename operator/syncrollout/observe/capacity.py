"""What nodes have to offer to pods. Whether it is used already is not looked at: that is a matter of metrics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any, Final

from syncrollout.api.spec import Capacity
from syncrollout.ports import Object

_QUANTITY: Final = re.compile(r"([0-9]+(?:[.][0-9]*)?|[.][0-9]+)(?:e([0-9]{1,2}))?(m|k|Ki|[MGTPE]i?)?", re.IGNORECASE)
_UNITS: Final = {"": Decimal(1), "m": Decimal("0.001"), "k": Decimal(1000)} | {
    f"{letter}{more}": Decimal(base) ** power
    for power, letter in enumerate("KMGTPE", start=1)
    for more, base in (("i", 1024), ("", 1000))
}
_RESOURCES: Final = (("cpu", "cpu"), ("memory", "memory"), ("disk", "ephemeral-storage"))


def quantity(text: str) -> Decimal:
    """The number that a quantity of Kubernetes stands for, such as 4, 500m or 8Gi. Raises ValueError."""
    found = _QUANTITY.fullmatch(text.strip())
    unit = found[3] or "" if found else "?"
    if found is None or unit not in _UNITS:
        msg = f"{text!r} is not a quantity"
        raise ValueError(msg)
    return Decimal(found[1]) * Decimal(10) ** int(found[2] or 0) * _UNITS[unit]


def project(node: Object) -> Object:
    """What is kept of a node: whether it takes pods, and what it offers to them."""
    status, spec = node.get("status") or {}, node.get("spec") or {}
    ready = any(each.get("type") == "Ready" and each.get("status") == "True" for each in status.get("conditions") or ())
    return {
        "metadata": {"name": node["metadata"].get("name", "")},
        "takesPods": ready and not spec.get("unschedulable"),
        "allocatable": status.get("allocatable") or {},
    }


def judge(asked: Capacity, nodes: Sequence[Object]) -> tuple[bool, str]:
    """Whether there are enough nodes that are large enough, and in words what there is. `nodes` as projected."""
    ready = [node for node in nodes if node["takesPods"]]
    fitting = [node for node in ready if not any(_short(asked, node["allocatable"]))]
    wants = ", ".join(f"{getattr(asked, name)} {name}" for name, _ in _RESOURCES if getattr(asked, name) is not None)
    each = f" with {wants} at least" if wants else ""
    text = f"{len(fitting)} of {len(nodes)} nodes are Ready and take pods{each}; it has to be {asked.nodes} at least"
    if len(fitting) >= asked.nodes:
        return True, text
    small = next((node for node in ready if node not in fitting), None)
    lacks = f": {small['metadata']['name']} has {', '.join(_short(asked, small['allocatable']))}" if small else ""
    return False, f"{text}{lacks}"


def _short(asked: Capacity, allocatable: dict[str, Any]) -> Iterable[str]:
    """What is less than it has to be, in words."""
    for name, resource in _RESOURCES:
        least = getattr(asked, name)
        if least is None:
            continue
        has = str(allocatable.get(resource, "0"))
        if quantity(has) < quantity(least):
            yield f"{has} {name}"


__all__ = ["judge", "project", "quantity"]
