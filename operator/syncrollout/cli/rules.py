"""The rules of the CRD, tried without a cluster: the same CEL text that the API server evaluates, on the same schema.

Not the rules that compare with what was there before (`oldSelf`): a file has no before.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

import cel

from syncrollout.positions import Path

Schema = dict[str, Any]
_RULES: Final = "x-kubernetes-validations"
_KIND: Final = "x-kubernetes-list-type"
_KEYS: Final = "x-kubernetes-list-map-keys"


@dataclass(frozen=True, slots=True)
class Broken:
    """A rule that does not hold: of which field, and the sentence of the CRD."""

    path: Path
    message: str


def filled(schema: Schema, value: Any) -> Any:
    """With the defaults that the API server fills in before it asks the rules, and numbers as what the schema says."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties") or {}
        made = {name: filled(known.get(name, other), each) for name, each in value.items()}
        lacking = {name: field for name, field in known.items() if name not in made and "default" in field}
        return made | {name: filled(field, field["default"]) for name, field in lacking.items()}
    if isinstance(value, list):
        return [filled(schema.get("items", {}), each) for each in value]
    if schema.get("type") == "number" and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    return value


def given(schema: Schema, value: Any) -> Any:
    """Without the fields that are null, which the API server takes for not given."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties") or {}
        return {
            name: given(known.get(name, other), each)
            for name, each in value.items()
            if each is not None or name not in known
        }
    if isinstance(value, list):
        return [given(schema.get("items", {}), each) for each in value]
    return value


def broken(schema: Schema, value: Any, path: Path, *, texts_only: bool = False) -> Iterator[Broken]:
    """The rules that do not hold of a value that is filled. `texts_only`: those of single texts; what is put together
    may lack what a rule takes for granted."""
    rules: Sequence[dict[str, str]] = schema.get(_RULES, ())
    if isinstance(value, str) if schema.get("type") == "string" else not texts_only:
        for rule in rules:
            if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value, unsound=texts_only):
                yield Broken((*path, *_steps(rule)), _sentence(rule, value))
    if isinstance(value, dict):
        known = schema.get("properties", {})
        other = schema.get("additionalProperties") or {}
        for name, each in value.items():
            yield from broken(known.get(name, other), each, (*path, name), texts_only=texts_only)
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from broken(schema.get("items", {}), each, (*path, place), texts_only=texts_only)


def doubled(schema: Schema, value: Any, path: Path) -> Iterator[Broken]:
    """Entries of lists whose keys are there already."""
    if isinstance(value, dict):
        known = schema.get("properties", {})
        for name, each in value.items():
            yield from doubled(known.get(name, {}), each, (*path, name))
    elif isinstance(value, list):
        seen: list[Any] = []
        for place, each in enumerate(value):
            if schema.get(_KIND) == "set":
                if each in seen:
                    yield Broken((*path, place), f"{each} is there already; remove one of them")
                seen.append(each)
                continue
            keys = {key: each.get(key) for key in schema.get(_KEYS, ())} if isinstance(each, dict) else {}
            if keys and keys in seen:
                said = ", ".join(f"{key} {said}" for key, said in keys.items() if said is not None)
                yield Broken((*path, place), f"there is one of {said} already; give it another name, or remove it")
            seen.append(keys)
            yield from doubled(schema.get("items", {}), each, (*path, place))


def _holds(expression: str, value: Any, *, unsound: bool) -> bool:
    """Of a value that no rule can be put to (`unsound`) the models have said already what is wrong with it."""
    try:
        return bool(_program(expression)(value))
    except (RuntimeError, TypeError, ValueError):
        return unsound


def _sentence(rule: dict[str, str], value: Any) -> str:
    expression = rule.get("messageExpression")
    try:
        return str(_program(expression)(value)) if expression else rule["message"]
    except (RuntimeError, TypeError, ValueError):
        return rule.get("message", "cannot be what it is")


def _steps(rule: dict[str, str]) -> Path:
    return tuple(step for step in rule.get("fieldPath", "").split(".") if step)


@cache
def _program(expression: str) -> Callable[[Any], Any]:
    program = cel.compile(expression)

    def run(value: Any) -> Any:
        context = cel.Context({"self": value})
        context.add_function("isSorted", _is_sorted)
        return program.execute(context)

    return run


def _is_sorted(values: Sequence[Any]) -> bool:
    """Of Kubernetes' own functions the one that the rules use."""
    return all(first <= second for first, second in itertools.pairwise(values))


__all__ = ["Broken", "broken", "doubled", "filled", "given"]
