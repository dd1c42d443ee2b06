"""What is known of what a run waits for, beside its own objects: shared freezes, other rollouts, a pool."""

from __future__ import annotations

from dataclasses import dataclass

from syncrollout.api.spec import Freeze
from syncrollout.api.words import State


@dataclass(frozen=True, slots=True)
class FreezesFact:
    """The freezes of spec.schedule.freezesFrom: none of them counts where there is a problem."""

    freezes: tuple[Freeze, ...] = ()
    problem: str = ""
    """Why they are not known, and what to do about it."""
    passing: bool = False
    """It may pass by itself."""


@dataclass(frozen=True, slots=True)
class DependencyFact:
    """One of spec.dependsOn. Of the other rollout's status no more is looked at than what stands here."""

    rollout: str
    """Namespace and name."""
    met: bool
    state: State | None = None
    """None: it is not known to the operator."""
    revision: str | None = None
    """Of its last run."""
    watched: bool = True
    """Whether the operator watches its namespace."""


@dataclass(frozen=True, slots=True)
class PoolFact:
    """Whose turn it is in spec.pool. Names are namespace and name."""

    limit: int
    """The least that one of its rollouts asks for."""
    in_flight: tuple[str, ...] = ()
    """Those in flight, without this one."""
    ahead: tuple[str, ...] = ()
    """Those that have waited longer than this one, and would begin now."""

    @property
    def free(self) -> bool:
        """Whether it is this one's turn."""
        return len(self.in_flight) + len(self.ahead) < self.limit


@dataclass(frozen=True, slots=True)
class WaitedFor:
    """What stands before a run beside what its preflight looks at."""

    dependencies: tuple[DependencyFact, ...] = ()
    cycle: tuple[str, ...] = ()
    """Rollouts that wait for each other, this one first and last; empty where none do."""
    pool: PoolFact | None = None


__all__ = ["DependencyFact", "FreezesFact", "PoolFact", "WaitedFor"]
