"""Where the page of the runbook for a reason is."""

from __future__ import annotations

import os
from typing import Final

from syncrollout.api.spec import SyncRolloutSpec
from syncrollout.api.words import Reason

BASE: Final = "docs/runbook"
"""Within the project's repository."""
VARIABLE: Final = "KUBECTL_SYNCROLLOUT_RUNBOOK"
"""Names where the pages are published, as a URL; spec.monitoring.runbookBase goes before it."""


QUIET: Final = frozenset({Reason.PHASE_RUNNING, Reason.COMPLETED})
"""Reasons that send nobody to a page."""


def address(spec: SyncRolloutSpec, page: str) -> str:
    """Of a page, such as that of a reason: under the URL that is given, else the file."""
    given = spec.monitoring.runbook_base if spec.monitoring is not None else None
    base = given or os.environ.get(VARIABLE) or BASE
    return f"{base.rstrip('/')}/{page}.md"


__all__ = ["BASE", "QUIET", "VARIABLE", "address"]
