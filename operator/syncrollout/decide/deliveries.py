"""Attempts to send messages, as facts."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Delivered(StrEnum):
    """What this process knows of an attempt to send a message."""

    UNDER_WAY = "UnderWay"
    SENT = "Sent"
    FAILED = "Failed"
    """It was refused, or nobody was reached: it has certainly not arrived."""
    UNCERTAIN = "Uncertain"
    """It was handed over, and no answer came."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """An attempt to send a message on a channel."""

    state: Delivered
    message: str = ""
    """Why it failed, without what is secret."""
