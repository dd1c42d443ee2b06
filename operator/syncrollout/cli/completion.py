"""Shell completion. Of `kubectl syncrollout` by kubectl's own: it runs `kubectl_complete-syncrollout` with the words
after the plugin's name, and reads an offer a line and what the shell is to do at the end. Of `kubectl-syncrollout` by a
script.
"""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Annotated, Final

import typer

VARIABLE: Final = "_KUBECTL_SYNCROLLOUT_COMPLETE"
"""What a shell sets to ask the plugin itself."""
PROGRAM: Final = "kubectl-syncrollout"

# Directives as of kubectl's completion (cobra).
OFFER_FILES: Final = ":0"
NO_FILES: Final = ":4"

_OF_TYPER: Final = ("--install-completion", "--show-completion")
_TAKE_FILES: Final = frozenset({"-f", "--filename", "--kubeconfig", "--to"})
_WRITE_FILES: Final = frozenset({"-o", "--output"})
_WRITERS: Final = frozenset({"record", "init"})
"""Commands whose `-o` takes a file."""


class Shell(StrEnum):
    """Shells that the script is written for."""

    BASH = "bash"
    ZSH = "zsh"
    FISH = "fish"
    POWERSHELL = "powershell"


def completion(
    shell: Annotated[Shell, typer.Argument(metavar="bash|zsh|fish|powershell", help="The shell that reads it.")],
) -> None:
    """Print the script that completes `kubectl-syncrollout`; `kubectl syncrollout` is completed by kubectl's own.

    For kubectl's own nothing has to be set up but that: source <(kubectl completion bash). It finds
    kubectl_complete-syncrollout on PATH, which is installed with the plugin.
    """
    typer.echo(_asked(f"source_{shell}").strip())


def offers(words: Sequence[str]) -> list[str]:
    """What may stand in place of the last of the words after the plugin's name, as value, tab and help; and a
    directive."""
    *before, incomplete = words or [""]
    if _wants_file(before, incomplete):
        return [OFFER_FILES]
    asked = f"{shlex.join([PROGRAM, *before])} {shlex.quote(incomplete) if incomplete else ''}"
    said = _asked("complete_fish", _TYPER_COMPLETE_ARGS=asked, _TYPER_COMPLETE_FISH_ACTION="get-args")
    found = (line for line in said.splitlines() if line.strip())
    return [*(line for line in found if not line.startswith(_OF_TYPER)), NO_FILES]


def _wants_file(before: Sequence[str], incomplete: str) -> bool:
    option = incomplete.partition("=")[0] if incomplete.startswith("--") and "=" in incomplete else ""
    option = option or (before[-1] if before else "")
    return option in _TAKE_FILES or (option in _WRITE_FILES and before[:1] != [] and before[0] in _WRITERS)


def _asked(instruction: str, **more: str) -> str:
    """What the plugin says to a shell that asks it."""
    from syncrollout.cli.plugin import main as plugin  # noqa: PLC0415 - which has this module's command in it

    said = io.StringIO()
    with _environment({VARIABLE: instruction, **more}), contextlib.redirect_stdout(said):
        plugin([])
    return said.getvalue()


@contextlib.contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def main(arguments: Sequence[str] | None = None) -> int:
    """`kubectl_complete-syncrollout`; answers its exit code."""
    words = sys.argv[1:] if arguments is None else list(arguments)
    sys.stdout.write("\n".join(offers(words)) + "\n")
    return 0


__all__ = ["NO_FILES", "OFFER_FILES", "PROGRAM", "VARIABLE", "completion", "main", "offers"]
