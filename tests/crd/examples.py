"""Loads the examples: each is a merge patch over `base.yaml`, with what is expected of it in comments at its top."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CRD_FILE = ROOT / "crds" / "syncrollout.io_syncrollouts.yaml"
Obj = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Example:
    """`expect`: the API server's sentences that refuse it, all of them and no other.
    `becomes`: path (dots, list positions as numbers) -> value after the API server has filled in defaults."""

    name: str
    manifest: Obj
    expect: tuple[str, ...]
    becomes: dict[str, Any]


def merged(target: Any, patch: Any) -> Any:
    """RFC 7386."""
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merged(result.get(key), value)
    return result


def base() -> Obj:
    """The object that every example changes."""
    loaded: Obj = yaml.safe_load((HERE / "base.yaml").read_text())
    return loaded


def load(folder: str) -> list[Example]:
    """The examples of `valid` or `invalid`, by name."""
    return [_load(path) for path in sorted((HERE / folder).glob("*.yaml"))]


def _load(path: Path) -> Example:
    text = path.read_text()
    becomes = dict(line.split(" = ", 1) for line in _comments(text, "becomes"))
    return Example(
        name=path.stem,
        manifest=merged(base(), yaml.safe_load(text)),
        expect=tuple(_comments(text, "expect")),
        becomes={key.strip(): yaml.safe_load(value) for key, value in becomes.items()},
    )


def _comments(text: str, word: str) -> list[str]:
    marker = f"# {word}: "
    return [line.removeprefix(marker) for line in text.splitlines() if line.startswith(marker)]


def at(obj: Any, path: str) -> Any:
    """The value at a dotted path. Raises KeyError or IndexError where there is none."""
    for step in path.split("."):
        obj = obj[int(step)] if isinstance(obj, list) else obj[step]
    return obj


def crd() -> Obj:
    """The generated CRD."""
    loaded: Obj = yaml.safe_load(CRD_FILE.read_text())
    return loaded


def root_schema() -> Obj:
    """The schema of the whole object."""
    schema: Obj = crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return schema


def renamed(obj: Obj, name: str, namespace: str) -> Obj:
    """A copy of the object with a name and namespace of its own."""
    result = copy.deepcopy(obj)
    result["metadata"] |= {"name": name, "namespace": namespace}
    return result
