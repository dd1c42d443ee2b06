"""A worker's view of its assignment while it changes: what may be started, what is in flight, which epoch is obeyed.

Two rules carry the whole protocol on the worker's side, and both hold under one lock:

- an item is started only if its slot is owned by the newest assignment that was accepted;
- an epoch counts as obeyed only once no item is in flight whose slot that assignment does not give to this side.

So whoever reads an obeyed epoch knows that nothing of what was lost is being worked on, nor ever will be again until
a later epoch gives it back. How late the file is seen does not matter for that; it only delays.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from syncrollout.shards.assignment import NAME, Assignment, BadAssignment, Side, read_file, slot

log = logging.getLogger("syncrollout.shards")

DIRECTORY = Path("/etc/syncrollout")
"""Where docs/workers.md mounts the ConfigMap."""

INTERVAL = 0.5
"""Seconds between two looks at the file. It is read each time: ninety bytes, and times and inodes can deceive."""


class NotOwned(Exception):
    """The item must not be started: its slot is not this side's (any more). `epoch` says as of which assignment."""

    def __init__(self, key: str, number: int, side: Side, epoch: int) -> None:
        super().__init__(f"slot {number} of key {key!r} is not owned by {side} as of epoch {epoch}")
        self.key = key
        self.slot = number
        self.side = side
        self.epoch = epoch


@dataclass(frozen=True, slots=True)
class Item:
    """One item in flight. `dry_run`: do everything except write; the key belongs to the other side."""

    key: str
    slot: int
    epoch: int
    dry_run: bool
    _shards: Shards

    @property
    def lost(self) -> bool:
        """Whether the slot was taken away since the item was started. A long item may look at it, and end early."""
        return not self.dry_run and not self._shards.owns_slot(self.slot)


