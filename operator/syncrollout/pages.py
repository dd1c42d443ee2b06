"""Pages of documentation that are made from the code: written, compared, or shown."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path


def add_choice(parser: argparse.ArgumentParser, page: Path) -> None:
    """The flags `--write` and `--check`, of which one at most is given."""
    todo = parser.add_mutually_exclusive_group()
    todo.add_argument("--write", action="store_true", help=f"write {page}")
    todo.add_argument("--check", action="store_true", help=f"exit with 1 where {page} is not what it should be")


def carry_out(chosen: argparse.Namespace, page: Path, text: str, *, source: str) -> int:
    """Write the page, compare it with `text`, or print that, as chosen by the flags. Gives the exit code; `source` says
    what it is made from, such as "the settings say"."""
    if chosen.write:
        page.parent.mkdir(exist_ok=True)
        page.write_text(text, "utf-8")
    elif chosen.check:
        if not page.is_file() or page.read_text("utf-8") != text:
            sys.stderr.write(f"{page} is not what {source}; run: make generate\n")
            return 1
    else:
        sys.stdout.write(text)
    return 0
