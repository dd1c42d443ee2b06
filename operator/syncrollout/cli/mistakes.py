"""What is wrong with the SyncRollouts of a file, by the models and the rules of the CRD, with line and field."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from syncrollout.api import crd
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.cli import rules
from syncrollout.positions import Lines, Loader, Path, dotted

_TOP: Final = ("apiVersion", "kind", "metadata", "spec", "status")
_SAID_BY_RULES: Final = ("string_pattern_mismatch", "value_error")
"""Mistakes of the models that a rule of the CRD says in better words, where it has one of the same field."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One mistake."""

    where: str
    """File and line."""
    line: int
    text: str
    """The field and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a file holds: names of its rollouts, and the mistakes in them."""

    names: tuple[str, ...]
    mistakes: tuple[Mistake, ...]


def check(text: str, file: str) -> Checked:
    """All SyncRollouts of a stream of YAML (or JSON) documents; other objects are passed over."""
    try:
        nodes = list(yaml.compose_all(text, Loader=Loader))
        documents = list(yaml.load_all(text, Loader=Loader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else 1
        said = f"no YAML: {getattr(error, 'problem', None) or error}"
        return Checked((), (Mistake(f"{file}:{line}", line, said),))
    names: list[str] = []
    mistakes: list[Mistake] = []
    for node, document in zip(nodes, documents, strict=True):
        lines = Lines(file, node)
        for path, obj in _rollouts(document):
            metadata = obj.get("metadata")
            names.append(str(metadata.get("name", "?")) if isinstance(metadata, dict) else "?")
            found = [*_doubled_fields(lines, path), *_Checking(lines, path, obj).mistakes()]
            mistakes += sorted(found, key=lambda mistake: (mistake.line, mistake.text))
    return Checked(tuple(names), tuple(mistakes))


def _rollouts(document: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    """The SyncRollouts of a document, which may be a List of objects."""
    if not isinstance(document, dict):
        return
    if document.get("kind") == KIND:
        yield path, document
    elif str(document.get("kind", "")).endswith("List") and isinstance(document.get("items"), list):
        for place, item in enumerate(document["items"]):
            yield from _rollouts(item, (*path, "items", place))


def _doubled_fields(lines: Lines, within: Path) -> Iterator[Mistake]:
    for path in lines.twice():
        if path[: len(within)] == within:
            yield Mistake(lines.of_key(path), lines.line(path), f"{dotted(path)}: given more than once")


@dataclass(frozen=True, slots=True)
class _Checking:
    """One rollout of a document; `path` leads to it."""

    lines: Lines
    path: Path
    obj: dict[str, Any]

    def mistakes(self) -> Iterator[Mistake]:
        said = self.obj.get("apiVersion")
        if said != API_VERSION:
            yield self._mistake(("apiVersion",), f"{said!r} has to be {API_VERSION}")
        for name in self.obj:
            if name not in _TOP:
                yield self._mistake((str(name),), _unknown(str(name), _TOP))
        schema = _schema()
        yield from self._name(schema["metadata"]["properties"]["name"]["maxLength"])
        if not isinstance(self.obj.get("spec"), dict):
            yield self._mistake(("spec",), "missing; say what is migrated, and how")
            return
        yield from self._spec(schema["spec"])

    def _name(self, longest: int) -> Iterator[Mistake]:
        metadata = self.obj.get("metadata")
        named = metadata if isinstance(metadata, dict) else {}
        name = named.get("name")
        if not isinstance(name, str) and not named.get("generateName"):
            yield self._mistake(("metadata", "name"), "missing; give the rollout a name")
        elif isinstance(name, str) and len(name) > longest:
            yield self._mistake(("metadata", "name"), f"longer than {longest} characters")

    def _spec(self, schema: rules.Schema) -> Iterator[Mistake]:
        try:
            json.dumps(self.obj["spec"], allow_nan=False)
        except (ValueError, TypeError) as why:
            yield self._mistake(("spec",), f"cannot be sent to an API server, for it is no JSON: {why}")
            return
        spec = rules.given(schema, self.obj["spec"])
        errors = _errors(json.dumps(spec))
        sound = all(each["type"] in _SAID_BY_RULES for each in errors)
        filled = rules.filled(schema, spec)
        broken = list(rules.broken(schema, filled, ("spec",), texts_only=not sound))
        ruled = {each.path for each in broken}
        for error in errors:
            at: Path = ("spec", *error["loc"])
            if error["type"] == "extra_forbidden":
                yield self._mistake(at, _unknown(str(at[-1]), _fields(schema, at[1:-1])))
            elif at not in ruled:
                yield self._mistake(at, error["msg"].removeprefix("Value error, "))
        for each in (*broken, *rules.doubled(schema, filled, ("spec",))):
            yield self._mistake(each.path, each.message)

    def _mistake(self, at: Path, said: str) -> Mistake:
        path = (*self.path, *at)
        return Mistake(self.lines.of_key(path), self.lines.line(path), f"{dotted(path)}: {said}")


@cache
def _schema() -> rules.Schema:
    """The CRD's own of the whole object, by field."""
    whole: rules.Schema = crd.build()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    properties: rules.Schema = whole["properties"]
    return properties


def _errors(spec: str) -> list[ErrorDetails]:
    """What the models say, as strictly as the API server: no number in place of a text, no field by another name."""
    try:
        SyncRolloutSpec.model_validate_json(spec, strict=True, by_alias=True, by_name=False)
    except ValidationError as error:
        # a list with a mistake inside is also said to be too short
        found = error.errors()
        inner = {each["loc"][:depth] for each in found for depth in range(len(each["loc"]))}
        return [each for each in found if each["loc"] not in inner]
    return []


def _fields(schema: rules.Schema, path: Path) -> list[str]:
    """The fields that there are at a place of the spec."""
    for step in path:
        below = schema.get("items", {}) if isinstance(step, int) else schema.get("properties", {}).get(step)
        schema = below or schema.get("additionalProperties") or {}
    return list(schema.get("properties", {}))


def _unknown(name: str, fields: Sequence[str]) -> str:
    close = difflib.get_close_matches(name, fields, n=1, cutoff=0.7)
    return f"there is no such field{f'; did you mean {close[0]}?' if close else ''}"


__all__ = ["Checked", "Mistake", "check"]
