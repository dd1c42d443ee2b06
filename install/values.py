"""The chart's values as a table: each with its default, and the comment that stands above it in values.yaml."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import yaml

SOURCE: Final = Path("charts/syncrollout/values.yaml")
WHOLE: Final = frozenset({"resources"})
"""Values that are one thing to people, though they are mappings."""
_PAGE: Final = re.compile(r"docs/([a-z/-]+\.md)")


def table() -> list[str]:
    """A row for each value. Raises ValueError for one that has no comment."""
    text = SOURCE.read_text("utf-8")
    root = yaml.compose(text)
    lines = ["| value | default | what it does |", "|---|---|---|"]
    for path, key, value in _leaves(root, ""):
        comment = _comment(text.splitlines(), key.start_mark.line)
        if not comment:
            raise ValueError(f"{SOURCE}: {path} has no comment that says what it does")
        default = json.dumps(yaml.safe_load(yaml.serialize(value)))
        said = _PAGE.sub(r"[\1](\1)", comment)
        lines.append(f"| `{path}` | `{default}` | {said} |")
    return lines


def _leaves(node: Any, path: str) -> Iterator[tuple[str, Any, Any]]:
    for key, value in node.value:
        name = f"{path}.{key.value}".lstrip(".")
        if isinstance(value, yaml.MappingNode) and value.value and name not in WHOLE:
            yield from _leaves(value, name)
        else:
            yield name, key, value


def _comment(lines: list[str], at: int) -> str:
    """What stands right above a line, as one sentence or more."""
    found: list[str] = []
    while at > 0 and lines[at - 1].lstrip().startswith("# "):
        at -= 1
        found.insert(0, lines[at].lstrip()[2:].strip())
    return " ".join(found)
