"""Requests on behalf of an account: in its name, in its namespace, and in words that say whose right is missing."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from fakes.http_api import HttpApi
from runtime.test_kube_client import client
from syncrollout.ports import Behalf, Forbidden, Invalid, KindRef, ObjectRef, PatchType
from syncrollout.runtime.kube_errors import Call, error_of

CONFIG_MAP = KindRef("v1", "ConfigMap")
REF = ObjectRef(CONFIG_MAP, "shop", "a")
MOVER = Behalf("shop", "mover")
USER = "system:serviceaccount:shop:mover"


@pytest.fixture
async def server() -> AsyncIterator[HttpApi]:
    async with HttpApi() as started:
        yield started


def _names(server: HttpApi) -> list[tuple[str, str | None]]:
    return [(each.path, each.headers.get("Impersonate-User")) for each in server.requests]


async def test_what_is_done_on_behalf_of_an_account_is_done_in_its_name_alone(server: HttpApi, tmp_path: Path) -> None:
    async with client(server, tmp_path) as api:
        acting = api.acting_as(MOVER)
        await acting.get(REF)
        await acting.patch(REF, {}, PatchType.MERGE, urgent=True)
        await acting.create(REF, {})
        await api.get(REF)
    kinds, *asked = _names(server)
    assert kinds == ("/api/v1", None)  # what kinds there are is asked by the operator: it is no right of the account's
    assert [name for _, name in asked] == [USER, USER, USER, None]
    # groups follow from the name; given as well, they would want the right to act as any group
    assert not any("Impersonate-Group" in each.headers for each in server.requests)


@pytest.mark.parametrize("behalf", [MOVER, Behalf("shop")], ids=["account", "operator"])
async def test_nothing_outside_of_the_namespace_is_asked_for(server: HttpApi, tmp_path: Path, behalf: Behalf) -> None:
    async with client(server, tmp_path) as api:
        acting = api.acting_as(behalf)
        with pytest.raises(Invalid, match="in namespace bank, and a rollout looks at its own namespace alone"):
            await acting.get(ObjectRef(CONFIG_MAP, "bank", "a"))
        with pytest.raises(Invalid, match="in namespace bank"):
            await acting.patch(ObjectRef(CONFIG_MAP, "bank", "a"), {}, PatchType.MERGE)
        with pytest.raises(Invalid, match="a kind of the whole cluster"):
            await acting.get(ObjectRef(KindRef("v1", "Namespace"), "shop", "bank"))
        with pytest.raises(Invalid, match="a rollout looks at its own namespace alone"):
            await acting.list(CONFIG_MAP)
    assert {path for path, _ in _names(server)} == {"/api/v1"}


async def test_where_an_account_has_to_be_named_only_what_moves_is_done_without(
    server: HttpApi, tmp_path: Path
) -> None:
    async with client(server, tmp_path, require_account=True) as api:
        acting = api.acting_as(Behalf("shop"))
        with pytest.raises(Forbidden, match=r"names no ServiceAccount.*give spec\.serviceAccountName"):
            await acting.get(REF)
        with pytest.raises(Forbidden, match="names no ServiceAccount"):
            await acting.create(REF, {})
        with pytest.raises(Forbidden, match="names no ServiceAccount"):
            await acting.logs(ObjectRef(KindRef("v1", "Pod"), "shop", "a"), "main", lines=1)
        await api.acting_as(Behalf("shop"), moves=True).patch(REF, {}, PatchType.MERGE)
        await api.acting_as(MOVER).patch(REF, {}, PatchType.MERGE)
        await api.get(REF)
    assert [name for path, name in _names(server) if path != "/api/v1"] == [None, USER, None]


async def test_whether_an_account_has_a_right_is_asked_by_the_operator(server: HttpApi, tmp_path: Path) -> None:
    asked: list[Any] = []

    async def review(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            kind = {"name": "localsubjectaccessreviews", "kind": "LocalSubjectAccessReview", "namespaced": True}
            return web.json_response({"kind": "APIResourceList", "resources": [kind]})
        asked.append((request.path, request.headers.get("Impersonate-User"), await request.json()))
        verb = asked[-1][2]["spec"]["resourceAttributes"]["verb"]
        return web.json_response({"metadata": {}, "status": {"allowed": verb == "get"}})

    server.answer = review
    async with client(server, tmp_path) as api:
        assert await api.missing(MOVER, "get", REF) == ""
        said = await api.missing(MOVER, "patch", REF)
    [(path, user, body), _] = asked
    assert (path, user) == ("/apis/authorization.k8s.io/v1/namespaces/shop/localsubjectaccessreviews", None)
    attributes = {"verb": "get", "group": "", "resource": "configmaps", "subresource": "", "namespace": "shop"}
    assert body["spec"]["resourceAttributes"] == {**attributes, "name": "a"}
    assert body["spec"]["user"] == USER
    assert body["spec"]["groups"] == ["system:serviceaccounts", "system:serviceaccounts:shop", "system:authenticated"]
    assert said.startswith("ServiceAccount shop/mover, which spec.serviceAccountName names, lacks the right to")
    assert "kubectl -n shop create role mover-rollouts --verb=patch --resource=configmaps, and " in said


def _refused(verb: str, kind: KindRef, resource: str, said: str, subresource: str = "") -> str:
    call = Call(verb, kind, resource, "shop", "a", subresource, behalf=MOVER)
    body = json.dumps({"kind": "Status", "message": said}).encode()
    return str(error_of(call, 403, body, {}))


def test_whose_right_is_missing_is_said_with_the_command_that_gives_it() -> None:
    said = f'deployments.apps "a" is forbidden: User "{USER}" cannot patch resource "deployments/scale" in API group'
    text = _refused("patch", KindRef("apps/v1", "Deployment"), "deployments", said, "scale")
    assert 'ServiceAccount shop/mover, which spec.serviceAccountName names, lacks the right to "patch"' in text
    assert "create role mover-rollouts --verb=patch --resource=deployments.apps/scale" in text
    assert "create rolebinding mover-rollouts --role=mover-rollouts --serviceaccount=shop:mover" in text


@pytest.mark.parametrize(
    "said",
    [
        'User "operator" cannot impersonate:serviceaccount resource "serviceaccounts" in API group',
        'User "operator" cannot impersonate-on:serviceaccount:get resource "configmaps" in API group ""',
        'User "operator" cannot impersonate resource "serviceaccounts" in API group "" in the namespace "shop"',
    ],
    ids=["as whom", "on what", "before constrained impersonation"],
)
def test_an_operator_that_may_not_act_as_accounts_says_so_and_not_that_the_account_lacks_a_right(said: str) -> None:
    text = _refused("get", CONFIG_MAP, "configmaps", said)
    assert "the operator may not do this as ServiceAccount shop/mover" in text
    assert "manifests/20-rbac.yaml" in text
    assert "lacks the right" not in text
