"""The rights of `manifests/` are the rights that are used: none is missing, none is idle. Runs last, for it looks at
what all the other scenarios have brought about."""

from __future__ import annotations

import pytest

from e2e.operators import USER, Operator
from e2e.rights import Right, granted
from e2e.scene import WHOLE, Stage
from testbed import AuditEvent

pytestmark = pytest.mark.cluster


@pytest.fixture
def asked(stage: Stage) -> list[AuditEvent]:
    """Every request of the operator's ServiceAccount since the stage was set."""
    return [event for event in stage.cluster.audit.since(stage.began) if event.user == USER and event.resource]


def _right(event: AuditEvent) -> Right:
    resource = f"{event.resource}/{event.subresource}" if event.subresource else event.resource
    return Right(event.api_group, resource, event.verb)


def test_no_right_is_missing(stage: Stage, operator: Operator, asked: list[AuditEvent]) -> None:
    refused = {
        _right(event)
        for event in asked
        if event.forbidden and not any(began <= event.time <= ended for began, ended in stage.deprived)
    }
    assert refused == set()
    used = {_right(event) for event in asked if event.code < 400 and event.api_group not in stage.lent}
    assert used - granted(stage.cluster) == set()


def test_no_right_is_idle(
    stage: Stage, operator: Operator, asked: list[AuditEvent], request: pytest.FixtureRequest
) -> None:
    if not request.config.stash[WHOLE]:
        pytest.skip("only the whole folder uses every right")
    idle = granted(stage.cluster) - {_right(event) for event in asked if event.code < 400}
    assert idle == set()
