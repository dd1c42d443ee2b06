"""A mounted ConfigMap, laid out and replaced as the kubelet does it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from syncrollout.shards import Assignment, Shards

NAME = "SYNCROLLOUT_SHARDS"


class Mount:
    """`<folder>/SYNCROLLOUT_SHARDS -> ..data/SYNCROLLOUT_SHARDS`, and `..data -> ..<time>`, which is swapped."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / NAME
        self._swaps = 0

    def put(self, contents: Assignment | str | bytes) -> None:
        """New contents, in one step."""
        if isinstance(contents, Assignment):
            contents = contents.dump()
        data = contents.encode() if isinstance(contents, str) else contents
        self._swaps += 1
        fresh = self.folder / f"..{self._swaps}"
        fresh.mkdir(parents=True)
        (fresh / NAME).write_bytes(data)
        link = self.folder / "..data"
        before = link.resolve() if link.exists() else None
        swap = self.folder / "..data_tmp"
        swap.symlink_to(fresh.name)
        os.replace(swap, link)
        if not self.path.is_symlink():
            self.path.symlink_to(f"..data/{NAME}")
        if before is not None:
            shutil.rmtree(before)

    def remove(self) -> None:
        """As when the ConfigMap of an optional volume is deleted."""
        self.path.unlink()


class Clock:
    """Seconds that pass when told to, or when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.during: list[Callable[[], object]] = []
        """What happens during the next sleeps, one each."""

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        if self.during:
            self.during.pop(0)()


@pytest.fixture
def mount(tmp_path: Path) -> Mount:
    """An empty one: nothing is there yet."""
    return Mount(tmp_path / "mount")


@pytest.fixture
def clock() -> Clock:
    return Clock()


Make = Callable[..., Shards]


@pytest.fixture
def make(mount: Mount, clock: Clock) -> Iterator[Make]:
    """Shards on the mount and the clock; stopped at the end."""
    made: list[Shards] = []

    def call(side: str = "old", **options: object) -> Shards:
        shards = Shards(side, mount.path, clock=clock, sleep=clock.sleep, **options)  # type: ignore[arg-type]
        made.append(shards)
        return shards

    yield call
    for shards in made:
        shards.stop()
