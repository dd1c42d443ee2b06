"""The golden files of the routers: `golden/<router>/<case>.yaml` holds what is asked, the object before, and after."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from syncrollout.api.spec import RouteRef

FOLDER = Path(__file__).parent / "golden"
Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Golden:
    """`reads`: share and exact weight of `before`; `writes`: JSON pointers of what changes, in order."""

    router: str
    case: str
    says: str
    route: RouteRef
    old: str | None
    new: str | None
    reads: dict[str, float | None]
    weight: int
    writes: list[str]
    before: Obj
    after: Obj

    def __str__(self) -> str:
        return f"{self.router}/{self.case}"


def load() -> list[Golden]:
    """All of them, by name."""
    return [_load(path) for path in sorted(FOLDER.glob("*/*.yaml"))]


def _load(path: Path) -> Golden:
    told, before, after = yaml.safe_load_all(path.read_text("utf-8"))
    told["route"] = RouteRef.model_validate(told["route"])
    return Golden(router=path.parent.name, case=path.stem, before=before, after=after, **told)


def same(one: object, other: object) -> bool:
    """The same bytes: values, their types, and the order of keys."""
    return json.dumps(one) == json.dumps(other)


def leaves(node: Any, at: str = "") -> dict[str, Any]:
    """Every value of an object by its JSON pointer."""
    if isinstance(node, dict) and node:
        return {
            place: value
            for key, item in node.items()
            for place, value in leaves(item, f"{at}/{key.replace('~', '~0').replace('/', '~1')}").items()
        }
    if isinstance(node, list) and node:
        return {
            place: value for index, item in enumerate(node) for place, value in leaves(item, f"{at}/{index}").items()
        }
    return {at: node}
