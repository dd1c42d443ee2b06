"""Where the connection settings come from, and how credentials are kept fresh."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from kubernetes.config import incluster_config

from fakes.http_api import HttpApi
from syncrollout.ports import KindRef, ObjectRef, Unavailable
from syncrollout.runtime import kubeconfig
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection, ConnectionProblem

REF = ObjectRef(KindRef("v1", "ConfigMap"), "shop", "a")
PLUGIN = """
import datetime, json, pathlib, sys
folder = pathlib.Path(sys.argv[1])
token = (folder / "token").read_text()
expiry = (folder / "expiry").read_text()
with (folder / "runs").open("a") as runs:
    runs.write(token + "\\n")
status = {"token": token, "expirationTimestamp": expiry}
print(json.dumps({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status}))
"""


@pytest.fixture
async def server() -> AsyncIterator[HttpApi]:
    async with HttpApi() as started:
        yield started


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ("KUBECONFIG", "KUBERNETES_SERVICE_HOST", "HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))


def write(path: Path, settings: dict[str, Any]) -> str:
    path.write_text(yaml.safe_dump(settings))
    return str(path)


def accepting(server: HttpApi, *tokens: str) -> None:
    """From now on only these tokens are accepted."""

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization", "").removeprefix("Bearer ").removeprefix("bearer ") in tokens:
            return await HttpApi.empty(request)
        return await HttpApi.says(401, message="Unauthorized")(request)

    server.answer = answer


async def test_the_argument_comes_before_the_environment(
    server: HttpApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = server.kubeconfig(namespace="other")
    monkeypatch.setenv("KUBECONFIG", write(tmp_path / "other", other))
    given = write(tmp_path / "given", server.kubeconfig(namespace="given"))
    assert Connection.load(given).namespace == "given"
    assert Connection.load().namespace == "other"
    assert Connection.load().host == server.address
    assert Connection.load().source == str(tmp_path / "other")


async def test_without_a_namespace_it_is_the_default_one(server: HttpApi, tmp_path: Path) -> None:
    assert Connection.load(write(tmp_path / "config", server.kubeconfig())).namespace == "default"


def test_without_any_settings_it_says_where_it_looked(tmp_path: Path) -> None:
    with pytest.raises(ConnectionProblem, match=r"from ~/\.kube/config.*set KUBECONFIG"):
        Connection.load()
    with pytest.raises(ConnectionProblem, match=r"nowhere.*set KUBECONFIG"):
        Connection.load(str(tmp_path / "nowhere"))


async def test_a_context_that_is_not_there_is_named_with_those_that_are(server: HttpApi, tmp_path: Path) -> None:
    path = write(tmp_path / "config", server.kubeconfig())
    with pytest.raises(ConnectionProblem, match=r"'prod'.*it has: main"):
        Connection.load(path, context="prod")


async def test_a_user_agent_and_the_token_go_with_every_request(server: HttpApi, tmp_path: Path) -> None:
    connection = Connection.load(write(tmp_path / "config", server.kubeconfig({"token": "secret"})))
    async with AiohttpKubeApi(connection, user_agent="syncrollout/1.2") as api:
        await api.get(REF)
    assert set(server.tokens) == {"Bearer secret"}
    assert {request.headers["User-Agent"] for request in server.requests} == {"syncrollout/1.2"}


async def test_a_name_and_password_are_sent(server: HttpApi, tmp_path: Path) -> None:
    user = {"username": "ann", "password": "pw"}
    connection = Connection.load(write(tmp_path / "config", server.kubeconfig(user)))
    async with connection.session() as session, session.get(f"{connection.host}/version"):
        pass
    assert server.tokens == ["Basic YW5uOnB3"]


class Pod:
    """The environment of a pod, its ServiceAccount's files included."""

    def __init__(self, folder: Path, server: HttpApi, monkeypatch: pytest.MonkeyPatch) -> None:
        folder.mkdir()
        self.token = folder / "token"
        self.token.write_text("first")
        (folder / "ca.crt").write_text("unused over http")
        (folder / "namespace").write_text("ops")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "127.0.0.1")
        monkeypatch.setenv("KUBERNETES_SERVICE_PORT", server.address.rpartition(":")[2])
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(self.token))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(folder / "ca.crt"))
        monkeypatch.setattr(incluster_config, "_join_host_port", lambda host, port: f"{host}:{port}")
        monkeypatch.setattr(kubeconfig, "SERVICE_ACCOUNT", folder)
        # The stand-in speaks plain HTTP.
        monkeypatch.setattr(Connection, "_ssl_context", lambda self: None)


