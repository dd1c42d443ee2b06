"""Where `syncrollout` and `python -m syncrollout` begin: with a sentence where only the workers' part can run.

Nothing but the standard library is imported until the operator's dependencies are known to be there.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence

from syncrollout import __version__

NOT_INSTALLED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code."""
    try:
        from syncrollout.cli.main import main as command  # noqa: PLC0415 - needs what may not be installed

        return command(arguments)
    except ModuleNotFoundError as missing:
        if missing.name is None or missing.name.partition(".")[0] == "syncrollout":
            raise
        sys.stderr.write(
            f"syncrollout {__version__} is installed without the operator (there is no {missing.name}), "
            "for workers alone; to run it: pip install 'syncrollout[operator]'\n"
        )
        return NOT_INSTALLED


__all__ = ["main"]
