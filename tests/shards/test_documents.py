"""The examples of docs/workers.md are what the operator and the client take."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry
from prometheus_client import Gauge as RealGauge

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.shards import Assignment, Shards, slot

TEXT = (Path(__file__).parents[2] / "docs" / "workers.md").read_text(encoding="utf-8")
OBJECTS: dict[str, Any] = {
    each["kind"]: each for each in map(yaml.safe_load, re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL))
}
NAME = "SYNCROLLOUT_SHARDS"


def test_the_rollout_is_valid_and_names_the_workers_config_map() -> None:
    spec = SyncRolloutSpec.model_validate(OBJECTS["SyncRollout"]["spec"])
    assert spec.traffic.shards is not None
    volumes = OBJECTS["Deployment"]["spec"]["template"]["spec"]["volumes"]
    (container,) = OBJECTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    named = {volumes[0]["configMap"]["name"], container["envFrom"][0]["configMapRef"]["name"]}
    assert named == {spec.traffic.shards.config_map}


def test_the_client_finds_what_the_deployment_gives_it(mount: Any) -> None:
    (container,) = OBJECTS["Deployment"]["spec"]["template"]["spec"]["containers"]
    environ = {each["name"]: each.get("value", "u-1") for each in container["env"]}
    shards = Shards.from_env(environ)
    assert (shards.side, shards.uid) == ("old", "u-1")
    assert shards.refused.startswith(f"{container['volumeMounts'][0]['mountPath']}/{NAME} is not there")


def test_the_client_takes_the_environment_of_the_cron_job() -> None:
    (container,) = OBJECTS["CronJob"]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"]
    values = {"SYNCROLLOUT_SIDE": "old", "SYNCROLLOUT_EPOCH": "5"}
    environ = {each["name"]: values[each["name"]] for each in container["env"]}
    shards = Shards.from_env({**environ, NAME: Assignment(5, 100, 100).dump()})
    assert shards.obeyed_epoch == 5


async def test_the_programs_work(mount: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mount.put(Assignment(3, 500, 500))
    monkeypatch.setenv("SYNCROLLOUT_SIDE", "new")
    monkeypatch.setenv("SYNCROLLOUT_SHARDS_FILE", str(mount.path))
    monkeypatch.setenv("SYNCROLLOUT_POD_UID", "u-1")
    registry = CollectorRegistry()
    monkeypatch.setattr("prometheus_client.Gauge", lambda *given: RealGauge(*given, registry=registry))
    served, done = [], {}
    monkeypatch.setattr("syncrollout.shards.serve", lambda shards, port: served.append(port))
    keys = [str(number) for number in range(200)]
    names: dict[str, Any] = {"keys": lambda: keys, "sync": lambda key, write: done.update({key: write})}
    for program in re.findall(r"```python\n(.*?)```", TEXT, re.DOTALL):
        exec(program, names)  # noqa: S102 - the document's own
    assert served == [9101]
    assert done == {key: True for key in keys if slot(key) < 500}
    assert await names["work"](next(iter(done))) == 3
    assert registry.get_sample_value("syncrollout_shards_epoch", {"uid": "u-1"}) == 3
