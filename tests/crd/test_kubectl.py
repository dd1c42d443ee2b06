"""What a person sees through kubectl."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from crd import examples
from testbed import Cluster, KubectlFailed, KubeError
from testbed.waiting import eventually

API = ("syncrollout.io/v1alpha1", "SyncRollout")
pytestmark = pytest.mark.cluster


def manifest(namespace: str, change: dict[str, Any]) -> str:
    return yaml.safe_dump(examples.merged(examples.renamed(examples.base(), "example", namespace), change))


def test_a_misspelt_field_is_refused_by_name(installed: Cluster, namespace: str) -> None:
    with pytest.raises(KubectlFailed) as refused:
        installed.kubectl("apply", "-f", "-", input=manifest(namespace, {"spec": {"paused": True}}))
    assert 'unknown field "spec.paused"' in refused.value.stderr


def test_a_broken_rule_is_one_line(installed: Cluster, namespace: str) -> None:
    phases = [{"name": "all", "weight": 100, "duration": "7 days"}]
    with pytest.raises(KubectlFailed) as refused:
        installed.kubectl("apply", "-f", "-", input=manifest(namespace, {"spec": {"phases": phases}}))
    assert refused.value.stderr.strip() == (
        'The SyncRollout "example" is invalid: spec.phases[0].duration: Invalid value: "7 days": not a duration; '
        "write whole numbers with units s, m, h, d or w, such as 90s, 1h30m or 7d, at most 999w"
    )


def test_get_shows_where_a_rollout_is(installed: Cluster, namespace: str) -> None:
    installed.kubectl("apply", "-f", "-", input=manifest(namespace, {}))
    message = "half has lasted 1h of 3h; all criteria pass"
    status = {
        "phase": {"name": "half", "index": 1, "label": "1/2 half", "entered": "2026-07-01T10:00:00.000Z"},
        "weight": 50,
        "state": "Progressing",
        "health": "Healthy",
        "next": "all in 2h",
        "message": message,
    }
    installed.kube.patch(*API, "example", namespace, {"status": status}, subresource="status")
    header, row = installed.kubectl("get", "sro", "-n", namespace).splitlines()
    assert header.split() == ["NAME", "PHASE", "WEIGHT", "STATUS", "HEALTH", "NEXT", "AGE"]
    assert row.split()[:-1] == ["example", "1/2", "half", "50", "Progressing", "Healthy", "all", "in", "2h"]
    wide = installed.kubectl("get", "syncrollouts", "-n", namespace, "-o", "wide").splitlines()
    assert wide[0].split()[-1] == "MESSAGE"
    assert message in wide[1]
    assert "syncrollout.syncrollout.io/example" in installed.kubectl("get", "all", "-n", namespace)


def test_explain_shows_text_for_every_field(installed: Cluster) -> None:
    def explained() -> str:
        try:
            return installed.kubectl("explain", "syncrollout.spec.phases")
        except KubectlFailed as error:
            # The schema reaches the published API description a moment after the CRD is served.
            raise KubeError(404, "NotYet", error.stderr, "kubectl explain") from error

    text = eventually(explained, what="kubectl explain knows the kind", timeout=30)
    assert "The steps, in order." in text
    fields = examples.root_schema()["properties"]["spec"]["properties"]["phases"]["items"]["properties"]
    flat = " ".join(text.split())
    for name, schema in fields.items():
        assert f" {name} <" in flat
        assert schema["description"] in flat
