"""The Job of a step: what of its template stays, and what is put on it."""

from __future__ import annotations

import copy
from typing import Any

from syncrollout.act.jobs import KEEP, manifest
from syncrollout.act.target import Target
from syncrollout.api.spec import JobSource, SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND, Step
from syncrollout.decide.actions import CreateJob
from syncrollout.ports import KindRef, ObjectRef

TEMPLATE: dict[str, Any] = {
    "metadata": {"labels": {"team": "listings"}, "annotations": {"a": "b"}},
    "spec": {
        "restartPolicy": "OnFailure",
        "serviceAccountName": "checks",
        "initContainers": [{"name": "wait", "image": "w"}],
        "containers": [
            {
                "name": "check",
                "image": "c",
                "terminationMessagePolicy": "File",
                "env": [
                    {"name": "SINCE", "value": "$(ROLLOUT_STARTED)"},
                    {"name": "ROLLOUT_NAME", "value": "theirs"},
                    {"name": "PASSWORD", "valueFrom": {"secretKeyRef": {"name": "db", "key": "password"}}},
                ],
            }
        ],
    },
}


def _made(template: dict[str, Any], message: str = "bad", keep: float = KEEP) -> dict[str, Any]:
    variables = (("ROLLOUT_NAME", "sync"), ("ROLLOUT_MESSAGE", message))
    source = JobSource.model_validate({"template": template})
    action = CreateJob(Step.VERIFY_DATA, "sync-verify-data-1", source, 90, variables)
    spec = SyncRolloutSpec.model_construct()
    target = Target(ObjectRef(KindRef(API_VERSION, KIND), "shop", "sync"), spec, "1", (), "uid-1")
    assert source.template is not None
    return manifest(target, action, source.template.manifest, keep)


def test_the_pod_runs_once_and_no_longer_than_it_may() -> None:
    spec = _made(TEMPLATE)["spec"]
    assert spec["template"]["spec"]["restartPolicy"] == "Never"
    assert (spec["backoffLimit"], spec["activeDeadlineSeconds"]) == (0, 90)


def test_it_goes_some_time_after_it_has_ended_and_not_before_its_deadline() -> None:
    """Until then one that is missing is made: it would run twice."""
    assert _made(TEMPLATE)["spec"]["ttlSecondsAfterFinished"] == 7 * 86400
    assert _made(TEMPLATE, keep=60.0)["spec"]["ttlSecondsAfterFinished"] == 90


def test_what_the_owner_wrote_stays() -> None:
    template = _made(TEMPLATE)["spec"]["template"]
    assert template["metadata"]["annotations"] == {"a": "b"}
    assert template["metadata"]["labels"]["team"] == "listings"
    assert template["spec"]["serviceAccountName"] == "checks"
    containers = template["spec"]["containers"]
    assert containers[0]["env"][-2:] == [TEMPLATE["spec"]["containers"][0]["env"][n] for n in (0, 2)]


def test_the_end_of_the_log_is_kept_of_a_container_that_fails() -> None:
    pod = _made(TEMPLATE)["spec"]["template"]["spec"]
    policies = [each["terminationMessagePolicy"] for each in (*pod["containers"], *pod["initContainers"])]
    assert policies == ["FallbackToLogsOnError"] * 2


def test_every_container_is_told_before_its_own_variables() -> None:
    template = _made(TEMPLATE, "$(HOME) costs $5")["spec"]["template"]["spec"]
    ours = [
        {"name": "ROLLOUT_NAME", "value": "sync"},
        {"name": "ROLLOUT_MESSAGE", "value": "$$(HOME) costs $$5"},  # which Kubernetes reads as $(HOME) costs $5
        {"name": "ROLLOUT_NAMESPACE", "value": "shop"},
    ]
    assert template["containers"][0]["env"][:3] == ours
    assert template["initContainers"][0]["env"] == ours
    assert [each["name"] for each in template["containers"][0]["env"]].count("ROLLOUT_NAME") == 1


def test_it_belongs_to_the_rollout_and_says_so() -> None:
    made = _made(TEMPLATE)
    assert made["metadata"]["ownerReferences"][0]["uid"] == "uid-1"
    labels = {"syncrollout.io/rollout": "sync", "syncrollout.io/step": "VerifyData"}
    assert made["metadata"]["labels"] == labels
    assert labels.items() <= made["spec"]["template"]["metadata"]["labels"].items()


def test_the_template_itself_is_left_as_it_is() -> None:
    before = copy.deepcopy(TEMPLATE)
    _made(TEMPLATE)
    assert before == TEMPLATE
