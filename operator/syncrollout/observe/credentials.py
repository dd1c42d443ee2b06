"""From the Secrets that `spec.prometheus` names to an Endpoint, and what channels of messages need. Secrets are read
one by one by name, never listed.

What is read is kept for five minutes, shared by all rollouts of a namespace that have it read in the same name, and of
each Secret only the keys that were asked for; so no request is made while nothing happens. A refusal by Prometheus
makes the next resolution read again. Where the API server does not answer, what is kept goes on being used: a rollout
must be able to go back then.
"""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field

from syncrollout.api.spec import PrometheusSpec, SecretKey
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.ports import ApiError, Behalf, Endpoint, Forbidden, KindRef, NotFound, ObjectRef, OnBehalf

SECRET = KindRef("v1", "Secret")
KEEP_SECONDS = 300.0
READ_AGAIN_SECONDS = 10.0
"""After a refusal, or while something is to be mended, a Secret is read again no more often than this."""


class _Wrong(Exception):
    """What a person has to mend."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.message)
        self.problem = problem


@dataclass(frozen=True, slots=True)
class _Named:
    """One key of a Secret, and the field of the spec that names it."""

    field: str
    behalf: Behalf
    ref: ObjectRef
    key: str

    @property
    def whose(self) -> tuple[Behalf, ObjectRef]:
        """What is read in one name is not shown in another."""
        return self.behalf, self.ref

    def wrong(self, what: str) -> _Wrong:
        message = f"key {self.key} of {self.ref}, named by {self.field}, {what}"
        return _Wrong(Problem(Reason.SECRET_INVALID, message))


@dataclass(slots=True)
class _Kept:
    """What is known of one Secret: the values asked for so far (None: no such key), or why it cannot be read."""

    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    read_at: float = float("-inf")
    fresh_until: float = float("-inf")
    values: dict[str, str | None] = field(default_factory=dict)
    """Base64, as in the Secret."""
    problem: Problem | None = None


class Credentials:
    """Resolves what `spec.prometheus` names. Times are those of the running loop, so that tests can drive them."""

    def __init__(self, api: OnBehalf, *, keep: float = KEEP_SECONDS) -> None:
        self._api = api
        self._keep = keep
        self._kept: dict[tuple[Behalf, ObjectRef], _Kept] = {}

    async def endpoint(self, spec: PrometheusSpec, behalf: Behalf) -> Endpoint | Problem:
        """How to speak to Prometheus, or what a person has to mend first.

        Raises ApiError (other than Forbidden and NotFound) where the API server does not answer and nothing is known
        of a Secret yet.
        """
        token: str | None = None
        pair: tuple[str, str] | None = None
        ca: str | None = None
        named = {each.field.rpartition(".")[2]: each for each in _named(spec, behalf)}
        try:
            if "bearerToken" in named:
                token = await self._token(named["bearerToken"])
            if "username" in named:
                pair = await self._username(named["username"]), await self._text(named["password"])
            if "ca" in named:
                ca = await self._pem(named["ca"])
        except _Wrong as wrong:
            self.refused(spec, behalf)  # to see soon that it was mended
            return wrong.problem
        return Endpoint(spec.address, bearer_token=token, basic_auth=pair, ca=ca, server_name=spec.server_name)

    async def text(self, path: str, key: SecretKey, behalf: Behalf) -> str | Problem:
        """One value of a Secret, named by the field `path` of the spec, or what a person has to mend first. Raises
        ApiError as `endpoint` does."""
        named = _Named(path, behalf, ObjectRef(SECRET, behalf.namespace, key.name), key.key)
        try:
            return await self._text(named)
        except _Wrong as wrong:
            self._soon_again(named)
            return wrong.problem

    def doubt(self, path: str, key: SecretKey, behalf: Behalf) -> None:
        """What `text` has told did not serve: the Secret may have been corrected since it was read."""
        self._soon_again(_Named(path, behalf, ObjectRef(SECRET, behalf.namespace, key.name), key.key))

    def refused(self, spec: PrometheusSpec, behalf: Behalf) -> None:
        """What was resolved is not accepted: the Secrets may have changed since they were read."""
        for named in _named(spec, behalf):
            self._soon_again(named)

    def _soon_again(self, named: _Named) -> None:
        kept = self._kept.get(named.whose)
        if kept is not None:
            kept.fresh_until = min(kept.fresh_until, kept.read_at + READ_AGAIN_SECONDS)

    async def _token(self, named: _Named) -> str:
        token = (await self._text(named)).strip()
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            raise named.wrong("is not a bearer token: put the token alone there, one line of ASCII text without blanks")
        return token

    async def _username(self, named: _Named) -> str:
        username = await self._text(named)
        if ":" in username or not username:
            raise named.wrong("is not a user name: put one there that is not empty and has no colon")
        return username

    async def _pem(self, named: _Named) -> str:
        pem = await self._text(named)
        try:
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=pem)
        except (ValueError, ssl.SSLError):
            what = "is not a PEM certificate: put the authority's there (-----BEGIN CERTIFICATE-----)"
            raise named.wrong(what) from None
        return pem

    async def _text(self, named: _Named) -> str:
        """The value as text, without the newline that `echo` and editors leave at its end."""
        value = await self._value(named)
        if value is None:
            raise named.wrong("does not exist: add the key, or correct the spec")
        try:
            return base64.b64decode(value).decode().rstrip("\r\n")
        except ValueError:
            raise named.wrong("is not UTF-8 text: store it as plain text") from None

    async def _value(self, named: _Named) -> str | None:
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(named.whose)
        if kept is None:
            self._forget(now)
            kept = self._kept[named.whose] = _Kept()
        async with kept.lock:  # many rollouts begin at one moment: one of them reads
            known = kept.problem is not None or named.key in kept.values
            if not known or now >= kept.fresh_until:
                await self._read(named, kept, known=known)
        if kept.problem is not None:
            raise _Wrong(kept.problem)
        return kept.values[named.key]

    async def _read(self, named: _Named, kept: _Kept, *, known: bool) -> None:
        keys = {*kept.values, named.key}
        now = asyncio.get_running_loop().time()
        try:
            data = (await self._api.acting_as(named.behalf).get(named.ref)).get("data") or {}
        except Forbidden as error:
            message = f"{named.field} names {named.ref}, which may not be read: {error}"
            kept.problem = Problem(Reason.FORBIDDEN, message)
        except NotFound:
            message = f"{named.ref}, named by {named.field}, does not exist: create it with the key {named.key}"
            kept.problem = Problem(Reason.SECRET_INVALID, message)
        except ApiError:
            if not known:
                raise
            kept.fresh_until = now + READ_AGAIN_SECONDS
            return
        else:
            kept.problem = None
            kept.values = {key: data.get(key) for key in keys}
        kept.read_at, kept.fresh_until = now, now + self._keep

    def _forget(self, now: float) -> None:
        """Nothing of a Secret stays in memory for long after the last rollout that needed it."""
        for whose in [whose for whose, kept in self._kept.items() if kept.fresh_until < now - self._keep]:
            if not self._kept[whose].lock.locked():
                del self._kept[whose]


def _named(spec: PrometheusSpec, behalf: Behalf) -> Iterator[_Named]:
    def one(path: str, key: SecretKey) -> _Named:
        return _Named(f"spec.prometheus.{path}", behalf, ObjectRef(SECRET, behalf.namespace, key.name), key.key)

    if spec.bearer_token is not None:
        yield one("bearerToken", spec.bearer_token)
    if spec.basic_auth is not None:
        yield one("basicAuth.username", spec.basic_auth.username)
        yield one("basicAuth.password", spec.basic_auth.password)
    if spec.ca is not None:
        yield one("ca", spec.ca)


__all__ = ["Credentials"]
