"""The assignment: which slots belong to old, which to new, and how a key finds its slot. Values only, no behaviour.

Both are written down in docs/shard-protocol.md with test vectors, for workers in other languages.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

PROTOCOL = 1
"""The only version of the protocol that is understood here."""

SLOTS = 1000
"""Slots are 0 to 999; a mark is a number of slots, 0 to 1000."""

NAME = "SYNCROLLOUT_SHARDS"
"""The one key of the ConfigMap: the name of the mounted file, and of the variable that envFrom makes."""

LONGEST = 4096
"""Bytes; an assignment takes about ninety."""

LAST_EPOCH = 2**53
"""Up to here a metric's value, a double, tells every epoch from the next."""


class Side(StrEnum):
    """Which of the two systems a worker belongs to."""

    OLD = "old"
    NEW = "new"


class Mode(StrEnum):
    """`LIVE`: each side works on what it owns. `SHADOW`: new rehearses on every key and writes nothing."""

    LIVE = "live"
    SHADOW = "shadow"


class BadAssignment(ValueError):
    """The text is no assignment of this protocol; the message says what is wrong with it."""


def slot(key: str) -> int:
    """The slot of a key, 0 to 999: the first four bytes of SHA-256 of its UTF-8, big-endian, modulo 1000.

    Nothing is normalised or trimmed. Raises ValueError for a str that has no UTF-8 (a lone surrogate).
    """
    try:
        encoded = key.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"the key {key!a} is no Unicode text and has no slot: {error.reason}") from None
    return int.from_bytes(hashlib.sha256(encoded).digest()[:4], "big") % SLOTS


@dataclass(frozen=True, slots=True)
class Assignment:
    """One state of the ConfigMap. New owns slots below `new_below`, old owns slots from `old_from` up, nobody owns
    those in between. `stop`: new starts nothing at all, whatever the marks say."""

    epoch: int
    new_below: int
    old_from: int
    mode: Mode = Mode.LIVE
    stop: bool = False

    @classmethod
    def parse(cls, text: str) -> Assignment:
        """Reads the JSON value. Raises BadAssignment."""
        if len(text) > LONGEST:
            raise BadAssignment(f"the assignment has more than {LONGEST} characters")
        try:
            raw = json.loads(text, object_pairs_hook=_no_twins)
        except BadAssignment:
            raise
        except (ValueError, RecursionError) as error:
            raise BadAssignment(f"the assignment is not JSON: {error}") from None
        if not isinstance(raw, dict):
            raise BadAssignment("the assignment is not a JSON object")
        protocol = raw.get("protocol")
        if type(protocol) is not int or protocol != PROTOCOL:
            raise BadAssignment(f"protocol of the assignment is {_shown(protocol)}, this client understands {PROTOCOL}")
        read = cls(
            epoch=_number(raw, "epoch", 1, LAST_EPOCH),
            new_below=_number(raw, "newBelow", 0, SLOTS),
            old_from=_number(raw, "oldFrom", 0, SLOTS),
            mode=_mode(raw.get("mode")),
            stop=_flag(raw, "stop"),
        )
        if read.new_below > read.old_from:
            raise BadAssignment(
                f"slots {read.old_from} to {read.new_below - 1} of the assignment would have two owners: "
                f"newBelow is {read.new_below}, oldFrom {read.old_from}"
            )
        return read

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Assignment:
        """Reads the mounted file, once. Raises OSError, or BadAssignment with the path in its message."""
        try:
            return cls.parse(read_file(Path(path)))
        except BadAssignment as error:
            raise BadAssignment(f"{os.fspath(path)}: {error}") from None

    @classmethod
    def from_env(cls, environ: Mapping[str, str] | None = None) -> Assignment:
        """Reads the variable that `envFrom` makes. Raises BadAssignment, also where it is not set."""
        text = (os.environ if environ is None else environ).get(NAME)
        if text is None:
            raise BadAssignment(f"the variable {NAME} is not set: does the container have envFrom with the ConfigMap?")
        try:
            return cls.parse(text)
        except BadAssignment as error:
            raise BadAssignment(f"the variable {NAME}: {error}") from None

    def dump(self) -> str:
        """The JSON value, as compact as the operator writes it."""
        return json.dumps(
            {
                "protocol": PROTOCOL,
                "epoch": self.epoch,
                "newBelow": self.new_below,
                "oldFrom": self.old_from,
                "mode": self.mode,
                "stop": self.stop,
            },
            separators=(",", ":"),
        )

    def owns(self, key: str, side: Side | str) -> bool:
        """Whether this side, and so nobody else, may work on the key for real."""
        return self.owns_slot(slot(key), side)

    def owns_slot(self, number: int, side: Side | str) -> bool:
        """The same for a slot."""
        if Side(side) is Side.OLD:
            return number >= self.old_from
        return number < self.new_below and not self.stop and self.mode is Mode.LIVE

    def owner(self, key: str) -> Side | None:
        """Whose the key is; None while it is being handed over, and for what new owned before a stop."""
        return next((side for side in Side if self.owns(key, side)), None)

    def rehearses(self, side: Side | str) -> bool:
        """Whether this side runs every key in dry-run."""
        return Side(side) is Side.NEW and self.mode is Mode.SHADOW and not self.stop


def read_file(path: Path) -> str:
    """The text of a mounted assignment. Raises OSError, or BadAssignment where it is none by its length or encoding."""
    with path.open("rb") as file:
        data = file.read(LONGEST + 1)
    if len(data) > LONGEST:
        raise BadAssignment(f"the assignment has more than {LONGEST} bytes")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise BadAssignment(f"the assignment is not UTF-8: {error.reason} at byte {error.start}") from None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    read = dict(pairs)
    if len(read) != len(pairs):
        raise BadAssignment("the assignment has a field twice")
    return read


def _number(raw: Mapping[str, Any], name: str, least: int, most: int) -> int:
    value = raw.get(name)
    if type(value) is not int or not least <= value <= most:
        raise BadAssignment(f"{name} of the assignment is {_shown(value)}, not a whole number from {least} to {most}")
    return value


def _flag(raw: Mapping[str, Any], name: str) -> bool:
    value = raw.get(name)
    if not isinstance(value, bool):
        raise BadAssignment(f"{name} of the assignment is {_shown(value)}, neither true nor false")
    return value


def _mode(value: object) -> Mode:
    for mode in Mode:
        if value == mode.value:
            return mode
    raise BadAssignment(f"mode of the assignment is {_shown(value)}, neither live nor shadow")


def _shown(value: object) -> str:
    text = "missing" if value is None else json.dumps(value)
    return text if len(text) <= 40 else text[:40] + "..."


__all__ = ["LONGEST", "NAME", "PROTOCOL", "SLOTS", "Assignment", "BadAssignment", "Mode", "Side", "read_file", "slot"]
