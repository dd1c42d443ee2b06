"""`kubectl syncrollout validate`: what the API server would refuse, said without a cluster."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from syncrollout.cli.answers import FAILED, Ended

if TYPE_CHECKING:
    from syncrollout.cli.mistakes import Checked

_Files = Annotated[
    list[str],
    typer.Option("-f", "--filename", metavar="FILE", help="YAML or JSON; - is standard input; may be repeated."),
]


def validate(*, file: _Files) -> None:
    """Check SyncRollouts in files, offline, by the models and the rules of the CRD.

    Each mistake is a line: file, line, field, what is wrong. Exit code 0: there is none; 1: there are mistakes, or a
    file cannot be read or holds no SyncRollout.
    """
    wrong = False
    for each in file:
        said, fine = _told(each)
        typer.echo("\n".join(said))
        wrong = wrong or not fine
    if wrong:
        raise Ended(FAILED)


def _told(file: str) -> tuple[list[str], bool]:
    """What is said of a file, and whether all is well with it."""
    try:
        text = sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        return [f"{file}: cannot be read: {error}"], False
    checked = _check(text, file)
    if checked.mistakes:
        return [f"{mistake.where}: {mistake.text}" for mistake in checked.mistakes], False
    if not checked.names:
        return [f"{file}: holds no SyncRollout"], False
    return [f"{file}: SyncRollout {name} is valid" for name in checked.names], True


def _check(text: str, file: str) -> Checked:
    from syncrollout.cli.mistakes import check  # noqa: PLC0415 - CEL takes a while to load: only to validate

    return check(text, file)


__all__ = ["validate"]
