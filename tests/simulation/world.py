"""The simulated world: API server, controllers, Prometheus, operator processes, and what is written down about them."""

from __future__ import annotations

import asyncio
import contextvars
import hashlib
import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from fakes.controllers import JobController, WorkloadController
from fakes.kube import EPOCH, Call, FakeKube
from fakes.notifier import FakeNotifier
from fakes.prober import Answering
from simulation import objects
from simulation.faults import Chance, Crash, Faults
from simulation.loop import OWNER, VirtualLoop
from simulation.metrics import Script
from simulation.objects import LEASE
from simulation.process import CALLER, Process
from syncrollout.ports import ApiError, KindRef, Object

WATCH_TIMEOUT = 40.0


@dataclass(slots=True)
class CrashPoint:
    """Die at the call of this number (from 1), before or after its effect."""

    call: int
    after: bool


@dataclass(slots=True)
class Sight:
    """Since when watches of a kind may be blind; None while one is open and speaks."""

    blind_from: float | None
    well_from: float = 0.0


class WallClock:
    """The operator's wall clock: loop time on a fixed date, with an offset that a test may set."""

    def __init__(self) -> None:
        self.offset = 0.0

    def now(self) -> float:
        """See ports.Clock."""
        return EPOCH + asyncio.get_running_loop().time() + self.offset


@dataclass(slots=True)
class Trace:
    """What happened, a line each."""

    lines: list[str] = field(default_factory=list)
    echo: bool = False

    def add(self, text: str) -> None:
        """One line, with the time."""
        line = f"{asyncio.get_running_loop().time():9.3f}  {text}"
        self.lines.append(line)
        if self.echo:
            print(line)

    def digest(self) -> str:
        """A fingerprint of the whole."""
        return hashlib.sha256("\n".join(self.lines).encode()).hexdigest()


class World:
    """Everything outside the operator, and its processes. Make it on the running loop."""

    def __init__(self, seed: str, faults: Faults | None = None, *, elected: bool = False, echo: bool = False) -> None:
        self.seed = seed
        self.elected = elected
        self.trace = Trace(echo=echo)
        self.kube = FakeKube(watch_timeout=WATCH_TIMEOUT)
        self.controllers = _Controllers(self.kube, ready_after=0.8)
        self.jobs = _Jobs(self.kube)
        self.clock = WallClock()
        self.source = Script(seed)
        self.prober = Answering()
        self.people = FakeNotifier(delay=0.2)
        self.chance = Chance(faults or Faults(), seed)
        self.processes: list[Process] = []
        self.starts: list[float] = []
        """When each was started, loop time."""
        self.calls: list[Call] = []
        """All calls of the operator, refused ones included, in the order in which they were made."""
        self.crash_point: CrashPoint | None = None
        self.restart_after = 1.0
        self.look: Callable[[], None] = lambda: None
        """Called every now and then while time goes on."""
        self.unserved: set[KindRef] = set()
        """Kinds that the API server does not serve at the moment."""
        self.late_calls: list[asyncio.Task[None]] = []
        """Calls that were given up and have their effect later."""
        self.namespaces: tuple[str, ...] | None = None
        self.concurrency = 64
        self.partitions = 1
        self.leaders = 0
        """How often somebody began to lead; Events that were on their way before may be lost."""
        self.violation: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.sights: dict[KindRef, Sight] = {}
        self.kube.before = self._before
        self.kube.after = self._after
        self.kube.on_effect.append(self._write_down)
        self.controllers.start()
        self.jobs.start()

    # Time and writing down.

    @property
    def now(self) -> float:
        """Loop time."""
        return asyncio.get_running_loop().time()

    def say(self, text: str) -> None:
        """One line of the trace."""
        self.trace.add(text)

    def violate(self, text: str) -> None:
        """An invariant does not hold: the run ends here."""
        self.say(f"VIOLATION: {text}")
        if not self.violation.done():
            self.violation.set_result(f"at {self.now:.3f}: {text}")

    # Processes.

    @property
    def process(self) -> Process:
        """The one that leads, else the youngest."""
        living = [each for each in self.processes if each.alive]
        return next((each for each in living if each.may_write()), self.processes[-1])

    def start(self) -> None:
        """One more operator process."""
        process = Process(self, len(self.processes) + 1)
        self.processes.append(process)
        self.starts.append(self.now)
        self.say(f"p{process.number} starts")
        process.start()

    def crash(self, process: Process) -> None:
        """It dies, and another one is started after a while."""
        if process.alive:
            self.say(f"p{process.number} dies")
            process.crash()
            asyncio.get_running_loop().call_later(self.restart_after, self.start, context=nobody())

    def freeze(self, process: Process, seconds: float) -> None:
        """Its machine stands still for a while."""
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        if process.alive and not process.frozen:
            self.say(f"p{process.number} freezes")
            loop.freeze(process)
            loop.call_later(seconds, self._thaw, process, context=nobody())

    def _thaw(self, process: Process) -> None:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        if process.alive and process.frozen:
            self.say(f"p{process.number} goes on")
            loop.thaw(process)

    def cut_off(self, process: Process, seconds: float) -> None:
        """It cannot reach the API server for a while."""
        self.say(f"p{process.number} is cut off")
        process.cut_off = True
        self._blind(None)

        def again() -> None:
            self.say(f"p{process.number} is reached again")
            process.cut_off = False

        asyncio.get_running_loop().call_later(seconds, again, context=nobody())

    # Disturbing watches.

    def drop_watches(self) -> None:
        """All open watches break off."""
        self._blind(None)
        self.kube.drop_watches()

    def expire(self) -> None:
        """All open watches break off and cannot be resumed."""
        self._blind(None)
        self.kube.expire()

    def unserve(self, kind: KindRef, *, on: bool) -> None:
        """A kind is served no longer, or again."""
        if on:
            self.unserved.add(kind)
            self.kube.unserve(kind)
            self.drop_watches()
        else:
            self.unserved.discard(kind)
            self.kube.serve(kind)

    def silence(self, kind: KindRef, *, on: bool) -> None:
        """Watches of a kind say nothing, or go on speaking."""
        self.kube.silence(kind, on=on)
        if on:
            self._blind(kind)
            self.sights[kind].well_from = float("inf")
        elif kind in self.sights:
            self.sights[kind] = Sight(None, self.now)

    def knows_since(self, kind: KindRef) -> float:
        """From when on, at the latest, the operator can have seen what happened to objects of this kind."""
        sight = self.sights.get(kind)
        if sight is None:
            return 0.0
        return sight.blind_from if sight.blind_from is not None else self.now

    def _blind(self, kind: KindRef | None) -> None:
        for each in [kind] if kind is not None else list(self.sights):
            sight = self.sights.setdefault(each, Sight(self.now))
            if sight.blind_from is None:
                sight.blind_from = self.now

    # Hooks of the API server.

    async def _before(self, call: Call) -> None:
        owner = _caller(call)
        self.calls.append(call)
        number = len(self.calls)
        if call.verb in {"list", "watch"}:
            self._blind(call.ref.kind)
        if call.verb not in {"patch", "create"} and call.ref.kind != LEASE:
            self.say(f"p{owner.number} #{number} {call}")
        await self._spoil(call, owner, number, after=False)

    async def _after(self, call: Call) -> None:
        owner = _caller(call)
        await self._spoil(call, owner, self.calls.index(call) + 1 if self.crash_point else 0, after=True)
        sight = self.sights.get(call.ref.kind)
        if call.verb == "watch" and sight is not None and sight.well_from != float("inf"):
            sight.blind_from = None

    async def _spoil(self, call: Call, owner: Process, number: int, *, after: bool) -> None:
        try:
            if self.crash_point is not None and (number, after) == (self.crash_point.call, self.crash_point.after):
                raise Crash
            await (self.chance.after(call) if after else self.chance.before(call))
        except Crash:
            self.say(f"p{owner.number} crash {'after' if after else 'before'} the effect of {call}")
            self.crash(owner)
            raise asyncio.CancelledError from None
        except ApiError as error:
            self.say(f"p{owner.number} {'answer lost' if after else 'refused'}: {error}")
            raise

    def _write_down(self, call: Call) -> None:
        by = f"p{_caller(call).number}" if call.by == "operator" else "people"
        if call.by == "person" and call.ref.kind in objects.WORKLOADS and call.subresource == "status":
            by = "kubelet"
        # what a Lease says about time is the one thing that comes from this machine's clock
        self.say(f"{by} {call}" + ("" if call.ref.kind == LEASE else f": {_difference(call.before, call.after)}"))


