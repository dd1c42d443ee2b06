"""The examples: a real API server takes each of them as it stands, and the flagship says what the plan says."""

from __future__ import annotations

import copy
import json
import subprocess
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from syncrollout.act.needs import needs
from syncrollout.act.target import Target
from syncrollout.api.spec import VERIFY, Approval, HandoverMethod, Metric, PhaseMode, SyncRolloutSpec
from syncrollout.api.words import API_VERSION, KIND, Severity
from syncrollout.decide import calendar
from syncrollout.observe.queries import fill
from syncrollout.ports import KindRef, ObjectRef
from syncrollout.shards.watcher import DIRECTORY
from testbed import Cluster

EXAMPLES = Path(__file__).parents[2] / "manifests" / "examples"
FLAGSHIP = EXAMPLES / "listing-sync"
Obj = dict[str, Any]
DAY = 86400.0


def objects(path: Path) -> list[Obj]:
    return [obj for obj in yaml.safe_load_all(path.read_text()) if obj]


EVERY = {str(path.relative_to(EXAMPLES)): path for path in sorted(EXAMPLES.rglob("*.yaml"))}
ROLLOUTS = {name: obj for name, path in EVERY.items() for obj in objects(path) if obj["kind"] == "SyncRollout"}


@pytest.fixture
def flagship() -> SyncRolloutSpec:
    return SyncRolloutSpec.model_validate(ROLLOUTS["listing-sync/20-syncrollout.yaml"]["spec"])


@pytest.mark.cluster
@pytest.mark.parametrize("name", EVERY)
def test_a_real_api_server_takes_it(name: str, gateway_api: Cluster, namespace: str) -> None:
    moved = []
    for obj in copy.deepcopy(objects(EVERY[name])):
        if "namespace" in obj["metadata"]:
            obj["metadata"]["namespace"] = namespace  # a dry run does not make the example's own
        moved.append(obj)
    text = json.dumps({"apiVersion": "v1", "kind": "List", "items": moved})
    said = gateway_api.kubectl("apply", "--server-side", "--dry-run=server", "-n", namespace, "-f", "-", input=text)
    assert len(said.splitlines()) == len(moved)


@pytest.mark.parametrize("name", ROLLOUTS)
def test_the_models_read_it_and_every_metric_is_used(name: str) -> None:
    spec = SyncRolloutSpec.model_validate(ROLLOUTS[name]["spec"])
    criteria = [each for phase in spec.phases for each in (*phase.success, *phase.rollback_on)]
    named = {each.metric for each in criteria if each.metric is not None}
    named |= {trigger.metric for trigger in spec.rollback.triggers if trigger.metric is not None}
    procedure = spec.rollback.procedure
    if procedure is not None and procedure.verify_system is not None:
        named |= {check.metric for check in procedure.verify_system.checks}
    if procedure is not None and procedure.restore is not None and procedure.restore.backup is not None:
        named.add(procedure.restore.backup.metric)
    checks = spec.preflight.checks if spec.preflight is not None else ()
    named |= {each.query.metric for each in checks if each.query is not None and each.query.metric is not None}
    assert {metric.name for metric in spec.metrics} == named


@pytest.mark.parametrize("name", ROLLOUTS)
def test_every_query_is_promql(name: str, promtool: Path, tmp_path: Path) -> None:
    """Filled in by the operator's own code, read by Prometheus' own parser."""
    spec = SyncRolloutSpec.model_validate(ROLLOUTS[name]["spec"])
    verify = [spec.metric(VERIFY)] if spec.traffic.verify is not None and spec.traffic.verify.query else []
    rules = [
        {"record": f"query:number_{number}", "expr": fill(metric, spec.new, "listings", "a-phase")}
        for number, metric in enumerate([*spec.metrics, *verify])
    ]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "queries", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True, check=False, timeout=30)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


def test_what_may_be_absent_while_nothing_fails_reads_as_zero(flagship: SyncRolloutSpec) -> None:
    """A counter of failures that has never counted has no series: that would be Unknown, and hold the phase."""

    def parts(metric: Metric) -> list[str]:
        return [metric.ratio.of, metric.ratio.over] if metric.ratio else [metric.query or ""]

    bare = [
        metric.name
        for metric in flagship.metrics
        for part in parts(metric)
        for word in ("_failed_total", "== 0", "ALERTS")
        if word in part and "or vector(0)" not in part
    ]
    assert bare == []


