"""What goes wrong with calls to the API server: by chance at each call, from one seed, for a while."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

from fakes.kube import Call
from syncrollout.ports import ApiError, Conflict, Expired, PatchType, Unavailable

CLIENT_TIMEOUT = 5.0
"""Seconds after which the adapter gives a call up."""
SLOW = 3.0
LATE = 1.0


@dataclass(slots=True)
class Faults:
    """Chances between 0 and 1, drawn anew before and after the effect of each call, until loop time `until`."""

    until: float = 0.0
    conflict: float = 0.0
    """409, and for a JSON patch 422: a precondition is said not to hold."""
    too_many: float = 0.0
    """429 with Retry-After."""
    error: float = 0.0
    """500, before or after the effect."""
    timeout: float = 0.0
    """No answer, before or after the effect."""
    late: float = 0.0
    """No answer, and up to LATE seconds after that the effect happens all the same."""
    reset: float = 0.0
    """Connection reset, before or after the effect."""
    slow: float = 0.0
    """The call takes up to SLOW seconds, before or after the effect."""
    expired: float = 0.0
    """410 on opening a watch."""
    crash: float = 0.0
    """The process dies, before or after the effect."""
    crowded: float = 0.0
    """Said to be busy, when the operator asks itself whether a write can wait."""
    outages: list[tuple[float, float]] = field(default_factory=list)
    """Windows in which every call is refused: connection refused."""
    latency: tuple[float, float] = (0.001, 0.02)
    """Bounds of each way's latency, seconds; always."""

    def stale(self) -> float:
        """How old, at most, what the operator knows may be when its call takes effect, with watches open; seconds."""
        return 1.0 + (3 * SLOW if self.slow else 0.0) + (CLIENT_TIMEOUT + LATE if self.late else 0.0)


class Crash(BaseException):
    """Raised by a draw: the process dies here."""


class Chance:
    """Draws faults for calls, in the order of the calls."""

    def __init__(self, faults: Faults, seed: str) -> None:
        self.faults = faults
        self.refuse_until = 0.0
        """Loop time before which writes that are not urgent are answered 429, with a Retry-After of 30 s."""
        self._rng = random.Random(f"{seed}/faults")
        self._crowd = random.Random(f"{seed}/crowded")

    def crowded(self) -> bool:
        """Whether many requests are under way, as far as the operator can tell."""
        return asyncio.get_running_loop().time() < self.faults.until and self._crowd.random() < self.faults.crowded

    def late(self) -> float:
        """How many seconds after it was given up a call has its effect; 0 where it is not given up."""
        now = asyncio.get_running_loop().time()
        if not self.faults.late or now >= self.faults.until or self._draw() >= self.faults.late:
            return 0.0
        return self._rng.uniform(0.05, LATE)

    async def before(self, call: Call) -> None:
        """On the way there."""
        now, faults = asyncio.get_running_loop().time(), self.faults
        await asyncio.sleep(self._rng.uniform(*faults.latency))
        if any(start <= now < end for start, end in faults.outages):
            raise Unavailable(f"{call}: connection refused", status=0)
        if now < self.refuse_until and call.verb in {"patch", "create"} and not call.urgent:
            raise Unavailable(f"{call}: too many requests", status=429, retry_after=30.0)
        if now >= faults.until:
            return
        draw = self._draw()
        if draw < faults.conflict and call.verb == "patch":
            status = 422 if call.patch_type is PatchType.JSON else 409
            raise Conflict(f"{call}: said to have changed meanwhile", status=status)
        if self._draw() < faults.too_many:
            after = float(self._rng.randint(1, 4))
            raise Unavailable(f"{call}: too many requests", status=429, retry_after=after)
        if call.verb == "watch" and self._draw() < faults.expired:
            raise Expired(f"{call}: too old a resourceVersion")
        await self._either_way(call)

    async def after(self, call: Call) -> None:
        """On the way back: the effect has happened."""
        await asyncio.sleep(self._rng.uniform(*self.faults.latency))
        if asyncio.get_running_loop().time() < self.faults.until:
            await self._either_way(call)

    async def _either_way(self, call: Call) -> None:
        faults = self.faults
        draw = self._draw()
        for chance, what in (
            (faults.error, "error"),
            (faults.timeout, "timeout"),
            (faults.reset, "reset"),
            (faults.slow, "slow"),
            (faults.crash, "crash"),
        ):
            if draw < chance:
                await self._happen(what, call)
                return
            draw -= chance

    async def _happen(self, what: str, call: Call) -> None:
        error: ApiError
        match what:
            case "error":
                raise Unavailable(f"{call}: internal error", status=500)
            case "timeout":
                await asyncio.sleep(CLIENT_TIMEOUT)
                error = Unavailable(f"{call}: no answer within {CLIENT_TIMEOUT:.0f} s", status=0)
                raise error
            case "reset":
                raise Unavailable(f"{call}: connection reset by peer", status=0)
            case "slow":
                await asyncio.sleep(self._rng.uniform(0.1, SLOW))
            case _:
                raise Crash

    def _draw(self) -> float:
        return self._rng.random()
