"""Whatever the models can write as a status, the real API server stores and gives back the same."""

from __future__ import annotations

import itertools
import json
import types
import typing
from collections import defaultdict
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin

import annotated_types
import pytest
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from crd import examples
from syncrollout.act.record import status_json, status_patch
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import ConditionType, Health, Reason, Role, State, Unknown, Verdict
from testbed import Cluster, Kube, KubeError

API = ("syncrollout.io/v1alpha1", "SyncRollout")
pytestmark = pytest.mark.cluster


class Filler:
    """Fills every field of a model as far as it goes: longest texts, longest lists, the words of an enum in turn."""

    def __init__(self) -> None:
        self._counter = itertools.count()
        self._turns: defaultdict[Any, itertools.count[int]] = defaultdict(itertools.count)

    def status(self) -> SyncRolloutStatus:
        status: SyncRolloutStatus = self.model(SyncRolloutStatus)
        # The types of conditions are the key of their list, and there are fewer than it may hold.
        distinct = {condition.type: condition for condition in status.conditions}
        return status.model_copy(update={"conditions": tuple(distinct.values())})

    def model(self, of: type[BaseModel]) -> Any:
        return of(**{name: self.value(field.annotation, field.metadata) for name, field in of.model_fields.items()})

    def value(self, annotation: Any, metadata: list[Any]) -> Any:
        origin, arguments = get_origin(annotation), get_args(annotation)
        if origin is typing.Annotated:
            inner, *more = arguments
            flat = [part for each in more for part in (each.metadata if isinstance(each, FieldInfo) else [each])]
            return self.value(inner, [*flat, *metadata])
        if origin in (types.UnionType, typing.Union):
            return self.value(next(each for each in arguments if each is not type(None)), metadata)
        if origin is tuple:
            return tuple(self.value(arguments[0], []) for _ in range(_most(metadata)))
        if origin is Literal:
            return self.word(arguments)
        return self.plain(annotation, metadata)

    def word(self, words: Sequence[Any]) -> Any:
        return words[next(self._turns[tuple(words)]) % len(words)]

    def plain(self, annotation: Any, metadata: list[Any]) -> Any:
        if issubclass(annotation, BaseModel):
            return self.model(annotation)
        if issubclass(annotation, StrEnum):
            return self.word(list(annotation))
        if annotation is str:
            return f"{next(self._counter)}-".ljust(_most(metadata), "x")
        if annotation is bool:
            return self.word((True, False))
        if annotation in (int, float):
            return annotation(1234567.25 + next(self._counter))
        pytest.fail(f"no value for {annotation}")


def _most(metadata: list[Any]) -> int:
    return next(int(each.max_length) for each in metadata if isinstance(each, annotated_types.MaxLen))


@pytest.fixture
def kube(installed: Cluster) -> Kube:
    return installed.kube


@pytest.fixture
def created(kube: Kube, namespace: str) -> dict[str, Any]:
    return kube.create(examples.renamed(examples.base(), "example", namespace))


def put(kube: Kube, obj: dict[str, Any], status: Any) -> dict[str, Any]:
    namespace, name = obj["metadata"]["namespace"], obj["metadata"]["name"]
    answer: dict[str, Any] = kube.request(
        "PUT",
        f"/apis/{API[0]}/namespaces/{namespace}/syncrollouts/{name}/status",
        {**obj, "status": status},
        query={"fieldValidation": "Strict"},
    )
    return answer


def test_everything_that_can_be_written_is_stored(kube: Kube, created: dict[str, Any]) -> None:
    filler = Filler()
    left = {f'"{word}"' for word in (*State, *Reason, *Verdict, *Role, *Unknown, *Health, *ConditionType)}
    for _ in Reason:  # each status has some words of an enum, and the next one goes on from there
        status = filler.status()
        created = put(kube, created, status_json(status))
        assert SyncRolloutStatus.model_validate(created["status"]) == status
        text = json.dumps(created["status"])
        left = {word for word in left if word not in text}
        if not left:
            return
    assert left == set()


def test_the_least_that_can_be_written_is_stored(kube: Kube, created: dict[str, Any]) -> None:
    stored = put(kube, created, status_json(SyncRolloutStatus()))
    assert SyncRolloutStatus.model_validate(stored["status"]) == SyncRolloutStatus()


def test_an_empty_status_is_not_filled_in_by_the_server(kube: Kube, created: dict[str, Any]) -> None:
    assert "status" not in created
    assert put(kube, created, {})["status"] == {}


def test_the_operators_patch_goes_from_full_to_least_and_back(kube: Kube, created: dict[str, Any]) -> None:
    recorded: dict[str, Any] = {}
    filler = Filler()
    for status in (filler.status(), SyncRolloutStatus(), filler.status(), filler.status()):
        patch = status_patch(recorded, status, created["metadata"]["resourceVersion"])
        created = kube.patch(*API, "example", created["metadata"]["namespace"], patch, subresource="status")
        recorded = created["status"]
        assert SyncRolloutStatus.model_validate(recorded) == status


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ("phaze", 'unknown field "status.phaze"'),
        ("state", 'status.state: Unsupported value: "x"'),
        ("weight", "weight in body must be of type integer"),
    ],
)
def test_what_the_models_cannot_write_is_refused(
    field: str, sentence: str, kube: Kube, created: dict[str, Any]
) -> None:
    with pytest.raises(KubeError) as refused:
        put(kube, created, {field: "x"})
    assert sentence in refused.value.message