async def test_in_a_pod_the_service_account_is_used_and_its_token_read_again(
    server: HttpApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pod = Pod(tmp_path / "serviceaccount", server, monkeypatch)
    accepting(server, "first")
    connection = Connection.load()
    assert (connection.source, connection.namespace) == ("in-cluster", "ops")
    assert connection.host.startswith("https://127.0.0.1:")
    connection.host = server.address
    async with AiohttpKubeApi(connection) as api:
        await api.get(REF)
        pod.token.write_text("second\n")
        accepting(server, "second")
        await asyncio.gather(*(api.get(REF) for _ in range(5)))
        refused = len([token for token in server.tokens if token.endswith("first")])
        await api.get(REF)
        assert len([token for token in server.tokens if token.endswith("first")]) == refused


async def test_a_plugins_token_is_renewed_ahead_of_its_end(
    server: HttpApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path
    (folder / "plugin.py").write_text(PLUGIN)
    (folder / "token").write_text("first")
    (folder / "expiry").write_text((datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ"))
    user = {
        "exec": {
            "apiVersion": "client.authentication.k8s.io/v1",
            "command": sys.executable,
            "args": [str(folder / "plugin.py"), str(folder)],
            "interactiveMode": "Never",
        }
    }
    monkeypatch.setattr(kubeconfig, "REFRESH_SECONDS", -1.0)
    accepting(server, "first", "second")
    connection = Connection.load(write(folder / "config", server.kubeconfig(user)))
    (folder / "token").write_text("second")
    async with AiohttpKubeApi(connection) as api, asyncio.timeout(10):
        await api.get(REF)
        assert server.tokens[-1] == "Bearer first", "nobody waits for the plugin"
        while server.tokens[-1] != "Bearer second":
            await api.get(REF)
            await asyncio.sleep(0.02)


async def test_settings_that_broke_meanwhile_are_read_again_once_mended(server: HttpApi, tmp_path: Path) -> None:
    user = {"token": "good"}
    path = tmp_path / "config"
    accepting(server, "good")
    connection = Connection.load(write(path, server.kubeconfig(user)))
    async with AiohttpKubeApi(connection) as api:
        await api.get(REF)
        accepting(server, "better")
        write(path, {"broken": True})
        with pytest.raises(Unavailable, match="token or certificate is not accepted"):
            await api.get(REF)
        write(path, server.kubeconfig({"token": "better"}))
        await api.get(REF)


async def test_a_proxy_of_the_environment_is_used_unless_excepted(
    server: HttpApi, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = server.kubeconfig()
    settings["clusters"][0]["cluster"]["server"] = "http://cluster.example.org"
    path = write(tmp_path / "config", settings)
    monkeypatch.setenv("http_proxy", server.address)
    async with AiohttpKubeApi(Connection.load(path)) as api:
        await api.get(REF)
    assert server.requests[-1].headers["Host"] == "cluster.example.org"
    monkeypatch.setenv("no_proxy", ".example.org")
    seen = len(server.requests)
    async with AiohttpKubeApi(Connection.load(path), timeout=1.0) as api:
        with pytest.raises(Unavailable, match=r"cluster\.example\.org cannot be reached"):
            await api.get(REF)
    assert len(server.requests) == seen


@pytest.mark.dataplane
async def test_a_write_that_was_given_up_in_an_outage_does_not_arrive_after_it() -> None:
    """Another process may have gone on by then. That it would arrive if the kernel went on trying for long shows that
    it was cut off in time."""
    soon, late = await asyncio.gather(_arrived(1.0), _arrived(60.0))
    assert "GET" in soon
    assert "PATCH" not in soon
    assert "PATCH" in late


async def _arrived(kernel_tries: float) -> list[str]:
    tests = Path(__file__).parents[1]
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        str(tests / "runtime" / "cut_off.py"),
        str(kernel_tries),
        env={"PYTHONPATH": os.pathsep.join((str(tests), str(tests.parent / "operator"))), "PATH": os.environ["PATH"]},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, errors = await asyncio.wait_for(program.communicate(), timeout=60)
    assert (program.returncode, errors.decode()) == (0, "")
    methods: list[str] = json.loads(said)
    return methods
