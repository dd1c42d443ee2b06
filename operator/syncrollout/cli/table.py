"""Columns of text, as kubectl prints them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_GAP: Final = "   "


def aligned(rows: Sequence[Sequence[str]], indent: str = "") -> list[str]:
    """One line for each row, each column as wide as its widest cell. Rows have the same number of cells."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        (indent + _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))).rstrip()
        for row in rows
    ]


__all__ = ["aligned"]
