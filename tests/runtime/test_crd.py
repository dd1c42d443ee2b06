"""What the operator says of the CRD that the cluster has."""

from __future__ import annotations

import copy
import logging
from typing import Any

import pytest

from syncrollout.api.installed import INDEX, Match, own
from syncrollout.ports import Forbidden
from syncrollout.runtime.crd import InstalledCrd

KEY = "apis/syncrollout.io/v1alpha1"


class Publishes:
    """An API server that tells of its schemas."""

    def __init__(self) -> None:
        self.schema: dict[str, Any] = copy.deepcopy(dict(own()))
        self.digest = 1
        self.asked: list[str] = []
        self.refuses = False

    async def document(self, path: str) -> Any:
        self.asked.append(path)
        if self.refuses:
            raise Forbidden("discover: the operator lacks the right to read /openapi/v3")
        if path == INDEX:
            return {"paths": {KEY: {"serverRelativeURL": f"/openapi/v3/{KEY}?hash={self.digest}"}}}
        return {"components": {"schemas": {"io.syncrollout.v1alpha1.SyncRollout": self.schema}}}


@pytest.fixture
def server() -> Publishes:
    return Publishes()


@pytest.fixture
def seen() -> list[Match | None]:
    return []


@pytest.fixture
def crd(server: Publishes, seen: list[Match | None]) -> InstalledCrd:
    return InstalledCrd(server, every=300.0, observe=seen.append)


async def test_nothing_is_noted_of_one_that_is_right_and_it_is_read_once(
    crd: InstalledCrd, server: Publishes, seen: list[Match | None]
) -> None:
    await crd.look()
    await crd.look()
    assert (crd.note, seen) == (None, [Match.SAME])
    assert [path == INDEX for path in server.asked] == [True, False, True]


async def test_an_old_one_is_an_error_once_and_over_when_it_is_applied(
    crd: InstalledCrd, server: Publishes, seen: list[Match | None], caplog: pytest.LogCaptureFixture
) -> None:
    whole = copy.deepcopy(server.schema)
    del server.schema["properties"]["status"]["properties"]["pastPhases"]
    await crd.look()
    await crd.look()
    assert crd.note is not None
    assert "older than this program" in crd.note
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    server.schema, server.digest = whole, 2
    await crd.look()
    assert (crd.note, seen) == (None, [Match.OLDER, Match.SAME])


async def test_where_it_cannot_be_told_that_is_noted_and_looked_at_again(
    crd: InstalledCrd, server: Publishes, seen: list[Match | None]
) -> None:
    server.refuses = True
    await crd.look()
    assert crd.note is not None
    assert "lacks the right" in crd.note
    server.refuses = False
    server.schema = {"properties": None}
    await crd.look()
    assert "is not understood" in (crd.note or "")
    server.schema = dict(own())
    await crd.look()
    assert seen == [None, None, Match.SAME]
