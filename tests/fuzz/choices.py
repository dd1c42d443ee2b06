"""Decisions out of bytes, so that a fuzzer that knows nothing of a format can make things that have one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Choices:
    """Takes bytes from the front, and zeros once there are none left: every input makes something."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def left(self) -> int:
        """Bytes that nothing has been decided by yet."""
        return max(0, len(self._data) - self._at)

    def below(self, bound: int) -> int:
        """A whole number from 0 up to, and without, `bound`."""
        taken = 1 if bound <= 1 << 8 else 2
        piece = self._data[self._at : self._at + taken].ljust(taken, b"\0")
        self._at += taken
        return int.from_bytes(piece, "big") % bound

    def of(self, values: Sequence[T]) -> T:
        """One of them."""
        return values[self.below(len(values))]

    def flag(self) -> bool:
        """Yes or no."""
        return self.below(2) == 1

    def piece(self, most: int) -> bytes:
        """So many bytes at most, of what is left."""
        length = self.below(most + 1)
        piece = self._data[self._at : self._at + length]
        self._at += length
        return piece

    def text(self, most: int) -> str:
        """Text of at most so many bytes; what is no UTF-8 is replaced."""
        return self.piece(most).decode(errors="replace")

    def rest(self) -> bytes:
        """All that is left."""
        piece, self._at = self._data[self._at :], len(self._data)
        return piece


__all__ = ["Choices"]
