"""Values of a schema: such as it allows, such as lie on its bounds, and some that it refuses."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any, Final

from fuzz.choices import Choices

Schema = dict[str, Any]
Step = str | int
Path = tuple[Step, ...]

_TEXTS: Final = (
    "",
    "a",
    "errors",
    "sync-v2",
    "10s",
    "5m",
    "1h30m",
    "0s",
    "876000h",
    "30 9 * * 1-5",
    "0 0 31 2 *",
    "Asia/Tokyo",
    "Europe/Berlin",
    "No/Where",
    "2026-03-29T02:30",
    "2026-12-28",
    "02:30",
    "22:00-02:00",
    "100%",
    "50m",
    "2Gi",
    "http://prometheus:9090",
    "https://user:pass@[::1]:9090/a?b=c#d",
    "sum(rate(errors_total{namespace='{{ namespace }}'}[5m]))",
    "{{ service }}",
    "{% for a in b %}{{ a }}{% endfor %}",
    "#ops",
    "\u00e4\u3042\U0001f600",
    "a\nb",
    "\x00",
    "$(id)",
    "-",
    ".",
    "x" * 63,
    "x" * 64,
    "x" * 300,
)
_NUMBERS: Final = (0, 1, -1, 2, 5, 10, 50, 99, 100, 101, 1000, 2**31 - 1, 2**31, 2**53, -(2**63))
_REALS: Final = (0.0, 0.5, -0.5, 1.0, 99.9, 100.0, 1e-9, 1e308, -1e308)


def places(schema: Schema, value: Any, path: Path = ()) -> Iterator[tuple[Path, Schema]]:
    """Every place of a value that the schema knows, with what it says of it."""
    yield path, schema
    if isinstance(value, dict):
        known, other = schema.get("properties", {}), schema.get("additionalProperties")
        for name, each in value.items():
            inner = known.get(name, other)
            if isinstance(inner, dict):
                yield from places(inner, each, (*path, name))
    elif isinstance(value, list):
        for place, each in enumerate(value):
            yield from places(schema.get("items", {}), each, (*path, place))


def changed(schema: Schema, value: Any, choices: Choices, most: int = 4) -> Any:
    """The value with some changes, of which the choices decide."""
    made = copy.deepcopy(value)
    for _ in range(1 + choices.below(most)):
        found = list(places(schema, made))
        path, here = found[choices.below(len(found))]
        made = _put(made, path, _other(here, _at(made, path), choices))
    return made


def value_of(schema: Schema, choices: Choices, depth: int = 0) -> Any:
    """A value that the schema asks for, mostly."""
    if "enum" in schema and choices.below(16):
        return choices.of(schema["enum"])
    if "default" in schema and not choices.below(4):
        return copy.deepcopy(schema["default"])
    kind = schema.get("type")
    if kind == "object":
        return _object(schema, choices, depth)
    if kind == "array":
        few = choices.below(1 + min(schema.get("maxItems", 3), 3))
        return [
            value_of(schema.get("items", {}), choices, depth + 1) for _ in range(max(few, schema.get("minItems", 0)))
        ]
    if kind == "integer":
        return _bounded(schema, choices, _NUMBERS)
    if kind == "number":
        return _bounded(schema, choices, (*_REALS, *_NUMBERS))
    if kind == "boolean":
        return choices.flag()
    if kind == "string":
        return choices.of(_TEXTS) if choices.below(4) else choices.text(40)
    return choices.of((*_TEXTS[:8], *_NUMBERS[:4], {}, []))


def _object(schema: Schema, choices: Choices, depth: int) -> dict[str, Any]:
    known, required = schema.get("properties", {}), schema.get("required", ())
    rare = 3 if depth < 3 else 8
    made = {
        name: value_of(field, choices, depth + 1)
        for name, field in known.items()
        if name in required or not choices.below(rare)
    }
    other = schema.get("additionalProperties")
    if isinstance(other, dict) and choices.flag():
        made[choices.of(_TEXTS)] = value_of(other, choices, depth + 1)
    return made


def _bounded(schema: Schema, choices: Choices, values: tuple[float, ...]) -> float:
    edges = [schema[name] for name in ("minimum", "maximum") if name in schema]
    if edges and choices.flag():
        edge: float = choices.of(edges)
        return edge + choices.of((0, 0, 1, -1))
    return choices.of(values)


def _other(schema: Schema, value: Any, choices: Choices) -> Any:
    """Something else in the place of a value; `_GONE` takes it away."""
    way = choices.below(8)
    if way == 0:
        return _GONE
    if way == 1:
        return choices.of((None, True, 7, "text", [], {}))
    if isinstance(value, list) and value and way < 5:
        twin = copy.deepcopy(choices.of(value))
        return [*value, twin] if way < 4 else value[::-1]
    if isinstance(value, dict) and way < 7:
        missing = [name for name in schema.get("properties", {}) if name not in value]
        if missing:
            name = choices.of(missing)
            return value | {name: value_of(schema["properties"][name], choices)}
    return value_of(schema, choices)


_GONE: Final = object()


def _at(value: Any, path: Path) -> Any:
    for step in path:
        value = value[step]
    return value


def _put(value: Any, path: Path, new: Any) -> Any:
    if not path:
        return value if new is _GONE else new
    parent = _at(value, path[:-1])
    if new is _GONE:
        del parent[path[-1]]
    else:
        parent[path[-1]] = new
    return value


__all__ = ["Choices", "changed", "places", "value_of"]
