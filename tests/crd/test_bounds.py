"""Every bound, type, enum and required field of the spec's schema is put to the real API server: one step past it is
refused by a sentence that names the field, and the bound itself is not.

The cases are made from the schema, on the first valid example in which the field occurs: a new field without an
example fails here.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from pydantic import ValidationError

from crd import examples
from crd.conftest import Try
from syncrollout.api.spec import SyncRolloutSpec
from testbed import KubeError

Step = str | int
OTHER_TYPE = {"string": 7, "integer": "7", "number": "7", "boolean": "yes", "array": {}, "object": "text"}
VALID = examples.load("valid")


@dataclass(frozen=True)
class Field:
    """A field of the schema; `steps` leads to it, "*" standing for any item of a list or any entry of a map."""

    steps: tuple[str, ...]
    schema: dict[str, Any]

    def __str__(self) -> str:
        return ".".join(self.steps).replace(".*", "[]")


def fields(schema: dict[str, Any], steps: tuple[str, ...]) -> Iterator[Field]:
    yield Field(steps, schema)
    for name, inner in schema.get("properties", {}).items():
        yield from fields(inner, (*steps, name))
    for inner in (schema.get("items"), schema.get("additionalProperties")):
        if inner is not None:
            yield from fields(inner, (*steps, "*"))


FIELDS = list(fields(examples.root_schema()["properties"]["spec"], ("spec",)))


def find(value: Any, steps: tuple[str, ...]) -> tuple[Step, ...] | None:
    """Where a field occurs in an object, with numbers in the place of "*"."""
    if not steps:
        return ()
    candidates: list[tuple[Step, Any]] = []
    if steps[0] == "*":
        candidates = list(value.items() if isinstance(value, dict) else enumerate(value))
    elif isinstance(value, dict) and steps[0] in value:
        candidates = [(steps[0], value[steps[0]])]
    for step, inner in candidates:
        rest = find(inner, steps[1:])
        if rest is not None:
            return (step, *rest)
    return None


def occurrence(field: Field) -> tuple[dict[str, Any], tuple[Step, ...]]:
    for example in VALID:
        where = find(example.manifest, field.steps)
        if where is not None and value_at(example.manifest, where) != []:
            return example.manifest, where
    pytest.fail(f"{field} is in no valid example")


def written(where: tuple[Step, ...]) -> str:
    """As the API server writes it: spec.phases[0].weight."""
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in where).lstrip(".")


def value_at(obj: Any, where: tuple[Step, ...]) -> Any:
    for step in where:
        obj = obj[step]
    return obj


def with_value(obj: dict[str, Any], where: tuple[Step, ...], value: Any) -> dict[str, Any]:
    result = copy.deepcopy(obj)
    value_at(result, where[:-1])[where[-1]] = value
    return result


def refusal(attempt: Try, obj: dict[str, Any]) -> str:
    try:
        attempt(obj)
    except KubeError as error:
        return error.message
    return ""


def several(items: list[Any], number: int) -> list[Any]:
    """So many items, with names of their own where they have any."""
    result = []
    for index in range(number):
        item = copy.deepcopy(items[index % len(items)])
        if isinstance(item, dict) and "name" in item:
            item["name"] = f"n{index}" if index >= len(items) else item["name"]
        result.append(item)
    return result


def bounds(schema: dict[str, Any], value: Any) -> Iterator[tuple[Any, Any, str]]:
    """(the bound itself, one step past it, what the API server says)."""
    if "minimum" in schema:
        yield schema["minimum"], schema["minimum"] - 1, f"should be greater than or equal to {schema['minimum']}"
    if "maximum" in schema:
        most, open_ = schema["maximum"], schema.get("exclusiveMaximum", False)
        if open_:
            yield most - 0.5, most, f"should be less than {most}"
        else:
            yield most, most + 1, f"should be less than or equal to {most}"
    if "minLength" in schema:
        least = schema["minLength"]
        yield "a" * least, "a" * (least - 1), f"should be at least {least} chars long"
    if "maxLength" in schema:
        most = schema["maxLength"]
        yield "a" * most, "a" * (most + 1), f"Too long: may not be more than {most} bytes"
    if "minItems" in schema:
        least = schema["minItems"]
        yield several(value, least), several(value, least - 1), f"should have at least {least} items"
    if "maxItems" in schema:
        most = schema["maxItems"]
        yield several(value, most), several(value, most + 1), f"Too many: {most + 1}: must have at most {most} items"
    if "maxProperties" in schema:
        full, over = ({f"k{number}": "v" for number in range(schema["maxProperties"] + more)} for more in (0, 1))
        yield full, over, f"Too many: {len(over)}: must have at most {len(full)} items"


@pytest.mark.cluster
@pytest.mark.parametrize("field", FIELDS, ids=str)
def test_a_field_of_another_type_is_refused(field: Field, attempt: Try) -> None:
    obj, where = occurrence(field)
    message = refusal(attempt, with_value(obj, where, OTHER_TYPE[field.schema["type"]]))
    assert f"{written(where)} in body must be of type {field.schema['type']}" in message


@pytest.mark.cluster
@pytest.mark.parametrize("field", [field for field in FIELDS if "required" in field.schema], ids=str)
def test_a_missing_field_is_named(field: Field, attempt: Try) -> None:
    obj, where = occurrence(field)
    for name in field.schema["required"]:
        less = {key: value for key, value in value_at(obj, where).items() if key != name}
        wrong = with_value(obj, where, less)
        assert f"{written(where)}.{name}: Required value" in refusal(attempt, wrong)
        with pytest.raises(ValidationError):
            SyncRolloutSpec.model_validate(wrong["spec"])


@pytest.mark.cluster
@pytest.mark.parametrize("field", [field for field in FIELDS if "enum" in field.schema], ids=str)
def test_another_word_is_refused_and_the_known_ones_are_told(field: Field, attempt: Try) -> None:
    obj, where = occurrence(field)
    wrong = with_value(obj, where, "Nonsense")
    words = ", ".join(f'"{word}"' for word in field.schema["enum"])
    assert f'{written(where)}: Unsupported value: "Nonsense": supported values: {words}' in refusal(attempt, wrong)
    with pytest.raises(ValidationError):
        SyncRolloutSpec.model_validate(wrong["spec"])
    for word in field.schema["enum"]:
        assert "Unsupported value" not in refusal(attempt, with_value(obj, where, word))


@pytest.mark.cluster
@pytest.mark.parametrize("field", [field for field in FIELDS if [*bounds(field.schema, [{}])]], ids=str)
def test_a_bound_holds_and_one_step_past_it_is_refused(field: Field, attempt: Try) -> None:
    obj, where = occurrence(field)
    for bound, past, sentence in bounds(field.schema, value_at(obj, where)):
        wrong = with_value(obj, where, past)
        message = refusal(attempt, wrong)
        assert f"{written(where)}: " in message
        assert sentence in message
        with pytest.raises(ValidationError):
            SyncRolloutSpec.model_validate(wrong["spec"])
        assert sentence not in refusal(attempt, with_value(obj, where, bound))


def test_every_list_map_and_string_is_bounded() -> None:
    unbounded = [
        str(field)
        for field in FIELDS
        if (field.schema["type"] == "array" and "maxItems" not in field.schema)
        or ("additionalProperties" in field.schema and "maxProperties" not in field.schema)
        or (field.schema["type"] == "string" and not field.schema.keys() & {"maxLength", "enum"})
    ]
    assert unbounded == []
