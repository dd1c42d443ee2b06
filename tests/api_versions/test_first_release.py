"""The whole way of an API version on a real API server: what the first release stored is carried on by today's
operator, v1beta1 is served beside v1alpha1 and stored, all is migrated, v1alpha1 goes, with rollouts in flight."""

from __future__ import annotations

import contextlib
import io
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api_versions.recorded import CRD, KIND, NAMES, definition, holds, of_now, put, recorded, stored_as, what_it_says
from e2e import plan
from e2e.operators import Operator, install
from syncrollout.api.crd import ApiVersion, build
from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.cli.plugin import main
from testbed import Exporter, Kube, Kwok, Obj, Process, Prometheus, given
from testbed.cluster import kubectl_program
from testbed.controlplane import ControlPlane
from testbed.kwok import deployment
from testbed.namespaces import create_namespace
from testbed.served import serve_gateway_api, until_served
from testbed.waiting import eventually

pytestmark = [pytest.mark.cluster, pytest.mark.own_cluster]

ALPHA, BETA = "syncrollout.io/v1alpha1", "syncrollout.io/v1beta1"
DEPRECATED = f"{ALPHA} {KIND} is deprecated; use {BETA}"
MOVING = ("holding", "in-flight", "paused")
AT_END = ("completed", "rolled-back")
NEXT_RELEASE = """
import sys
import syncrollout.api.words as words
words.VERSION, words.API_VERSION = "v1beta1", "syncrollout.io/v1beta1"
from syncrollout.cli.main import main
sys.exit(main(sys.argv[1:]))
"""
"""An operator that works through v1beta1: all that tells it from today's is the name."""


