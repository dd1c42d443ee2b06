"""What the steps of a rollback have asked for: their Jobs, probes, backups, and what goes into the incident report."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, replace

from syncrollout.act.target import Target
from syncrollout.api.spec import Probe, VolumeSnapshot
from syncrollout.api.status import SyncRolloutStatus
from syncrollout.decide import (
    backup,
    broken,
    evidence,
    keeping_logs,
    own_jobs,
    procedure,
    report,
    system_probes,
    verifications,
)
from syncrollout.decide.check_facts import SnapshotFact
from syncrollout.decide.facts import (
    Facts,
    JobFact,
    ProbeFact,
    SeriesFact,
)
from syncrollout.observe.incident_logs import IncidentLogs
from syncrollout.observe.jobs import Jobs
from syncrollout.observe.probes import Probes
from syncrollout.observe.series import Series
from syncrollout.observe.snapshots import Snapshots


@dataclass(frozen=True, slots=True)
class Asked:
    """What a decision on the steps rests on; nothing of it outside of a rollback."""

    jobs: tuple[str, ...] = ()
    report: str = ""
    """The ConfigMap that the incident report goes to."""
    probes: tuple[Probe, ...] = ()
    snapshot: VolumeSnapshot | None = None
    logs: str = ""
    """The ConfigMap that the logs of new's pods go to."""
    own: tuple[str, ...] = ()
    """Jobs that are no steps of a rollback."""

    @property
    def anything(self) -> bool:
        """Whether there is something to look at."""
        return bool(self.jobs or self.report or self.probes or self.snapshot or self.logs or self.own)


@dataclass(frozen=True, slots=True)
class Seen:
    """What was found."""

    jobs: Mapping[str, JobFact]
    report: str | None
    probes: tuple[ProbeFact, ...] | None
    snapshot: SnapshotFact | None
    kept: str | None
    logs: str | None
    job_logs: str
    series: tuple[SeriesFact, ...]

    def on(self, facts: Facts) -> Facts:
        """The facts with it in them."""
        return replace(
            facts,
            jobs=self.jobs,
            report=self.report,
            probes=self.probes,
            snapshot=self.snapshot,
            kept=self.kept,
            logs=self.logs,
            job_logs=self.job_logs,
            series=self.series,
        )


class Steps:
    """Looks at all of it on behalf of the gatherer. Never raises for what an API server can answer."""

    def __init__(self, jobs: Jobs, probes: Probes, snapshots: Snapshots, *, logs: IncidentLogs, series: Series) -> None:
        self._jobs = jobs
        self._probes = probes
        self._snapshots = snapshots
        self._logs = logs
        self._series = series

    @staticmethod
    def asked(target: Target, status: SyncRolloutStatus, *, deleting: bool) -> Asked:
        """What is to be looked at; of one that is being deleted only what has begun."""
        jobs = procedure.watched(status)
        own = (*own_jobs.watched(target.spec, status), *verifications.watched(target.spec, status))
        place = evidence.awaited(status)
        if deleting:
            return Asked(jobs, place, own=own)
        probes, snapshot = system_probes.asked(target.spec, status), backup.snapshot(target.spec, status)
        return Asked(jobs, place, probes, snapshot, keeping_logs.place(status), own)

    async def look(self, target: Target, status: SyncRolloutStatus, asked: Asked) -> Seen:
        """As it is now."""
        jobs, own, probes, snapshot, (kept, logs), (written, job_logs, series) = await asyncio.gather(
            self._jobs.look(target, asked.jobs),
            self._jobs.look(target, asked.own, progress=False),
            self._probes.look(target, asked.probes),
            self._snapshots.look(target, asked.snapshot),
            self._logs.of_new(target, asked.logs, report.stamp(target.uid, status), read=keeping_logs.wanted(status)),
            self._for_report(target, status, asked.report),
        )
        return Seen({**jobs, **own}, written, probes, snapshot, kept, logs, job_logs, series)

    async def _for_report(
        self, target: Target, status: SyncRolloutStatus, config_map: str
    ) -> tuple[str | None, str, tuple[SeriesFact, ...]]:
        """Whether the report is written, and where it is not what goes into it."""
        written = await self._jobs.report(target, config_map)
        if not config_map or written == report.stamp(target.uid, status):
            return written, "", ()
        job_logs, series = await asyncio.gather(
            self._logs.of_jobs(target, evidence.jobs(status)),
            self._series.look(target, broken.wanted(target.spec, status)),
        )
        return written, job_logs, series


__all__ = ["Asked", "Seen", "Steps"]
