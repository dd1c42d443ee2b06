"""Templates of messages before a run begins: what is remembered of them never outlives what it was true of."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import pytest

from fakes.kube import FakeKube
from syncrollout.act.target import Target
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND
from syncrollout.observe import templates
from syncrollout.observe.templates import Templates
from syncrollout.ports import KindRef, ObjectRef

SPEC = {
    "old": {"workload": {"kind": "Deployment", "name": "v1"}},
    "new": {"workload": {"kind": "Deployment", "name": "v2"}},
    "traffic": {"replicas": {"total": 10}},
    "phases": [{"name": "all", "weight": 100}],
    "notifications": {
        "audiences": [{"name": "team", "channels": [{"name": "chat", "urlFrom": {"name": "urls", "key": "chat"}}]}],
        "templates": {"configMap": "words"},
    },
}
TARGET = Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "move"), SyncRolloutSpec.model_validate(SPEC), "1", ())
OTHER = dataclasses.replace(TARGET, ref=dataclasses.replace(TARGET.ref, name="another"))


def put(kube: FakeKube, **data: str) -> None:
    metadata = {"name": "words", "namespace": "shop"}
    kube.put({"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data})


async def test_what_is_corrected_counts_at_the_next_look_and_what_is_broken_too() -> None:
    kube = FakeKube()
    looking = Templates(kube)
    for text, wrong in (("{{ nothing }}", True), ("{{ name }}", False), ("{{ nothing }}", True)):
        put(kube, **{"Held.en": text})
        for target in (TARGET, OTHER, TARGET):
            assert (await looking.problem(target) is not None) is wrong


async def test_what_has_not_changed_is_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    kube = FakeKube()
    tried: list[str] = []

    def mistakes(spec: SyncRolloutSpec, name: str, own: Mapping[str, str]) -> list[str]:
        tried.extend(own)
        return []

    monkeypatch.setattr(templates, "mistakes", mistakes)
    looking = Templates(kube)
    put(kube, **{"Held.en": "{{ name }}", "Held.ja": "{{ name }}"})
    for _ in range(3):
        assert await looking.problem(TARGET) is None
    assert tried == ["Held.en", "Held.ja"]
