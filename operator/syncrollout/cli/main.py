"""The command line: `syncrollout run` starts the operator, `syncrollout version` says which one."""

from __future__ import annotations

import argparse
import difflib
import os
import platform
import sys
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from typing import NoReturn

from syncrollout import __version__
from syncrollout.runtime.settings import SettingsError, SettingsParser, misspelt

WRONG_USE = 2


class _Parser(argparse.ArgumentParser):
    """argparse, with errors of one sentence in place of the whole usage."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USE, f"{self.prog}: {message}; see {self.prog} --help\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code. Wrong use ends the process with code 2 and one sentence on stderr."""
    parser = _Parser(
        prog="syncrollout",
        description="Carries out production migrations phase by phase, judged by Prometheus, and rolls them back.",
        allow_abbrev=False,
    )
    parser.add_argument("--version", action="version", version=_versions())
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    run = commands.add_parser(
        "run",
        help="start the operator: in a cluster by its ServiceAccount, elsewhere by KUBECONFIG",
        description="Starts the operator: in a cluster by its ServiceAccount, elsewhere by KUBECONFIG. "
        "Durations are written 90s, 10m, 7d, or as a number of seconds.",
        allow_abbrev=False,
    )
    settings = SettingsParser(run)
    commands.add_parser("version", help="say which version this is", allow_abbrev=False)

    chosen, unknown = parser.parse_known_args(arguments)
    command = run if chosen.command == "run" else parser
    if unknown:
        command.error(_not_known(unknown[0], _flags(command)))
    if chosen.command == "version":
        print(_versions())
        return 0
    try:
        read = settings.read(chosen)
    except SettingsError as error:
        run.error(str(error))
    for sentence in misspelt(os.environ):
        sys.stderr.write(f"syncrollout: {sentence}\n")

    from syncrollout.runtime import compose  # noqa: PLC0415 - kopf and the rest take a second to load: only to run

    return compose.run(read)


def _versions() -> str:
    return f"syncrollout {__version__} (Python {platform.python_version()}, kopf {version('kopf')})"


def _flags(parser: argparse.ArgumentParser) -> list[str]:
    return [word.rstrip("],") for word in parser.format_usage().replace("[", " ").split() if word.startswith("--")]


def _not_known(given: str, flags: Iterable[str]) -> str:
    close = difflib.get_close_matches(given.partition("=")[0], list(flags), n=1)
    return f"{given} is not known" + (f" (did you mean {close[0]}?)" if close else "")


if __name__ == "__main__":
    sys.exit(main())