@pytest.fixture(scope="module")
def cluster(prometheus: Prometheus, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """A control plane of its own: the CRD of others must not be taken back to its beginnings."""
    del prometheus  # the process has entered its network before
    if given.wanted():
        pytest.skip("needs a control plane of its own, whose CRD it may take back to its beginnings")
    run_dir = tmp_path_factory.mktemp("api-versions")
    with ControlPlane(run_dir, audit=False) as started, Kwok(started):
        yield started


class Story:
    """The rollouts and those who work on them."""

    def __init__(self, cluster: ControlPlane, run_dir: Path) -> None:
        self.cluster = cluster
        self.kube: Kube = cluster.kube
        self.run_dir = run_dir
        self.operators: list[Operator] = []
        self.namespaces: dict[str, str] = {}

    def operator(self, name: str, *flags: str, next_release: bool = False) -> Operator:
        token = self.cluster.token_for("syncrollout-system", "syncrollout")
        made = Operator(name, self.cluster, token, flags, self.run_dir)
        if next_release:
            environment = {"KUBECONFIG": made.process._env["KUBECONFIG"]}
            argv = [sys.executable, "-c", NEXT_RELEASE, *made.process.argv[3:]]
            made.process = Process(name, argv, run_dir=self.run_dir, env=environment)
        self.operators.append(made)
        return made.start()

    def serve(self, *versions: ApiVersion) -> None:
        """A CRD with these versions, and until they are served."""
        self.kube.apply(build(versions))
        for each in versions:
            if each.served:
                path = f"/apis/syncrollout.io/{each.name}/syncrollouts"
                eventually(lambda path=path: self.kube.request("GET", path), what=f"{path} to be served")  # type: ignore[misc]

    def get(self, name: str, api_version: str = ALPHA) -> Obj:
        return self.kube.get(api_version, KIND, name, self.namespaces[name])

    def weight(self, name: str) -> int:
        route = self.kube.get(plan.GATEWAY_API, "HTTPRoute", "web", self.namespaces[name])
        return next(int(each["weight"]) for each in route["spec"]["rules"][0]["backendRefs"] if each["name"] == "new")

    def until(self, name: str, state: str, api_version: str = ALPHA) -> Obj:
        return self.kube.wait_for(
            api_version,
            KIND,
            name,
            self.namespaces[name],
            lambda obj: obj["status"]["state"] == state,
            timeout=30,
            what=f"to be {state}",
        )

    def until_ready(self, name: str) -> None:
        """Both systems stand."""
        for workload in ("old", "new"):
            self.kube.wait_for(
                *("apps/v1", "Deployment", workload, self.namespaces[name]),
                lambda obj: obj.get("status", {}).get("readyReplicas") == 1,
                timeout=30,
            )

    def edit(self, name: str, **spec: Any) -> None:
        self.kube.patch(BETA, KIND, name, self.namespaces[name], {"spec": spec})

    def stored(self) -> list[str]:
        """In which versions the CRD says that objects are kept."""
        kept: list[str] = self.kube.get(*CRD)["status"]["storedVersions"]
        return kept

    def kept(self, *names: str) -> set[str]:
        """In which versions etcd has them."""
        found = stored_as(self.cluster)
        return {found[f"{self.namespaces[name]}/{name}"] for name in names or NAMES}

    def kubectl(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        command = [kubectl_program(), "--kubeconfig", str(self.cluster.kubeconfig), *arguments]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)

    def plugin(self, *arguments: str) -> str:
        """What the plugin prints; it has to end well."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
            code = main([*arguments, f"--kubeconfig={self.cluster.kubeconfig}"])
        assert code == 0, printed.getvalue()
        return printed.getvalue()


@pytest.fixture
def story(cluster: ControlPlane, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Story]:
    monkeypatch.setenv("KUBECTL_SYNCROLLOUT_KUBECTL", kubectl_program())
    made = Story(cluster, tmp_path)
    yield made
    for operator in made.operators:
        operator.process.kill()


def test_under_the_crd_of_the_first_release_todays_operator_says_so_and_still_sends_traffic_back(
    story: Story, prometheus: Prometheus, exporter: Exporter
) -> None:
    serve_gateway_api(story.kube)
    install(story.cluster)
    story.kube.apply(definition())
    eventually(lambda: "pool" not in _published(story), what="the first release's schema to be published")
    _put(story, "in-flight", prometheus, exporter)
    story.until_ready("in-flight")
    operator = story.operator("too-new", f"--namespace={story.namespaces['in-flight']}")
    status, said = eventually(
        lambda: page if "older than this program" in (page := operator.page("/readyz"))[1] else None,
        what="the operator to have looked at the CRD",
    )
    assert status == 200, "it goes on"
    assert "is not known" in said
    assert operator.metrics()['syncrollout_crd_match{match="older"}'] == 1
    story.kube.patch(ALPHA, KIND, "in-flight", story.namespaces["in-flight"], {"spec": {"emergencyStop": True}})
    eventually(lambda: story.weight("in-flight") == 0, what="traffic to be back at old", timeout=30)
    operator.stop()
    metadata = {"metadata": {"finalizers": []}}
    story.kube.patch(ALPHA, KIND, "in-flight", story.namespaces["in-flight"], metadata)
    story.kube.delete(ALPHA, KIND, "in-flight", story.namespaces["in-flight"])


def _published(story: Story) -> list[str]:
    """Fields of the spec, as the API server tells of them."""
    document = story.kube.request("GET", "/openapi/v3/apis/syncrollout.io/v1alpha1")
    return list(
        document["components"]["schemas"][f"io.syncrollout.v1alpha1.{KIND}"]["properties"]["spec"]["properties"]
    )


def test_from_the_first_release_to_one_without_v1alpha1_with_rollouts_in_flight(
    story: Story, prometheus: Prometheus, exporter: Exporter
) -> None:
    serve_gateway_api(story.kube)
    # -- the first release has been at work
    story.kube.apply(definition())
    until_served(story.kube, CRD[2])
    written = {name: _put(story, name, prometheus, exporter) for name in NAMES}
    for name in MOVING:
        story.until_ready(name)
    assert story.kept() == {ALPHA}

    # -- today's CRD over it: not a word of what was written is lost, and today's models read it
    install(story.cluster)
    for name in NAMES:
        now = story.get(name)
        assert holds(what_it_says(now), what_it_says(written[name]))
        SyncRolloutSpec.model_validate(now["spec"])
        SyncRolloutStatus.model_validate(now["status"])

    # -- today's operator judges them, and moves none that should stand
    today = story.operator("today")
    for name in MOVING:
        _judged(today, story.namespaces[name])
        assert story.weight(name) == 10
        now = story.get(name)["status"]
        assert now["state"] == written[name]["status"]["state"], now["message"]
    for name in AT_END:
        untouched = story.get(name)["metadata"]["resourceVersion"] == written[name]["metadata"]["resourceVersion"]
        assert untouched, f"{name} is at rest, and nothing is written to it"

    # -- v1beta1 is served and stored; both versions read the same, and the old one warns
    beta = ApiVersion("v1beta1", storage=True)
    story.serve(ApiVersion("v1alpha1", deprecated=DEPRECATED), beta)
    for name in AT_END:
        assert what_it_says(story.get(name, BETA)) == what_it_says(story.get(name))
        assert holds(what_it_says(story.get(name, BETA)), what_it_says(written[name]))
    assert f"Warning: {DEPRECATED}" in story.kubectl("get", "syncrollouts.v1alpha1.syncrollout.io", "-A").stderr
    assert story.kept(*AT_END) == {ALPHA}, "nobody has written them"
    story.edit("paused", suspend=False)
    story.until("paused", "Progressing")  # what is said by v1beta1 is heard by an operator that works through v1alpha1
    assert story.kept("paused") == {BETA}
    assert story.stored() == ["v1alpha1", "v1beta1"]

    # -- all is migrated while the operator works
    assert "nothing was done" in story.plugin("migrate-storage", "--dry-run=server")
    assert story.stored() == ["v1alpha1", "v1beta1"]
    assert "Every SyncRollout is stored as v1beta1." in story.plugin("migrate-storage", "--yes")
    assert story.kept() == {BETA}
    assert story.stored() == ["v1beta1"]
    assert "there is nothing to do" in story.plugin("migrate-storage", "--yes")

    # -- the operator of the next release takes over; v1alpha1 is not served any more, then it is gone
    today.stop()
    story.operator("next", next_release=True)
    story.serve(ApiVersion("v1alpha1", served=False), beta)
    story.serve(beta)
    _ends_well(story)


def _judged(operator: Operator, namespace: str) -> None:
    """This operator has readings of it."""

    def read() -> bool:
        of = f'namespace="{namespace}"'
        return any(of in series and "criterion_reading" in series for series in operator.metrics())

    eventually(read, what=f"{namespace} to be judged by {operator.name}", timeout=30)


def _put(story: Story, name: str, prometheus: Prometheus, exporter: Exporter) -> Obj:
    """The object, and what it moves as it stood, in a namespace of its own."""
    namespace = story.namespaces[name] = create_namespace(story.kube, name)
    obj = of_now(recorded(name))
    obj["metadata"]["namespace"] = namespace
    obj["spec"]["prometheus"]["address"] = prometheus.address
    for workload in ("old", "new"):
        labels = {"workload": workload, "namespace": namespace}
        errors = 2.0 if name == "holding" and workload == "new" else 0.2
        exporter.set_many([("e2e_errors", labels, errors), ("e2e_duration", labels, 1.0)])
        story.kube.create(deployment(workload, namespace))
        story.kube.create(plan.service(workload, namespace))
    route = plan.route("web", namespace)
    to_old, to_new = route["spec"]["rules"][0]["backendRefs"]
    to_old["weight"], to_new["weight"] = 100 - obj["status"]["weight"], obj["status"]["weight"]
    story.kube.create(route)
    return put(story.kube, obj)


def _ends_well(story: Story) -> None:
    """What the first release has begun ends under the operator of a later one: forwards, and back."""
    phases: list[Obj] = story.get("in-flight", BETA)["spec"]["phases"]
    story.edit("in-flight", phases=[{**each, "duration": "1s"} for each in phases])
    done = story.until("in-flight", "Completed", BETA)
    assert story.weight("in-flight") == 100
    history = recorded("in-flight")["status"]["history"]
    assert [each["message"] for each in done["status"]["history"]][: len(history)] == [
        each["message"] for each in history
    ], "its history goes back to the first release"
    story.edit("holding", emergencyStop=True)
    story.until("holding", "RolledBack", BETA)
    assert story.weight("holding") == 0
    assert story.kept() == {BETA}