def test_the_minimal_example_is_under_30_lines() -> None:
    assert len((EXAMPLES / "minimal.yaml").read_text().splitlines()) < 30


def test_the_flagship_is_the_plan(flagship: SyncRolloutSpec) -> None:
    plan = [(phase.name, phase.weight, phase.duration / DAY, phase.retire_old) for phase in flagship.phases]
    assert plan == [
        ("parallel-run", 0, 7, False),
        ("small-traffic", 10, 3, False),
        ("medium-traffic", 50, 3, False),
        ("full-traffic", 100, 7, False),
        ("full-migration", 100, 0, True),
    ]


def test_the_flagship_asks_a_person_before_each_cut_over(flagship: SyncRolloutSpec) -> None:
    asks = [phase.name for phase in flagship.phases if phase.approval is Approval.REQUIRED]
    assert asks == ["parallel-run", "small-traffic", "medium-traffic", "full-traffic"]
    assert flagship.approval.approvers.named


def test_the_flagship_moves_in_business_hours_and_goes_back_at_any_hour(flagship: SyncRolloutSpec) -> None:
    assert flagship.schedule is not None
    known = calendar.calendar(flagship.schedule)
    assert known is not None
    friday_evening = datetime.fromisoformat("2026-12-04T17:00:00+09:00").timestamp()
    opens = known.next_open(friday_evening)
    assert opens is not None
    assert calendar.shown(flagship.schedule.timezone, opens) == "2026-12-07 10:00 JST"
    assert flagship.drill_timezone == "Asia/Tokyo"


def test_the_flagship_goes_back_where_the_plan_does(flagship: SyncRolloutSpec) -> None:
    limits = {
        phase.name: {each.metric: each.above for each in phase.rollback_on if each.above is not None}
        for phase in flagship.phases
    }
    assert limits["small-traffic"]["error-rate"] == 5
    assert limits["medium-traffic"]["error-rate"] == 3
    assert limits["medium-traffic"]["cpu"] == limits["medium-traffic"]["memory"] == 90
    assert limits["full-traffic"]["error-rate"] == 2
    twice = [each for each in flagship.phases[1].rollback_on if each.metric == "duration"]
    assert [(each.at_least, each.relative_to) for each in twice] == [(2.0, "Old")]
    critical = {each.metric: each.above for each in flagship.rollback.triggers if each.severity is Severity.CRITICAL}
    assert critical["error-rate"] == 10
    assert critical.keys() >= {"lost-listings", "targets-up", "security-alerts"}
    graded = {
        severity: {
            each.metric: each.above or each.at_least for each in flagship.rollback.triggers if each.severity is severity
        }
        for severity in (Severity.HIGH, Severity.MEDIUM)
    }
    assert (graded[Severity.HIGH]["error-rate"], graded[Severity.HIGH]["duration"]) == (5, 3)
    assert (graded[Severity.MEDIUM]["error-rate"], graded[Severity.MEDIUM]["duration"]) == (2, 2)
    assert graded[Severity.HIGH]["cpu"] == 95
    assert graded[Severity.MEDIUM]["memory"] == 85
    reports = {
        each.severity: (each.reports, each.at_least) for each in flagship.rollback.triggers if each.reports is not None
    }
    assert reports == {Severity.HIGH: (Severity.HIGH, 2), Severity.MEDIUM: (Severity.LOW, 3)}
    assert [each.reports for each in flagship.phases[1].success if each.metric is None] == [Severity.LOW]
    assert [each.job for each in flagship.rollback.triggers if each.job is not None] == ["listing-consistency"]
    assert [each.reports for each in flagship.phases[1].rollback_on if each.metric is None] == [Severity.HIGH]
    assert (flagship.rollback.high.within, flagship.rollback.medium.decide_within) == (DAY / 24, DAY)


def test_the_flagships_way_back_has_the_steps_and_budgets_of_the_plan(flagship: SyncRolloutSpec) -> None:
    procedure = flagship.rollback.procedure
    assert procedure is not None
    assert procedure.verify_data is not None
    assert procedure.restore is not None
    assert procedure.verify_system is not None
    steps = (procedure.switch, procedure.verify_data, procedure.restore, procedure.verify_system)
    assert [step.budget / 60 for step in steps] == [5, 15, 30, 15]
    assert procedure.switch.stop_new
    assert procedure.restore.backup is not None


