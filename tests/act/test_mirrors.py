"""Mirrors: which routes can, and what a person is told where one cannot."""

from __future__ import annotations

from syncrollout.act import mirrors
from syncrollout.api.spec import RouteRef
from syncrollout.api.words import Reason


def test_a_route_that_cannot_mirror_is_refused_with_a_sentence() -> None:
    problem = mirrors.unable(RouteRef(api_version="networking.k8s.io/v1", kind="Ingress", name="web"))
    assert problem is not None
    assert problem.reason is Reason.MIRROR_UNSUPPORTED
    assert "Ingress web: SyncRollout cannot mirror" in problem.message
    assert "mirrorPercent 0" in problem.message