class Shards:
    """What one worker process may work on. Threads and coroutines share one; make it after any fork.

    `path` is the mounted file, or `assignment` a fixed one, for a process that is restarted with each change. The file
    is looked at by every `item`, `owns` and scrape once `interval` seconds have passed since the last look; `start`
    adds a thread that looks while nothing else does, for `on_change`.

    `alone`: old owns everything as long as there never was an assignment; without it, and always for new, nobody's is
    everything. `dry_run`: this worker knows of dry-runs, and `item` hands out items with `dry_run` set in shadow mode;
    without it nothing is started then. `floor`: assignments of an earlier epoch are refused. `uid` is the pod's.
    Raises ValueError for arguments that do not go together.
    """

    def __init__(
        self,
        side: Side | str,
        path: str | os.PathLike[str] | None = None,
        *,
        assignment: Assignment | None = None,
        uid: str = "",
        alone: bool = False,
        dry_run: bool = False,
        floor: int = 0,
        interval: float = INTERVAL,
        on_change: Callable[[Assignment], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] | None = None,
    ) -> None:
        self.side = _side(side)
        self.uid = uid
        if (path is None) == (assignment is None):
            raise ValueError("shards needs the path of the mounted file or a fixed assignment, one of the two")
        if alone and self.side is Side.NEW:
            raise ValueError("only old can own everything without an assignment; for new it would mean two owners")
        self._path = None if path is None else Path(path)
        self._dry_run = dry_run
        self._floor = floor
        self._interval = interval
        self._on_change = on_change
        self._clock = clock
        self._stopped = threading.Event()
        self._sleep = sleep or self._stopped.wait
        self._thread: threading.Thread | None = None

        self._look_lock = threading.Lock()  # looks happen in turn, so that what is read last is judged last
        self._looker: int | None = None
        self._looked = float("-inf")

        self._lock = threading.Lock()  # over all that follows; held for moments only
        self._current: Assignment | None = None
        self._alone = alone and not floor
        self._obeyed = 0
        self._held: Counter[int] = Counter()  # slot -> live items in flight
        self._rehearsed = 0  # items in flight in dry-run: they own nothing and hold nothing back
        self._refused = ""

        if assignment is not None:
            self._accept(assignment)
            if self._refused:
                raise BadAssignment(self._refused)  # it never changes: only a new process can have another one
        self.look()

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        alone: bool = False,
        dry_run: bool = False,
        on_change: Callable[[Assignment], object] | None = None,
    ) -> Shards:
        """As the pod's environment says.

        SYNCROLLOUT_SIDE, old or new. SYNCROLLOUT_SHARDS_FILE, the mounted file; else SYNCROLLOUT_SHARDS, the assignment
        itself as envFrom sets it; else /etc/syncrollout/SYNCROLLOUT_SHARDS. SYNCROLLOUT_POD_UID and SYNCROLLOUT_EPOCH,
        from the downward API, both optional. Raises ValueError (BadAssignment is one).
        """
        environ = os.environ if environ is None else environ
        side = environ.get("SYNCROLLOUT_SIDE", "")
        if not side:
            raise ValueError("the variable SYNCROLLOUT_SIDE is not set: say whether this worker is old or new")
        text = environ.get("SYNCROLLOUT_EPOCH", "").strip() or "0"
        if not text.isascii() or not text.isdecimal():
            raise ValueError(f"the variable SYNCROLLOUT_EPOCH is {text!r}, not a whole number")
        path = environ.get("SYNCROLLOUT_SHARDS_FILE", "")
        fixed = NAME in environ and not path
        return cls(
            side,
            None if fixed else path or DIRECTORY / NAME,
            assignment=Assignment.from_env(environ) if fixed else None,
            uid=environ.get("SYNCROLLOUT_POD_UID", ""),
            alone=alone,
            dry_run=dry_run,
            floor=int(text),
            on_change=on_change,
        )

    # What it says

    @property
    def assignment(self) -> Assignment | None:
        """The newest that was accepted; None while there never was one."""
        self._glance()
        with self._lock:
            return self._current

    @property
    def obeyed_epoch(self) -> int:
        """The epoch this process obeys; 0 while there never was an assignment. Never falls."""
        self._glance()
        with self._lock:
            return self._obeyed

    @property
    def in_flight(self) -> int:
        """Items under way, dry-runs included."""
        with self._lock:
            return self._held.total() + self._rehearsed

    @property
    def refused(self) -> str:
        """Why what the file holds now is not followed, in one sentence; empty while it is."""
        with self._lock:
            return self._refused

    def owns(self, key: str) -> bool:
        """Whether this side may work on the key, as of now. To choose by; to work, use `item`, which asks again."""
        return self.owns_slot(slot(key))

    def owns_slot(self, number: int) -> bool:
        """The same for a slot."""
        self._glance()
        with self._lock:
            return self._owns(number)

    # Items

    @contextmanager
    def item(self, key: str) -> Iterator[Item]:
        """Work on one item: `with shards.item(key) as item`. Raises NotOwned if it must not be started.

        The item is in flight until the block ends, so all that it started has to have ended by then. Never blocks, so
        coroutines use it as it is.
        """
        number = slot(key)
        self._glance()
        item = self._begin(key, number)
        try:
            yield item
        finally:
            self._end(item)

    def _begin(self, key: str, number: int) -> Item:
        with self._lock:
            epoch = 0 if self._current is None else self._current.epoch
            if self._owns(number):
                self._held[number] += 1
                return Item(key, number, epoch, dry_run=False, _shards=self)
            if self._dry_run and self._current is not None and self._current.rehearses(self.side):
                self._rehearsed += 1
                return Item(key, number, epoch, dry_run=True, _shards=self)
        raise NotOwned(key, number, self.side, epoch)

    def _end(self, item: Item) -> None:
        with self._lock:
            if item.dry_run:
                self._rehearsed -= 1
                return
            self._held[item.slot] -= 1
            if not self._held[item.slot]:
                del self._held[item.slot]
            self._obey()

    def _owns(self, number: int) -> bool:
        return self._alone if self._current is None else self._current.owns_slot(number, self.side)

    def _obey(self) -> None:
        if self._current is not None and self._current.epoch != self._obeyed and all(map(self._owns, self._held)):
            self._obeyed = self._current.epoch

    # The file

    def look(self) -> bool:
        """Look at the file now. True if a new assignment was accepted; callbacks have been called then."""
        if self._path is None or self._looker == threading.get_ident():
            return False  # a callback that looks would hear of the next change before others hear of this one
        with self._look_lock:
            return self._look_in_turn(self._path)

    def _glance(self) -> None:
        """Look if it is time to, and nobody else is at it."""
        if self._path is None or self._clock() - self._looked < self._interval:
            return
        if self._look_lock.acquire(blocking=False):
            try:
                self._look_in_turn(self._path)
            finally:
                self._look_lock.release()

    def _look_in_turn(self, path: Path) -> bool:
        self._looker = threading.get_ident()
        try:
            self._looked = self._clock()
            accepted = self._take(path)
            if accepted is not None and self._on_change is not None:
                self._tell(self._on_change, accepted)
            return accepted is not None
        finally:
            self._looker = None

    def _take(self, path: Path) -> Assignment | None:
        try:
            read = Assignment.parse(read_file(path))
        except (FileNotFoundError, NotADirectoryError):
            self._refuse(f"{path} is not there: is the ConfigMap there, and mounted?")
            return None
        except (OSError, BadAssignment) as error:
            with self._lock:
                self._alone = False  # there is an assignment, and it may say that new owns something
            self._refuse(f"{path} cannot be followed: {error}")
            return None
        return read if self._accept(read) else None

    def _accept(self, read: Assignment) -> bool:
        with self._lock:
            self._alone = False
            current = self._current
            if read == current:
                self._refused = ""
                return False
            why = self._against(read, current)
            if not why:
                self._current = read
                self._refused = ""
                self._obey()
        if why:
            self._refuse(why)
            return False
        log.info(
            "epoch %d: new below %d, old from %d, %s%s",
            read.epoch,
            read.new_below,
            read.old_from,
            read.mode,
            ", stop" if read.stop else "",
        )
        return True

    def _against(self, read: Assignment, current: Assignment | None) -> str:
        if read.epoch < self._floor:
            return (
                f"epoch {read.epoch} is older than this pod, which was made for epoch {self._floor}: a newer one is "
                "due (if the ConfigMap was made anew, take syncrollout.io/epoch off the pod template)"
            )
        if current is None or read.epoch > current.epoch:
            return ""
        if read.epoch == current.epoch:
            return f"epoch {read.epoch} says something else than before: somebody has edited the ConfigMap"
        return (
            f"epoch {read.epoch} after epoch {current.epoch}: epochs never fall (if the ConfigMap was made anew, "
            "restart this worker)"
        )

    def _refuse(self, why: str) -> None:
        with self._lock:
            news = why != self._refused
            self._refused = why
            kept = "nothing" if self._current is None else f"epoch {self._current.epoch}"
            kept = "everything, as there never was an assignment" if self._alone else kept
        if news:
            log.warning("assignment not followed, staying with %s: %s", kept, why)

    @staticmethod
    def _tell(listener: Callable[[Assignment], object], accepted: Assignment) -> None:
        try:
            listener(accepted)
        except Exception:
            log.exception("on_change failed for epoch %d", accepted.epoch)

    # Waiting and watching

    def wait(self, after: int | None = None, timeout: float | None = None) -> Assignment | None:
        """Block until an assignment later than epoch `after` (default: the one known now) is there, and answer it.
        None at `timeout`, in seconds, or once stopped."""
        after, until = self._bounds(after, timeout)
        while (newer := self._later_than(after)) is None:
            if self._clock() >= until or self._stopped.is_set():
                return None
            self._sleep(min(self._interval, until - self._clock()))
        return newer

    async def changed(self, after: int | None = None, timeout: float | None = None) -> Assignment | None:
        """`wait` for coroutines."""
        after, until = self._bounds(after, timeout)
        while (newer := self._later_than(after)) is None:
            if self._clock() >= until or self._stopped.is_set():
                return None
            await asyncio.sleep(min(self._interval, until - self._clock()))
        return newer

    def _bounds(self, after: int | None, timeout: float | None) -> tuple[int, float]:
        with self._lock:
            known = 0 if self._current is None else self._current.epoch
        return (known if after is None else after, float("inf") if timeout is None else self._clock() + timeout)

    def _later_than(self, epoch: int) -> Assignment | None:
        current = self.assignment
        return current if current is not None and current.epoch > epoch else None

    def start(self) -> None:
        """Look from a thread of its own as well, every `interval` seconds; a second call does nothing."""
        if self._thread is None and self._path is not None:
            self._stopped.clear()
            self._thread = threading.Thread(target=self.run, name="syncrollout-shards", daemon=True)
            self._thread.start()

    def run(self) -> None:
        """What the thread does: look, until `stop`."""
        while not self._stopped.is_set():
            self._glance()
            self._sleep(self._interval)

    def stop(self) -> None:
        """End the thread and every `wait`. What is owned stays as it is: a process that ends lets items end first."""
        self._stopped.set()
        thread, self._thread = self._thread, None
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Shards:
        self.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def _side(side: Side | str) -> Side:
    try:
        return Side(side)
    except ValueError:
        raise ValueError(f"a side is old or new, not {side!r}") from None


__all__ = ["Item", "NotOwned", "Shards"]
