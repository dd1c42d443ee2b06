"""What is told of a transition."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from syncrollout.api.words import Reason


@dataclass(frozen=True, slots=True)
class Note:
    """A transition: one history entry and one Event."""

    reason: Reason
    message: str
    type: Literal["Normal", "Warning"] = "Normal"
    by: str = ""
    """Who has asked for it; empty where nobody has, or no name was given."""
