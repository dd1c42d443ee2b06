"""The fake API server keeps the contract."""

from __future__ import annotations

import pytest

from contract.kube_contract import GADGET
from contract.kube_contract_streams import KubeContract
from fakes.kube import FakeKube, Verb
from syncrollout.ports import KindRef, KubeApi, ObjectRef


class FakeServer:
    """The fake, as the contract wants it."""

    namespace = "shop"

    def __init__(self) -> None:
        self.kube = FakeKube()
        self.kube.serve(GADGET)
        self.kube.may_write = lambda: self.leading
        self.leading = True
        self.api: KubeApi = self.kube
        self.unguarded: KubeApi = self.kube.unguarded()

    def powerless(self, verb: Verb, kind: KindRef) -> KubeApi:
        self.kube.forbid(verb, kind)
        return self.kube

    def delete(self, ref: ObjectRef) -> None:
        self.kube.delete(ref)

    def expired_version(self) -> str:
        self.kube.expire()
        return "1000"


class TestFakeKube(KubeContract):
    @pytest.fixture
    async def server(self) -> FakeServer:
        return FakeServer()
