"""`python -m fuzz [--seconds N] [--keep] [TARGET ...]`: libFuzzer looks for inputs that break something.

It begins with the inputs that are kept. What breaks something is written to `found/` in the current folder, and is
tried again by `python -m fuzz --try FILE TARGET`. With `--keep` the shortest of the inputs that reach code which no
other reaches are kept in the corpus.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import sys
import tempfile
import traceback
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from fuzz.targets import Target

FOUND: Final = Path("found")
_INPUT_SECONDS: Final = 20
"""That one input may take; libFuzzer says of it that it hangs."""
_MOST_MB: Final = 1024
_SHOWN: Final = 6000
MOST_KEPT: Final = 20
"""Inputs that are kept of one run of a target."""
_FUZZER: Final = find_spec("atheris") is not None


def main(arguments: Sequence[str]) -> int:
    """The exit code is 0 where nothing was found, 1 where something was, and 3 where there is no fuzzer."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__, allow_abbrev=False)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help="all, where none is named")
    parser.add_argument("--seconds", type=float, default=60.0, help="for each target; 60")
    parser.add_argument("--keep", action="store_true", help="add to the corpus what reaches new code")
    parser.add_argument("--try", dest="file", type=Path, help="try this one input, and no other")
    asked = parser.parse_args(arguments)
    with _watched(not asked.file):
        from fuzz.targets import TARGETS  # noqa: PLC0415 - what is imported here is what the fuzzer sees the branches of
    unknown = [name for name in asked.targets if name not in TARGETS]
    if unknown:
        parser.error(f"there is no target {unknown[0]}; there are {', '.join(TARGETS)}")
    chosen = [TARGETS[name] for name in asked.targets or TARGETS]
    if asked.file is not None:
        for target in chosen:
            target.attempt(asked.file.read_bytes())
        return 0
    if not _FUZZER:
        print("atheris, the fuzzer, is to be had for Linux on x86-64 alone: nothing was looked for", file=sys.stderr)
        return 3
    return max([_look(target, asked.seconds, keep=asked.keep) for target in chosen])


def _watched(really: bool) -> AbstractContextManager[object]:
    if not really or not _FUZZER:
        return nullcontext()
    import atheris  # noqa: PLC0415 - not to be had everywhere

    watching: AbstractContextManager[object] = atheris.instrument_imports(include=["syncrollout"])
    return watching


def _look(target: Target, seconds: float, *, keep: bool) -> int:
    print(f"{target.name}: {target.about}", flush=True)
    for name, data in target.inputs():
        try:
            target.attempt(data)
        except Exception:  # noqa: BLE001 - whatever it is, it is what is looked for
            traceback.print_exc(file=sys.stdout)
            print(f"{target.name}: {name} of what is known already breaks it", flush=True)
            return 1
    FOUND.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        corpus, news = Path(folder, "corpus"), Path(folder, "news")
        corpus.mkdir()
        news.mkdir()
        for number, (_, data) in enumerate(target.inputs()):
            (corpus / f"{number:05}").write_bytes(data)
        code, said = _run(
            target,
            str(news),
            str(corpus),
            f"-max_total_time={max(1, round(seconds))}",
            f"-max_len={target.longest}",
            f"-timeout={_INPUT_SECONDS}",
            f"-rss_limit_mb={_MOST_MB}",
            f"-artifact_prefix={FOUND}/{target.name}-",
        )
        if code:
            print(said[-_SHOWN:])
            print(f"{target.name}: something was found; its input is in {FOUND}/, and is tried again by", flush=True)
            print(f"  PYTHONPATH=tests:operator python -m fuzz --try {FOUND}/{target.name}-... {target.name}")
            return 1
        done = next((line for line in said.splitlines() if line.startswith("Done ")), "nothing was tried")
        print(f"  {done}", flush=True)
        if keep:
            _keep(target, news)
    return 0


def _keep(target: Target, news: Path) -> None:
    """Of what reached new code on the way the shortest, under the names that libFuzzer gives them."""
    target.kept.mkdir(parents=True, exist_ok=True)
    found = sorted(news.iterdir(), key=lambda path: (path.stat().st_size, path.name))[:MOST_KEPT]
    for path in found:
        (target.kept / path.name).write_bytes(path.read_bytes())
    print(f"  {len(found)} inputs more are kept in {target.kept}", flush=True)


def _attempt(target: Target, data: bytes) -> None:
    """What breaks something is written down here, for the process does not end as libFuzzer would have it."""
    try:
        target.attempt(data)
    except Exception:
        digest = hashlib.sha256(data).hexdigest()[:12]
        (FOUND / f"{target.name}-crash-{digest}").write_bytes(data)
        raise


def _run(target: Target, *flags: str) -> tuple[int, str]:
    """In a process of its own, for libFuzzer ends the one that it runs in."""
    import atheris  # noqa: PLC0415 - not to be had everywhere

    with tempfile.TemporaryFile() as output:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            try:
                atheris.Setup(["fuzz", *flags], lambda data: _attempt(target, data))
                atheris.Fuzz()
            finally:
                os._exit(70)
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return status, output.read().decode(errors="replace")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
