"""Every example is tried on the real API server: what is valid is taken, what is not is refused in plain words."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest

from crd import examples
from crd.conftest import Try
from crd.examples import Example
from syncrollout.api.spec import SyncRolloutSpec
from testbed import KubeError

VALID = examples.load("valid")
INVALID = examples.load("invalid")


@pytest.mark.cluster
@pytest.mark.parametrize("example", VALID, ids=lambda example: example.name)
def test_valid_is_accepted_and_means_the_same_to_the_models(example: Example, attempt: Try) -> None:
    stored = attempt(example.manifest)
    for path, value in example.becomes.items():
        assert examples.at(stored, path) == value, path
    assert SyncRolloutSpec.model_validate(stored["spec"]) == SyncRolloutSpec.model_validate(example.manifest["spec"])


@pytest.mark.cluster
@pytest.mark.parametrize("example", INVALID, ids=lambda example: example.name)
def test_invalid_is_refused_with_these_sentences_and_no_other(example: Example, attempt: Try) -> None:
    with pytest.raises(KubeError) as refused:
        attempt(example.manifest)
    # Some versions of the API server also name the type of an object that breaks a rule.
    rest = re.sub(r'Invalid value: "(object|array)": ', "Invalid value: ", refused.value.message)
    for sentence in example.expect:
        assert sentence in rest
        rest = rest.replace(sentence, "", 1)
    assert example.expect
    assert re.fullmatch(r"SyncRollout\b.*?(is invalid|cannot be handled as a SyncRollout):[\s\[\],]*", rest), rest


def validations(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    for validation in schema.get("x-kubernetes-validations", ()):
        yield path, validation
    for name, field in schema.get("properties", {}).items():
        yield from validations(field, f"{path}.{name}")
    if "items" in schema:
        yield from validations(schema["items"], f"{path}[]")


def test_every_rule_has_an_invalid_example() -> None:
    expected = [sentence for example in INVALID for sentence in example.expect]
    untried = []
    for path, validation in validations(examples.root_schema()["properties"]["spec"]):
        words = re.findall(r"'([^']*)'", validation.get("messageExpression", "")) or [validation["message"]]
        if not any(all(word in sentence for word in words) for sentence in expected):
            untried.append(f"{path}: {validation['message']}")
    assert untried == []
