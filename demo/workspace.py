"""Where the data of a demo is: what a volume would be that the systems and the Jobs of a rollback mount."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Workspace:
    """One folder: the spreadsheet, the database, its backup, and the journal of all items."""

    folder: Path

    @property
    def sheet(self) -> Path:
        return self.folder / "listings.csv"

    @property
    def store(self) -> Path:
        return self.folder / "listings.sqlite"

    @property
    def backup(self) -> Path:
        """The database as it was before the rollout."""
        return self.folder / "backup.sqlite"

    @property
    def journal(self) -> Path:
        return self.folder / "journal"
