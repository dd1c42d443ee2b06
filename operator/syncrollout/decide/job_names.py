"""How the Jobs that the operator makes are called."""

from __future__ import annotations

import hashlib
from typing import Final

from syncrollout.decide.facts import JobFact, JobState

STOPPING: Final = 30.0
"""Seconds after its deadline for which a Job that is being stopped is waited for before anything else begins."""
UNSEEN: Final = JobFact(JobState.UNSEEN, "it has not been looked at yet")
_LONGEST: Final = 63
"""Characters that the name of a Job may have, for it is a label of its pods."""


def named(rollout: str, middle: str, origin: str) -> str:
    """A name of a Job that follows from what it is for, and from nothing else."""
    digest = hashlib.sha256(origin.encode()).hexdigest()[:10]
    return f"{rollout[: _LONGEST - len(middle) - len(digest) - 2].rstrip('-.')}-{middle}-{digest}"


def dashed(word: str) -> str:
    """A word of several as a part of a name."""
    return "".join(f"-{each.lower()}" if each.isupper() else each for each in word).lstrip("-")


__all__ = ["STOPPING", "UNSEEN", "dashed", "named"]
