"""From Secrets to an Endpoint: what is read when, and what a person is told where a Secret is wrong."""

# ruff: noqa: S105, S106 - the credentials are made up

from __future__ import annotations

import asyncio
import base64
from pathlib import Path
from typing import Any

import pytest

from fakes.kube import Call, FakeKube
from syncrollout.api.spec import PrometheusSpec
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.observe.credentials import KEEP_SECONDS, READ_AGAIN_SECONDS, SECRET, Credentials
from syncrollout.ports import Behalf, Endpoint, ObjectRef, Unavailable

pytestmark = [pytest.mark.looptime]

LISTINGS = Behalf("listings")
ADDRESS = "https://prometheus.monitoring:9090"
CA = (Path(__file__).parent / "tls" / "ca.pem").read_text()
KEY = "-----BEGIN PRIVATE KEY-----\nMIGHAgEAMBMGByqGSM49\n-----END PRIVATE KEY-----\n"


def spec(**fields: Any) -> PrometheusSpec:
    return PrometheusSpec.model_validate({"address": ADDRESS, **fields})


TOKEN = spec(bearerToken={"name": "prometheus", "key": "token"})
BASIC = spec(
    basicAuth={"username": {"name": "prometheus", "key": "user"}, "password": {"name": "prometheus", "key": "password"}}
)
TRUST = spec(ca={"name": "authority", "key": "ca.crt"})


class World:
    def __init__(self) -> None:
        self.api = FakeKube()
        self.credentials = Credentials(self.api)

    def secret(self, name: str, **values: str | bytes) -> None:
        data = {
            key.replace("_", "."): base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()
            for key, value in values.items()
        }
        metadata = {"name": name, "namespace": "listings"}
        self.api.put({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data})

    async def endpoint(self, asked: PrometheusSpec) -> Endpoint:
        found = await self.credentials.endpoint(asked, LISTINGS)
        assert isinstance(found, Endpoint)
        return found

    async def problem(self, asked: PrometheusSpec) -> Problem:
        found = await self.credentials.endpoint(asked, LISTINGS)
        assert isinstance(found, Problem)
        return found

    @property
    def requests(self) -> list[str]:
        return [str(call) for call in self.api.log if call.by == "operator"]


@pytest.fixture
def world() -> World:
    return World()


async def test_without_credentials_nothing_is_read(world: World) -> None:
    assert await world.endpoint(spec()) == Endpoint(ADDRESS)
    assert world.requests == []


async def test_a_token_a_pair_and_an_authority(world: World) -> None:
    world.secret("prometheus", token="t0ken\n", user="jürgen", password="pä:ss \r\n")
    world.secret("authority", ca_crt=CA)
    assert (await world.endpoint(TOKEN)).bearer_token == "t0ken"
    assert (await world.endpoint(BASIC)).basic_auth == ("jürgen", "pä:ss ")
    assert (await world.endpoint(TRUST)).ca == CA.rstrip("\n")


async def test_secrets_are_got_by_name_in_the_rollouts_namespace(world: World) -> None:
    world.secret("prometheus", user="u", password="p")
    await world.endpoint(BASIC)
    assert world.requests[0] == "get Secret listings/prometheus"
    assert set(world.requests) == {"get Secret listings/prometheus"}


async def test_what_was_read_is_kept_for_minutes_and_shared(world: World) -> None:
    world.secret("prometheus", token="one")
    world.api.latency = 0.1
    endpoints = await asyncio.gather(*(world.endpoint(TOKEN) for _ in range(100)))
    assert {each.bearer_token for each in endpoints} == {"one"}
    await asyncio.sleep(KEEP_SECONDS - 1.0)
    await world.endpoint(TOKEN)
    assert len(world.requests) == 1
    world.secret("prometheus", token="two")
    await asyncio.sleep(1.0)
    assert (await world.endpoint(TOKEN)).bearer_token == "two"
    assert len(world.requests) == 2


async def test_after_a_refusal_it_is_read_again_but_not_at_every_pass(world: World) -> None:
    world.secret("prometheus", token="one")
    await world.endpoint(TOKEN)
    world.secret("prometheus", token="two")
    await asyncio.sleep(READ_AGAIN_SECONDS)
    world.credentials.refused(TOKEN, LISTINGS)
    assert (await world.endpoint(TOKEN)).bearer_token == "two"
    for _ in range(5):
        world.credentials.refused(TOKEN, LISTINGS)
        await world.endpoint(TOKEN)
    assert len(world.requests) == 2


async def test_a_missing_secret_names_secret_key_and_field(world: World) -> None:
    problem = await world.problem(TOKEN)
    assert problem.reason is Reason.SECRET_INVALID
    assert problem.message == (
        "Secret listings/prometheus, named by spec.prometheus.bearerToken, does not exist: create it with the key token"
    )