def test_the_flagship_begins_in_the_shadow_and_is_judged_by_agreement(flagship: SyncRolloutSpec) -> None:
    first = flagship.phases[0]
    assert [phase.mode for phase in flagship.phases] == [PhaseMode.SHADOW, *[PhaseMode.LIVE] * 4]
    assert [each.at_least for each in first.success if each.metric == "agreement"] == [99]
    assert [each.below for each in first.rollback_on if each.metric == "agreement"] == [95]


def test_the_flagships_workers_read_the_assignment_and_are_asked_by_their_uid(flagship: SyncRolloutSpec) -> None:
    assert flagship.traffic.routes
    assert flagship.traffic.shards is not None
    assert flagship.traffic.shards.handover.method is HandoverMethod.ACK
    deployments = {
        obj["metadata"]["name"]: obj
        for obj in objects(FLAGSHIP / "00-systems.yaml")
        if "template" in obj.get("spec", {})
    }
    for side, system in (("old", flagship.old), ("new", flagship.new)):
        pod = deployments[system.workload.name]["spec"]["template"]["spec"]
        [container] = pod["containers"]
        env = {each["name"]: each for each in container["env"]}
        assert env["SYNCROLLOUT_SIDE"]["value"] == side
        assert env["SYNCROLLOUT_POD_UID"]["valueFrom"]["fieldRef"]["fieldPath"] == "metadata.uid"
        [volume] = [each for each in pod["volumes"] if "configMap" in each]
        assert volume["configMap"] == {"name": flagship.traffic.shards.config_map, "optional": True}
        [mount] = [each for each in container["volumeMounts"] if each["name"] == volume["name"]]
        assert mount["mountPath"] == str(DIRECTORY)
        assert "subPath" not in mount


def test_what_the_flagship_refers_to_is_applied_with_it() -> None:
    applied = [obj for path in sorted(FLAGSHIP.glob("*.yaml")) for obj in objects(path)]
    there = {(obj["kind"], obj["metadata"]["name"]) for obj in applied}
    [rollout] = [obj for obj in applied if obj["kind"] == "SyncRollout"]
    spec = SyncRolloutSpec.model_validate(rollout["spec"])
    for system in (spec.old, spec.new):
        assert (system.workload.kind, system.workload.name) in there
        assert ("Service", system.service) in there
    jobs = {each.job for phase in spec.phases for each in phase.success} | {each.job for each in spec.rollback.triggers}
    assert jobs - {None} == {"listing-consistency"}
    assert ("CronJob", "listing-consistency") in there
    for route in spec.traffic.routes:
        assert (route.kind, route.name) in there
    assert applied[0]["kind"] == "Namespace", "kubectl applies in this order"
    assert {obj["metadata"].get("namespace") for obj in applied[1:]} == {applied[0]["metadata"]["name"]}


CONVENIENT = {
    ("get", "", "secrets", "listing-sync-tls"): "the line `certificate` of the checklist",
    ("get", "", "pods/log", ""): "how far a Job is, and the logs of an incident report",
    **{(verb, "monitoring.coreos.com", "prometheusrules", ""): "alerts" for verb in ("get", "create", "patch")},
}
"""What the flagship's account may do beside what its run, or its way back, would stop without."""


def test_the_flagship_is_carried_out_as_an_account_that_may_do_what_the_plan_needs_and_no_more() -> None:
    [account, role, binding] = objects(FLAGSHIP / "05-account.yaml")
    rollout = ROLLOUTS["listing-sync/20-syncrollout.yaml"]
    spec = SyncRolloutSpec.model_validate(rollout["spec"])
    assert spec.service_account_name == account["metadata"]["name"]
    assert binding["roleRef"] == {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "mover"}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": "mover", "namespace": "listings"}]
    assert account["automountServiceAccountToken"] is False, "its Jobs need not move routes"
    granted = {
        (verb, group, resource, name)
        for rule in role["rules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for name in rule.get("resourceNames", [""])
        for verb in rule["verbs"]
    }
    own = ObjectRef(KindRef(API_VERSION, KIND), "listings", rollout["metadata"]["name"])
    needed = {
        (need.verb, need.ref.kind.group, f"{need.ref.kind.kind.lower()}s/{need.subresource}".rstrip("/"), need.ref.name)
        for need in needs(Target(own, spec, "1", ()))
    }
    assert {each for each in needed - granted if (*each[:3], "") not in granted} == set()
    assert granted - CONVENIENT.keys() - needed == set()