def _caller(call: Call) -> Process:
    caller = CALLER.get() or OWNER.get()
    assert isinstance(caller, Process), f"{call} by nobody"
    return caller


def nobody() -> contextvars.Context:
    """A context that belongs to no operator process."""
    context = contextvars.copy_context()
    context.run(OWNER.set, None)
    context.run(CALLER.set, None)
    return context


class _Controllers(WorkloadController):
    """Hears of a write within the task that made it; its timers must not die with that task's process."""

    def _hear(self, call: Call) -> None:
        nobody().run(super()._hear, call)


class _Jobs(JobController):
    """Likewise."""

    def _hear(self, call: Call) -> None:
        nobody().run(super()._hear, call)


def _difference(before: Object | None, after: Object | None) -> str:
    """What a write changed, in short: leaves by path."""
    old, new = dict(_leaves(before)), dict(_leaves(after))
    skipped = ("metadata.resourceVersion", "metadata.generation")
    parts = [
        f"{path}={json.dumps(new.get(path))}"
        for path in sorted(old.keys() | new.keys())
        if path not in skipped and old.get(path) != new.get(path) and not path.startswith("status.conditions")
    ]
    text = " ".join(parts)
    return text if len(text) < 1200 else text[:1200] + "..."


def _leaves(node: Any, path: str = "") -> list[tuple[str, Any]]:
    if isinstance(node, dict):
        return [leaf for key in node for leaf in _leaves(node[key], f"{path}.{key}" if path else key)]
    if isinstance(node, list):
        return [leaf for index, each in enumerate(node) for leaf in _leaves(each, f"{path}[{index}]")]
    return [(path, node)]


class LogHandler(logging.Handler):
    """The operator's own log lines go to the trace; an error among them is a violation."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self._world = world

    def emit(self, record: logging.LogRecord) -> None:
        """One record."""
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text += f" [{type(error).__name__}: {error}]"
        self._world.say(f"log {record.levelname.lower()}: {text}")
        if record.levelno >= logging.ERROR:
            self._world.violate(f"the operator logs an error: {text}")


Condition = Callable[[], bool]


async def until(world: World, condition: Condition, deadline: float, step: float = 0.25) -> bool:
    """Let time go on until the condition holds (True), or loop time `deadline` (False), or an invariant is broken."""
    while world.now < deadline:
        if world.violation.done():
            raise AssertionError(world.violation.result())
        world.look()
        if condition():
            return True
        await asyncio.sleep(step)
    return condition()


__all__ = ["CrashPoint", "LogHandler", "VirtualLoop", "World", "until"]