async def test_what_was_mended_is_picked_up_by_itself(world: World) -> None:
    await world.problem(TOKEN)
    world.secret("prometheus", token="one")
    await world.problem(TOKEN)
    assert len(world.requests) == 1, "it is not asked for at every pass"
    await asyncio.sleep(READ_AGAIN_SECONDS)
    assert (await world.endpoint(TOKEN)).bearer_token == "one"


WRONG = [
    (
        TOKEN,
        {"other": b"x"},
        "key token of Secret listings/prometheus, named by spec.prometheus.bearerToken",
        "add the",
    ),
    (TOKEN, {"token": b"\xff\xfe"}, "is not UTF-8 text", "store it as plain text"),
    (TOKEN, {"token": b" \n"}, "is not a bearer token", "put the token alone there"),
    (TOKEN, {"token": b"one\ntwo"}, "is not a bearer token", "one line of ASCII"),
    (TOKEN, {"token": "tökén".encode()}, "is not a bearer token", "ASCII"),
    (BASIC, {"user": b"u"}, "key password of Secret", "spec.prometheus.basicAuth.password, does not exist"),
    (BASIC, {"user": b"a:b", "password": b"p"}, "is not a user name", "has no colon"),
]


@pytest.mark.parametrize(("asked", "values", "says", "mend"), WRONG)
async def test_what_is_wrong_with_a_value(
    world: World, asked: PrometheusSpec, values: dict[str, bytes], says: str, mend: str
) -> None:
    world.secret("prometheus", **values)
    problem = await world.problem(asked)
    assert problem.reason is Reason.SECRET_INVALID
    assert says in problem.message
    assert mend in problem.message
    assert "tökén" not in problem.message
    assert "one\ntwo" not in problem.message


@pytest.mark.parametrize("text", ["", "not a certificate", KEY, CA[:200]])
async def test_an_authority_that_is_no_certificate(world: World, text: str) -> None:
    world.secret("authority", ca_crt=text)
    problem = await world.problem(TRUST)
    assert problem.reason is Reason.SECRET_INVALID
    assert "key ca.crt of Secret listings/authority, named by spec.prometheus.ca" in problem.message
    assert "BEGIN CERTIFICATE" in problem.message


async def test_a_missing_right_is_forbidden_and_named(world: World) -> None:
    world.secret("prometheus", token="one")
    world.api.forbid("get", SECRET)
    problem = await world.problem(TOKEN)
    assert problem.reason is Reason.FORBIDDEN
    assert "spec.prometheus.bearerToken names Secret listings/prometheus" in problem.message
    assert 'lacks the right to "get"' in problem.message
    world.api.allow("get", SECRET)
    await asyncio.sleep(READ_AGAIN_SECONDS)
    assert (await world.endpoint(TOKEN)).bearer_token == "one"


async def test_while_the_api_server_is_away_what_is_known_goes_on_being_used(world: World) -> None:
    async def away(call: Call) -> None:
        raise Unavailable(f"{call}: no answer")

    world.secret("prometheus", token="one")
    await world.endpoint(TOKEN)
    world.api.before = away
    await asyncio.sleep(10 * KEEP_SECONDS)
    assert (await world.endpoint(TOKEN)).bearer_token == "one"
    with pytest.raises(Unavailable):
        await world.credentials.endpoint(TRUST, LISTINGS)


async def test_a_secret_that_was_deleted_meanwhile_is_a_problem(world: World) -> None:
    world.secret("prometheus", token="one")
    await world.endpoint(TOKEN)
    world.api.delete(ObjectRef(SECRET, "listings", "prometheus"))
    await asyncio.sleep(KEEP_SECONDS)
    assert (await world.problem(TOKEN)).reason is Reason.SECRET_INVALID


async def test_only_keys_that_were_asked_for_stay_in_memory_and_not_for_ever(world: World) -> None:
    world.secret("prometheus", token="one", user="u", password="p", unrelated="something else")
    await world.endpoint(TOKEN)
    await world.endpoint(BASIC)
    (kept,) = world.credentials._kept.values()
    assert set(kept.values) == {"token", "user", "password"}
    await asyncio.sleep(3 * KEEP_SECONDS)
    world.secret("authority", ca_crt=CA)
    await world.endpoint(TRUST)
    assert [ref.name for _, ref in world.credentials._kept] == ["authority"]


async def test_what_is_read_in_one_name_is_not_shown_in_another(world: World) -> None:
    world.secret("prometheus", token="t0ken")
    world.api.forbid("get", SECRET, "poor")
    assert (await world.endpoint(TOKEN)).bearer_token == "t0ken"
    found = await world.credentials.endpoint(TOKEN, Behalf("listings", "poor"))
    assert isinstance(found, Problem)
    assert found.reason is Reason.FORBIDDEN
    assert 'ServiceAccount listings/poor lacks the right to "get" resource "Secret"' in found.message
    rich = await world.credentials.endpoint(TOKEN, Behalf("listings", "rich"))
    assert isinstance(rich, Endpoint)
    asked = [call.behalf for call in world.api.log if call.by == "operator" and call.error is None]
    assert asked == [LISTINGS, Behalf("listings", "rich")]
