"""The forms in which objects are printed for programs."""

from __future__ import annotations

import json
from collections.abc import Sequence
from enum import StrEnum
from typing import Any

import yaml


class Form(StrEnum):
    """What `-o` takes where one object is shown."""

    TEXT = "text"
    JSON = "json"
    YAML = "yaml"


class ListForm(StrEnum):
    """What `-o` takes where many are shown."""

    TABLE = "table"
    WIDE = "wide"
    JSON = "json"
    YAML = "yaml"


def as_json(obj: Any) -> str:
    """Indented as kubectl does it."""
    return json.dumps(obj, indent=4, ensure_ascii=False)


def as_yaml(obj: Any) -> str:
    """In the order in which the API server gives the fields."""
    return yaml.safe_dump(obj, sort_keys=False, allow_unicode=True).rstrip("\n")


def as_list(items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Many objects as one, as `kubectl get -o json` has them."""
    return {"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": list(items)}


__all__ = ["Form", "ListForm", "as_json", "as_list", "as_yaml"]
