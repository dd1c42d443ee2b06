"""The rights of `manifests/` are the rights that are used: none is missing, none is idle. Runs last, for it looks at
what all the other scenarios have brought about."""

from __future__ import annotations

import pytest
import yaml

from e2e.operators import ROOT, USER, Operator
from e2e.rights import Right, granted, rights_of
from e2e.scene import WHOLE, Stage
from testbed import AuditEvent

pytestmark = pytest.mark.cluster
FLAGSHIP = ROOT / "manifests" / "examples" / "listing-sync" / "05-account.yaml"
ON_BEHALF = "impersonate-on:serviceaccount:"
OWN = {
    Right("syncrollout.io", "syncrollouts", "patch"),
    Right("syncrollout.io", "syncrollouts/status", "patch"),
    Right("", "events", "create"),
    Right("coordination.k8s.io", "leases", "create"),
    Right("coordination.k8s.io", "leases", "patch"),
    Right("authorization.k8s.io", "localsubjectaccessreviews", "create"),
}
"""What the operator changes or makes as itself, whatever a rollout names."""
_ONCE = "the kind is served in one scenario alone, whose rollout names an account"
ONE_NAME = {
    Right("monitoring.coreos.com", "prometheusrules", "get"): _ONCE,
    Right("monitoring.coreos.com", "prometheusrules", "create"): _ONCE,
    Right("monitoring.coreos.com", "prometheusrules", "patch"): _ONCE,
    Right("snapshot.storage.k8s.io", "volumesnapshots", "get"): _ONCE,
    Right("snapshot.storage.k8s.io", "volumesnapshots", "list"): _ONCE,
    Right("apps", "statefulsets/scale", "patch"): "one scenario retires a StatefulSet, and names an account",
    Right("apps", "statefulsets", f"{ON_BEHALF}patch"): "one scenario stamps the pods of a StatefulSet, and names none",
}
"""Rights that are used in one name alone, the operator's or an account's, and why. All that the flagship's account may
is used on behalf of accounts."""
AS_ACCOUNT = Right("authentication.k8s.io", "serviceaccounts", "impersonate:serviceaccount")


@pytest.fixture
def asked(stage: Stage) -> list[AuditEvent]:
    """Every request of the operator's ServiceAccount since the stage was set."""
    return [event for event in stage.cluster.audit.since(stage.began) if event.user == USER and event.resource]


def _rights(event: AuditEvent) -> set[Right]:
    """What the request has needed of the operator's rights."""
    resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
    if not event.impersonated:
        return {Right(event.api_group, resource, event.verb)}
    return {AS_ACCOUNT, in_account(Right(event.api_group, resource, event.verb))}


def of_the_flagship() -> set[Right]:
    """What the account of the worked example is allowed."""
    [role] = [obj for obj in yaml.safe_load_all(FLAGSHIP.read_text()) if obj["kind"] == "Role"]
    return rights_of(role["rules"])


def in_account(right: Right) -> Right:
    """The right to have the same done on behalf of an account; that one itself where it is one."""
    return right if ":" in right.verb else Right(right.group, right.resource, f"{ON_BEHALF}{right.verb}")


def _in_the_other_name(right: Right) -> Right:
    verb = right.verb.removeprefix(ON_BEHALF)
    return Right(right.group, right.resource, verb if verb != right.verb else f"{ON_BEHALF}{verb}")


def test_no_right_is_missing(stage: Stage, operator: Operator, asked: list[AuditEvent]) -> None:
    refused = {
        right
        for event in asked
        for right in _rights(event)
        if event.forbidden
        and not event.impersonated
        and event.api_group not in stage.lent  # what was lent is taken back while a watch still stands
        and not any(began <= event.time <= ended for began, ended in stage.deprived)
    }
    assert refused == set()
    used = {
        right for event in asked for right in _rights(event) if event.code < 400 and event.api_group not in stage.lent
    }
    assert used - granted(stage.cluster) == set()


def test_no_right_is_idle(
    stage: Stage, operator: Operator, asked: list[AuditEvent], request: pytest.FixtureRequest
) -> None:
    if not request.config.stash[WHOLE]:
        pytest.skip("only the whole folder uses every right")
    used = {right for event in asked for right in _rights(event) if event.code < 400}
    idle = granted(stage.cluster) - used
    assert idle - ONE_NAME.keys() == set()
    assert {_in_the_other_name(right) for right in idle} <= used
    assert {in_account(right) for right in of_the_flagship()} <= used, "the flagship is carried out as an account"


def test_what_is_granted_on_behalf_of_accounts_is_what_the_operator_does_itself(stage: Stage) -> None:
    rights = granted(stage.cluster)
    own = {right for right in rights if ":" not in right.verb}
    on_behalf = {right for right in rights if right.verb.startswith(ON_BEHALF)}
    assert on_behalf <= {in_account(right) for right in own}, (
        "no account is asked for more than the operator's own part"
    )
    watched = {right for right in own if right.verb in ("list", "watch")}
    changes = {right for right in own - watched if right.verb != "get" and right not in OWN}
    assert {in_account(right) for right in changes} <= on_behalf, (
        "whatever is changed can be changed on behalf of accounts"
    )
