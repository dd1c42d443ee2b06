"""One rollout on a stage: a test tells what happens to it, step by step."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from fakes.kube import Call, Verb
from simulation import objects
from simulation.invariants import Invariants
from simulation.loop import run
from simulation.objects import ROLLOUT
from simulation.plain import world as plain
from simulation.world import World, until
from syncrollout.ports import ApiError, KindRef, Object, Unavailable


class Stage:
    """One rollout in a world, its process started, nothing wrong yet; with one route, or two of different kinds."""

    def __init__(self, *, seconds: int = 5, one: bool = True) -> None:
        scenario = plain(seconds=seconds, one=one)
        self.world = World("stage")
        self.plan = scenario.goals[0].plan
        self.body = scenario.rollouts[0][1]
        for obj in scenario.objects:
            self.world.kube.put(obj)
        self.world.source.old = {self.plan.old}
        self.invariants = Invariants(self.world, (self.plan,))
        self._refused: tuple[Verb, KindRef] | None = None
        self._refusing = False
        self.world.start()

    async def begin(self, wait: float = 2.0) -> None:
        """The rollout is applied, once its pods are ready."""
        await asyncio.sleep(2.0)
        self.world.kube.put(self.body)
        await asyncio.sleep(wait)

    async def reach(self, state: str, *, phase: str = "", within: float = 120.0) -> None:
        """Wait until it is in a state, and phase."""
        end = self.world.now + within
        while self.state != state or (phase and self.status["phase"]["name"] != phase):
            assert self.world.now < end, f"{self.state} after {within:.0f} s: {self.status.get('message')}"
            await asyncio.sleep(0.05)

    async def when(self, condition: Callable[[], bool], within: float = 60.0) -> None:
        """Wait until a condition holds."""
        assert await until(self.world, condition, self.world.now + within, step=0.01), f"not within {within:.0f} s"

    @property
    def status(self) -> Object:
        """As recorded."""
        return objects.status_of(self.world.kube.read(self.plan.ref))

    @property
    def state(self) -> str:
        """Its state."""
        return str(self.status.get("state", "Pending"))

    @property
    def share(self) -> float:
        """New's share in percent."""
        return objects.share(self.world.kube.read(self.plan.routes[0]), self.plan.old, self.plan.new)

    @property
    def replicas_of_old(self) -> int:
        """What old is asked to have."""
        return objects.replicas_of(self.world.kube.read(self.plan.old_ref))

    def condition(self, kind: str) -> Object:
        """One of its conditions."""
        return next(dict(each) for each in self.status["conditions"] if each["type"] == kind)

    def spoil(self, when: Callable[[Call], ApiError | None], *, after: bool = False) -> None:
        """Answer calls with an error from now on, before their effect or `after` it."""
        usual = self.world.kube.after if after else self.world.kube.before
        assert usual is not None

        async def spoiled(call: Call) -> None:
            await usual(call)
            error = when(call)
            if error is not None:
                raise error

        if after:
            self.world.kube.after = spoiled
        else:
            self.world.kube.before = spoiled

    def refuse(self, verb: Verb, kind: KindRef) -> None:
        """Calls of this sort get no answer and have no effect, until `accept`."""
        self._refused = (verb, kind)
        if not self._refusing:
            self._refusing = True
            self.spoil(self._refusal)

    def accept(self) -> None:
        """All is well again."""
        self._refused = None

    def _refusal(self, call: Call) -> ApiError | None:
        return Unavailable("connection refused", status=0) if self._refused == (call.verb, call.ref.kind) else None

    def calls(self, since: int = 0) -> list[str]:
        """What was asked of the API server."""
        return [str(call) for call in self.world.calls[since:]]


def staged(story: Callable[[Stage], Awaitable[None]], *, guarded: bool = True, **options: Any) -> None:
    """Run a story; whatever is in it, the invariants hold (`guarded`)."""

    async def main() -> None:
        stage = Stage(**options)
        await story(stage)
        assert not (guarded and stage.world.violation.done()), stage.world.violation.result()
        stage.world.process.crash()
        stage.world.controllers.stop()
        stage.world.jobs.stop()
        await asyncio.sleep(0.01)

    run(main())


def once(error: ApiError, when: Callable[[Call], bool]) -> Callable[[Call], ApiError | None]:
    """The first call of a kind fails."""
    failed: list[Call] = []

    def first(call: Call) -> ApiError | None:
        if failed or not when(call):
            return None
        failed.append(call)
        return error

    return first


def is_status(call: Call) -> bool:
    """A write of status."""
    return call.ref.kind == ROLLOUT and call.subresource == "status"
