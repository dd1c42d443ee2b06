"""`python -m testbed.ns COMMAND...`: run a command in a network namespace of its own (see netns.py)."""

from __future__ import annotations

import os
import sys

from testbed import netns
from testbed.errors import TestbedError


def main() -> int:
    command = sys.argv[1:]
    if not command:
        print("usage: python -m testbed.ns COMMAND [ARGUMENT ...]", file=sys.stderr)
        return 2
    try:
        netns.enter()
    except TestbedError as error:
        print(f"testbed: {error}", file=sys.stderr)
        return 1
    try:
        os.execvp(command[0], command)  # noqa: S606 - the command is what the user typed
    except OSError as error:
        print(f"testbed: {command[0]}: {error.strerror}", file=sys.stderr)
        return 127


if __name__ == "__main__":
    sys.exit(main())
