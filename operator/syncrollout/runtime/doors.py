"""Who may come in by a bearer token: whoever has the one that is kept in a file, or whom the API server knows by
his own. The doors of the page, of the receiver of alerts and of /metrics are all of this kind."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import logging
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from syncrollout.runtime.reviews import Person, Reviews, Right, Unreviewed

log = logging.getLogger(__name__)

LEAST_TOKEN = 16
"""Characters of a token; a shorter one can be guessed."""


class TokenInvalid(Exception):
    """The file holds no token; the message says why and what to do."""


class BearerToken:
    """The token in a file. A file that changes (a Secret that is rotated) is read again; one that becomes unreadable
    leaves the last good token in force. `purpose` is what it is for, in words. Raises TokenInvalid where there is none
    to begin with."""

    def __init__(self, path: Path, purpose: str = "alerts") -> None:
        self._path = path
        self._purpose = purpose
        self._seen: tuple[int, int] | None = None
        self._complained = False
        self._digest = self._read()

    def opens(self, authorization: str) -> bool:
        """Whether a request with this Authorization header may come in. Takes as long whatever is wrong with it."""
        self._refresh()
        scheme, _, token = authorization.partition(" ")
        digest = hashlib.sha256(token.strip().encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(digest, self._digest) and scheme.lower() == "bearer"

    def _refresh(self) -> None:
        try:
            if self._version() != self._seen:
                self._digest = self._read()
                log.info("the token for %s was read anew from %s", self._purpose, self._path)
            self._complained = False
        except (OSError, TokenInvalid) as error:
            if not self._complained:
                log.warning("the token for %s stays what it was: %s", self._purpose, error)
            self._complained = True

    def _version(self) -> tuple[int, int]:
        stat = self._path.stat()
        return stat.st_mtime_ns, stat.st_ino

    def _read(self) -> bytes:
        try:
            seen, token = self._version(), self._path.read_bytes().strip()
        except OSError as error:
            msg = f"{self._path} cannot be read ({error.strerror}): mount the Secret with the token there"
            raise TokenInvalid(msg) from error
        if len(token) < LEAST_TOKEN:
            msg = f"{self._path} holds {len(token)} characters, a token needs at least {LEAST_TOKEN}: make a random one"
            raise TokenInvalid(msg)
        self._seen = seen
        return hashlib.sha256(token).digest()


class Denied(Exception):
    """Somebody is not let in: an HTTP status, and a sentence for who asks."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status

    @property
    def headers(self) -> dict[str, str]:
        """What goes with the status."""
        if self.status == 401:
            return {"WWW-Authenticate": 'Bearer realm="syncrollout"'}
        return {"Retry-After": "1"} if self.status == 503 else {}


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody who was let in. `person` None: he has the shared token, or none is asked for, and may everything."""

    person: Person | None = None
    reviews: Reviews | None = None

    async def may(self, right: Right) -> bool:
        """Whether he has a right. Raises Denied (503) where that cannot be asked."""
        if self.person is None or self.reviews is None:
            return True
        try:
            return await self.reviews.may(self.person, right)
        except Unreviewed as error:
            raise Denied(503, str(error)) from error

    async def must(self, *rights: Right) -> None:
        """Go on where he has one of these rights. Raises Denied (403, 503), naming the last of them."""
        for right in rights:
            if await self.may(right):
                return
        who = self.person.name if self.person is not None else ""
        raise Denied(403, f"{who} may not {rights[-1]}")

    async def among(self, namespaces: Collection[str], verb: str, subresource: str = "") -> frozenset[str] | None:
        """Those of the namespaces in which he has a right; None for all there are. Raises Denied (503)."""
        if await self.may(Right(verb, subresource=subresource)):
            return None
        names = sorted(namespaces)
        let = await asyncio.gather(*(self.may(Right(verb, each, subresource=subresource)) for each in names))
        return frozenset(name for name, yes in zip(names, let, strict=True) if yes)


class Door:
    """Lets in who has the token of the file, and with `reviews` whom the API server knows. With neither, everybody."""

    def __init__(self, token: BearerToken | None = None, reviews: Reviews | None = None) -> None:
        self._token = token
        self.reviews = reviews

    @property
    def asks(self) -> bool:
        """Whether a token is asked for."""
        return self._token is not None or self.reviews is not None

    async def admit(self, authorization: str) -> Visitor:
        """Who presents this Authorization header. Raises Denied (401, 503)."""
        if not self.asks or (self._token is not None and self._token.opens(authorization)):
            return Visitor()
        scheme, _, token = authorization.partition(" ")
        if self.reviews is not None and scheme.lower() == "bearer":
            try:
                person = await self.reviews.who(token.strip())
            except Unreviewed as error:
                raise Denied(503, str(error)) from error
            if person is not None:
                return Visitor(person, self.reviews)
        raise Denied(401, "the bearer token is missing or wrong")


__all__ = ["BearerToken", "Denied", "Door", "TokenInvalid", "Visitor"]
