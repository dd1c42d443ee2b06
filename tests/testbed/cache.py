"""The folder that keeps what was built, so that it is built once.

Every part stands in a folder of its own whose name holds its version. A part is put together in a
scratch folder beside it and renamed into place, so a folder that exists is complete; a lock per part
keeps two runs from building the same thing at once.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def root() -> Path:
    """`$SYNCROLLOUT_CACHE`, else `.cache/testbed` in the repository."""
    given = os.environ.get("SYNCROLLOUT_CACHE")
    return Path(given).expanduser().resolve() if given else REPOSITORY / ".cache" / "testbed"


def folder(key: str) -> Path:
    """Where the part with this key stands (or will stand)."""
    return root() / key


def fill(key: str, make: Callable[[Path], None]) -> Path:
    """The folder of `key`; if it is not there, `make(scratch)` fills it, once among all processes."""
    target = folder(key)
    if target.is_dir():
        return target
    root().mkdir(parents=True, exist_ok=True)
    with _lock(key):
        if target.is_dir():
            return target
        for left_over in root().glob(f".{key}.*/"):  # of a run that was killed: the lock is ours
            shutil.rmtree(left_over, ignore_errors=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=root()))
        try:
            make(scratch)
            scratch.chmod(0o755)  # mkdtemp makes it private; the cache is not
            scratch.rename(target)
        except BaseException:
            shutil.rmtree(scratch, ignore_errors=True)
            raise
    return target


@contextmanager
def _lock(key: str) -> Iterator[None]:
    with (root() / f".{key}.lock").open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print(f"testbed: another run is building {key}; waiting for it", file=sys.stderr, flush=True)
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
