"""SyncRollouts that nobody would write: what is refused is refused in words, what is taken can be run."""

from __future__ import annotations

import contextlib
import json
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from crd import examples
from decide.world import World
from fuzz.choices import Choices
from fuzz.values import changed
from syncrollout.api import crd
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.api.words import Language, MessageEvent, Side
from syncrollout.cli import mistakes
from syncrollout.decide.timeline import timeline
from syncrollout.messages.facts import About
from syncrollout.messages.samples import sample
from syncrollout.messages.writing import write
from syncrollout.monitoring import MonitoringError, Subject
from syncrollout.monitoring.objects import dashboard_files, rules_text
from syncrollout.runtime.rollouts import Rollouts

NOW = 1_790_000_000.0
PASSES = 12


@cache
def schema() -> dict[str, Any]:
    """The CRD's, of the spec."""
    whole: dict[str, Any] = crd.build()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec: dict[str, Any] = whole["properties"]["spec"]
    return spec


@cache
def sound() -> tuple[dict[str, Any], ...]:
    """The valid examples, which together use every field."""
    base = _read(examples.HERE / "base.yaml")
    return tuple(examples.merged(base, _read(path)) for path in sorted((examples.HERE / "valid").glob("*.yaml")))


def _read(path: Path) -> Any:
    """By libyaml, where there is one: the fuzzer begins anew for each target."""
    return yaml.load(path.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))  # noqa: S506 - both are safe


def manifest(choices: Choices) -> dict[str, Any]:
    """An example with some changes."""
    base = choices.of(sound())
    return base | {"spec": changed(schema(), base["spec"], choices)}


def try_manifest(data: bytes) -> None:
    """One is made of the bytes; it is validated, read as the operator reads what is stored, and run if it can be."""
    choices = Choices(data)
    made = manifest(choices)
    try:
        text = json.dumps(made)
    except ValueError:
        return  # no API server would be sent it
    found = mistakes.check(text, "fuzz.yaml").mistakes
    for mistake in found:
        assert "\n" not in mistake.text.strip(), mistake.text
    stored = made | {
        "metadata": made["metadata"] | {"namespace": "default", "uid": "6f1c", "resourceVersion": "1", "generation": 1}
    }
    rollout = Rollouts().put(stored) if isinstance(made["spec"], dict) else None
    if rollout is None:
        return
    rollout.parse()
    if found:
        return
    assert rollout.spec_problem is None, f"validate finds nothing, and the operator says: {rollout.spec_problem}"
    spec = rollout.spec
    assert spec is not None
    _shown(spec, choices)
    _run(made["spec"], choices)


def _shown(spec: SyncRolloutSpec, choices: Choices) -> None:
    """What is made of a spec for people."""
    subject = Subject("default", "fuzz", spec)
    with contextlib.suppress(MonitoringError):  # which says what there is too much of
        choices.of((rules_text, dashboard_files))(subject)
    status = SyncRolloutStatus()
    timeline(spec, status, None, NOW)
    message, then = sample(spec, status, choices.of(tuple(MessageEvent)), NOW)
    written = write(About("fuzz", "default", spec, then), message, "ops", choices.of(tuple(Language)))
    assert written.title
    assert not written.wrong


def _run(document: dict[str, Any], choices: Choices) -> None:
    """Some passes; `World.step` checks what must hold of each."""
    world = World(document)
    for _ in range(PASSES):
        event = choices.below(8)
        if event == 0 and world.spec.metrics:
            metric = choices.of(world.spec.metrics).name
            world.read(metric, float(choices.below(200)), choices.of(tuple(Side)))
        elif event == 1 and world.values:
            world.values.pop(choices.of(sorted(world.values, key=repr)))
        elif event == 2:
            world.restart()
        elif event == 3:
            world.drift(float(choices.below(101)))
        world.step(float(choices.of((0, 1, 10, 61, 600, 86_400))))
        SyncRolloutStatus.model_validate(json.loads(json.dumps(_dumped(world.status))))


def _dumped(status: SyncRolloutStatus) -> dict[str, Any]:
    return status.model_dump(mode="json", by_alias=True, exclude_none=True)


__all__ = ["manifest", "try_manifest"]
