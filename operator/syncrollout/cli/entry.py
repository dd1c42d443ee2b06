"""Where `syncrollout`, `python -m syncrollout` and `kubectl syncrollout` begin: with a sentence where what they need is
not installed.

Nothing but the standard library is imported until the dependencies are known to be there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from syncrollout import __version__

NOT_INSTALLED = 2
PLUGIN_NOT_INSTALLED = 1
"""2 and 3 are answers of `kubectl syncrollout backtest`."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code."""
    try:
        from syncrollout.cli.main import main as command  # noqa: PLC0415 - needs what may not be installed

        return command(arguments)
    except ModuleNotFoundError as missing:
        return _without("the operator", "operator", missing, NOT_INSTALLED)


def plugin(arguments: Sequence[str] | None = None) -> int:
    """Run one command of the kubectl plugin; answers its exit code."""
    try:
        from syncrollout.cli.plugin import main as command  # noqa: PLC0415 - likewise

        return command(arguments)
    except ModuleNotFoundError as missing:
        return _without("the kubectl plugin", "kubectl", missing, PLUGIN_NOT_INSTALLED)


def complete(arguments: Sequence[str] | None = None) -> int:
    """Say what a shell may offer next; answers the exit code."""
    try:
        from syncrollout.cli.completion import main as command  # noqa: PLC0415 - likewise

        return command(arguments)
    except ModuleNotFoundError as missing:
        return _without("the kubectl plugin", "kubectl", missing, PLUGIN_NOT_INSTALLED)


def _without(what: str, extra: str, missing: ModuleNotFoundError, code: int) -> int:
    """Say which extra is missing. Raises what is no matter of extras."""
    if missing.name is None or missing.name.partition(".")[0] == "syncrollout":
        raise missing
    sys.stderr.write(
        f"syncrollout {__version__} is installed without {what} (there is no {missing.name}), "
        f"for workers alone; to run it: pip install 'syncrollout[{extra}]'\n"
    )
    return code


__all__ = ["complete", "main", "plugin"]
