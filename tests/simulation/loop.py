"""An event loop whose time is virtual: when nothing is ready it jumps to the next timer, so that an hour takes as long
as its work does. No selector, no threads, no wall clock: the same program gives the same run.
"""

from __future__ import annotations

import asyncio
import contextvars
import heapq
from collections import deque
from collections.abc import Coroutine
from typing import Any, Protocol, TypeVar

T = TypeVar("T")
START = 100.0
"""Where loop time starts; not at zero, which some of the operator's fields mean as never."""
MOST_STEPS = 50_000
"""Loop iterations at one moment of virtual time after which the program counts as spinning."""


class Owner(Protocol):
    """Whoever tasks belong to: an operator process of the simulation, which can die."""

    alive: bool
    frozen: bool
    tasks: list[asyncio.Task[Any]]


OWNER: contextvars.ContextVar[Owner | None] = contextvars.ContextVar("owner", default=None)
"""Inherited by tasks and timers, so that all that belongs to a process can be found when it dies."""


class Stuck(AssertionError):
    """The simulated program spins without time going on, or waits for nothing at all."""


class _Jump:
    """Stands where a selector would: instead of waiting, time goes on."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._steps = 0

    def select(self, timeout: float | None) -> list[Any]:
        self._loop.set_frozen_aside()
        if timeout == 0:
            self._steps += 1
            if self._steps > MOST_STEPS:
                raise Stuck(f"{MOST_STEPS} steps at {self._loop.time():.3f} and time does not go on: a busy loop")
        else:
            self._steps = 0
            self._loop.jump()
        return []


class VirtualLoop(asyncio.BaseEventLoop):
    """A loop for one simulated run."""

    def __init__(self) -> None:
        super().__init__()
        self._virtual = START
        self._selector = _Jump(self)
        self._clock_resolution = 1e-9
        self.set_task_factory(_owned)
        self.set_exception_handler(self._note)
        self._aside: dict[Any, list[Any]] = {}
        self.unhandled: list[str] = []
        """What would have been written to stderr: errors nobody took."""

    def time(self) -> float:
        """Virtual seconds."""
        return self._virtual

    def jump(self) -> None:
        """To the next timer."""
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        if not timers:
            raise Stuck(f"nothing will ever happen again after {self._virtual:.3f}")
        self._virtual = max(self._virtual, timers[0].when())

    def set_frozen_aside(self) -> None:
        """What a frozen owner would do now waits until it thaws."""
        if not self._aside:
            return
        ready: deque[Any] = self._ready  # type: ignore[attr-defined]
        for handle in [each for each in ready if _owner(each) in self._aside]:
            ready.remove(handle)
            self._aside[_owner(handle)].append(handle)

    def freeze(self, owner: Owner) -> None:
        """Nothing of this owner runs until `thaw`, as if its machine stood still."""
        owner.frozen = True
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        its = [each for each in timers if _owner(each) is owner]
        timers[:] = [each for each in timers if _owner(each) is not owner]
        heapq.heapify(timers)
        self._aside[owner] = its

    def thaw(self, owner: Owner) -> None:
        """It goes on, with all that has come due meanwhile."""
        owner.frozen = False
        for handle in self._aside.pop(owner, []):
            if isinstance(handle, asyncio.TimerHandle):
                heapq.heappush(self._scheduled, handle)  # type: ignore[attr-defined]
            else:
                self._ready.append(handle)  # type: ignore[attr-defined]

    def cancel_timers(self, owner: Owner) -> None:
        """No timer of this owner rings any more."""
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        for handle in list(timers):
            if _owner(handle) is owner:
                handle.cancel()

    def cancel_timers_all(self) -> None:
        """No timer rings any more, whoever set it."""
        timers: list[Any] = self._scheduled  # type: ignore[attr-defined]
        for handle in list(timers):
            handle.cancel()

    def _note(self, _: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        self.unhandled.append(f"{context.get('message')}: {type(error).__name__}: {error}")

    def _process_events(self, _: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody is asleep."""


def _owner(handle: Any) -> Any:
    return handle._context.get(OWNER)


def _owned(loop: asyncio.AbstractEventLoop, coro: Any, **options: Any) -> asyncio.Task[Any]:
    task: asyncio.Task[Any] = asyncio.Task(coro, loop=loop, **options)
    context = options.get("context")
    owner = context.get(OWNER) if context is not None else OWNER.get()
    if owner is not None:
        if len(owner.tasks) > 500:
            owner.tasks[:] = [each for each in owner.tasks if not each.done()]
        owner.tasks.append(task)
        if not owner.alive:
            task.cancel()
    return task


def run(main: Coroutine[Any, Any, T]) -> T:
    """Run a program on a loop of its own, to its end."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
