"""How commands of the kubectl plugin end."""

from __future__ import annotations

from typing import Final

FAILED: Final = 1
"""Exit code of everything that is no answer; 2 and more are answers, each command's own."""


class Ended(Exception):
    """The command has ended with this exit code. Not typer's own, which cannot be told from wrong use."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Failed(Exception):
    """There is no answer. The message says why, and what a person has to do."""


__all__ = ["FAILED", "Ended", "Failed"]
