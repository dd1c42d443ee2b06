"""Who presents a token, and what that one may do: asked of the API server (TokenReview, SubjectAccessReview).

What was answered is kept for a while, so that a page that is looked at, or an Alertmanager that posts, costs the API
server next to nothing. Where it does not answer, who was known a while ago goes on being known: an outage must blind
nobody who looks for its cause. Whoever is not known costs it at most `A_SECOND` questions, all of them together.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from syncrollout.api.words import GROUP, PLURAL
from syncrollout.ports import ApiError, Forbidden, KindRef, KubeApi, Object, ObjectRef, Turn
from syncrollout.runtime.connections import Pace

TOKEN_REVIEW: Final = KindRef("authentication.k8s.io/v1", "TokenReview")
ACCESS_REVIEW: Final = KindRef("authorization.k8s.io/v1", "SubjectAccessReview")
NO_KEPT: Final = 10.0
"""Seconds at most for which a no is kept: a right that was granted should count soon."""
LONGEST: Final = 5.0
"""Seconds that one question may take."""
OUTAGE: Final = 600.0
"""Seconds for which what was answered goes on while the API server does not answer."""
A_SECOND: Final = 20.0
"""Questions about tokens that nothing is known of, by all who come. Rights are asked for of those who are known."""
AT_A_MOMENT: Final = 60.0
AT_ONCE: Final = 4
MOST_KEPT: Final = 4096
"""Answers of each kind."""
MOST_TOKEN: Final = 8192


class Unreviewed(Exception):
    """It is not known who that is, or what he may do; the message says why."""


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody that the API server knows; a ServiceAccount as well."""

    name: str
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class Right:
    """What somebody would do: to SyncRollouts (of all namespaces where none is named), or to a path of no object."""

    verb: str
    namespace: str = ""
    name: str = ""
    subresource: str = ""
    path: str = ""

    def __str__(self) -> str:
        if self.path:
            return f"{self.verb} {self.path}"
        what = PLURAL + (f"/{self.subresource}" if self.subresource else "")
        return f"{self.verb} {what}.{GROUP} in {f'namespace {self.namespace}' if self.namespace else 'all namespaces'}"


@dataclass(frozen=True, slots=True)
class _Answer:
    value: Any
    asked: float
    until: float


class Reviews:
    """Asks, and remembers. Times are those of the running loop."""

    def __init__(self, api: KubeApi, *, keep: float) -> None:
        """`api` may be asked whether or not this process leads; `keep`: seconds for which a yes counts."""
        self._api = api
        self.keep = keep
        self._pace = Pace(A_SECOND, AT_A_MOMENT)
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._yes: OrderedDict[object, _Answer] = OrderedDict()
        self._no: OrderedDict[object, _Answer] = OrderedDict()
        self._asking: dict[object, asyncio.Task[Any]] = {}

    async def who(self, token: str) -> Person | None:
        """Whose token this is; None where it is nobody's. Raises Unreviewed."""
        if not token or len(token) > MOST_TOKEN:
            return None
        digest = hashlib.sha256(token.encode("utf-8", "surrogateescape")).digest()
        found: Person | None = await self._asked(digest, lambda: self._who(token), paced=True)
        return found

    async def may(self, person: Person, right: Right) -> bool:
        """Whether somebody has a right. Raises Unreviewed."""
        return bool(await self._asked((person, right), lambda: self._may(person, right)))

    async def close(self) -> None:
        """Ask nothing any more."""
        tasks = tuple(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _asked(self, key: object, ask: Callable[[], Coroutine[Any, Any, Any]], *, paced: bool = False) -> Any:
        now = asyncio.get_running_loop().time()
        known = self._yes.get(key) or self._no.get(key)
        if known is not None and now < known.until:
            if known.value:
                self._yes.move_to_end(key)
            return known.value
        task = self._asking.get(key)
        if task is None:
            if paced and (known is None or not known.value) and not self._pace.allows():
                raise Unreviewed("too many that nobody knows are asked about just now: try again")
            task = self._asking[key] = asyncio.create_task(self._answer(key, ask), name="review")
            task.add_done_callback(lambda done: self._ended(key, done))
        try:
            return await asyncio.shield(task)
        except (ApiError, TimeoutError) as error:
            # A right that somebody had not is as well known as one that he had: most see single namespaces alone.
            counts = known is not None and (known.value or not paced) and now < known.asked + OUTAGE
            if known is not None and counts and not isinstance(error, Forbidden):
                return known.value
            mend = "; docs/security.md has the rights that it needs" if isinstance(error, Forbidden) else ""
            why = str(error) or f"the API server does not answer within {LONGEST:g} s"
            raise Unreviewed(f"the operator cannot have it reviewed: {why}{mend}") from error

    def _ended(self, key: object, done: asyncio.Task[Any]) -> None:
        self._asking.pop(key, None)
        if not done.cancelled():
            done.exception()  # nobody may wait any more: whoever asked has left

    async def _answer(self, key: object, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        async with asyncio.timeout(LONGEST), self._gate:
            value = await ask()
        now = asyncio.get_running_loop().time()
        kept, other = (self._yes, self._no) if value else (self._no, self._yes)
        other.pop(key, None)
        kept[key] = _Answer(value, now, now + (self.keep if value else min(self.keep, NO_KEPT)))
        kept.move_to_end(key)
        if len(kept) > MOST_KEPT:
            kept.popitem(last=False)
        return value

    async def _who(self, token: str) -> Person | None:
        status = await self._review(TOKEN_REVIEW, {"token": token})
        user = status.get("user") or {}
        if status.get("authenticated") is not True or not user.get("username"):
            return None
        extra = tuple(sorted((str(name), tuple(map(str, each))) for name, each in (user.get("extra") or {}).items()))
        groups = tuple(map(str, user.get("groups") or ()))
        return Person(str(user["username"]), str(user.get("uid") or ""), groups, extra)

    async def _may(self, person: Person, right: Right) -> bool:
        spec: Object = {"user": person.name, "groups": list(person.groups), "uid": person.uid}
        spec["extra"] = {name: list(each) for name, each in person.extra}
        if right.path:
            spec["nonResourceAttributes"] = {"path": right.path, "verb": right.verb}
        else:
            what = {"group": GROUP, "resource": PLURAL, "verb": right.verb, "namespace": right.namespace}
            what |= {"name": right.name, "subresource": right.subresource}
            spec["resourceAttributes"] = {name: each for name, each in what.items() if each}
        return (await self._review(ACCESS_REVIEW, spec)).get("allowed") is True

    async def _review(self, kind: KindRef, spec: Object) -> Object:
        # Who looks must not keep waiting what decides: a question goes when nothing else waits.
        made = await self._api.create(ObjectRef(kind, "", ""), {"spec": spec}, turn=Turn.LEISURE)
        status: Object = made.get("status") or {}
        return status


__all__ = ["ACCESS_REVIEW", "TOKEN_REVIEW", "Person", "Reviews", "Right", "Unreviewed"]
