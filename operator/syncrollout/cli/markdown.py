"""Markdown in which nothing that somebody else has written means anything."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from syncrollout.decide.phrases import one_line

_MEANS_SOMETHING: Final = re.compile(r"([\\`*_\[\]<>|&~$#@])")


def plain(text: object) -> str:
    """A text of one line that reads as it was written: no emphasis, no link, no cell, no HTML, nobody mentioned."""
    return _MEANS_SOMETHING.sub(r"\\\1", one_line(str(text)))


def table(titles: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table; what stands in the cells is taken as plain text."""
    return [
        f"| {' | '.join(titles)} |",
        f"|{'---|' * len(titles)}",
        *(f"| {' | '.join(plain(cell) or '-' for cell in row)} |" for row in rows),
    ]


def bullets(items: Sequence[object]) -> list[str]:
    """A list, likewise."""
    return [f"- {plain(item)}" for item in items]


__all__ = ["bullets", "plain", "table"]
