"""kopf, as informer and lifecycle: SyncRollouts are watched, nothing is written.

No timers, daemons or change handlers: those would put annotations and finalizers on users' objects.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import random
from collections.abc import Callable, Iterator
from typing import Any, cast

import kopf

from syncrollout.api.words import GROUP, PLURAL, VERSION
from syncrollout.ports import Object
from syncrollout.runtime.kube import tidy
from syncrollout.runtime.kubeconfig import Connection
from syncrollout.runtime.rollouts import Key

log = logging.getLogger(__name__)

CONNECTIONS = 8
LONGEST_PAUSE = 10.0


class _Patience:
    """Pauses between tries, without an end: an outage of the API server must not end the operator."""

    def __iter__(self) -> Iterator[float]:
        for attempt in itertools.count():
            yield min(LONGEST_PAUSE, 0.5 * 2.0 ** min(attempt, 8)) * random.uniform(0.5, 1.0)


class _NoDiffBase(kopf.DiffBaseStorage):
    """kopf compares each object with the last one handled, which it keeps in an annotation; nothing here asks for that.
    The copies that it makes for it cost more than everything else that it does with an event."""

    def build(self, *, body: kopf.Body, extra_fields: Any = None) -> kopf.BodyEssence:
        return cast(kopf.BodyEssence, {})

    def fetch(self, *, body: kopf.Body) -> kopf.BodyEssence | None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is written to users' objects."""


class _NoProgress(kopf.ProgressStorage):
    """Of handlers that are tried again; there are none."""

    def fetch(self, **_: Any) -> None:
        return None

    def store(self, **_: Any) -> None:
        """Nothing is written to users' objects."""

    def purge(self, **_: Any) -> None:
        """There is nothing to take away."""

    def touch(self, **_: Any) -> None:
        """Nothing is written to users' objects."""

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def _settings(watch_timeout: float) -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True  # no watch of CRDs and namespaces: rights that we do not need
    settings.watching.server_timeout = int(watch_timeout)  # the API server takes whole seconds only
    settings.watching.client_timeout = watch_timeout + 15.0
    settings.watching.connect_timeout = 10.0
    settings.watching.chunk_size = 250
    settings.queueing.worker_limit = 64
    settings.queueing.idle_timeout = 0.05  # with the default of 5 s a bounded number of workers starves the others
    settings.networking.request_timeout = 30.0
    settings.networking.error_backoffs = _Patience()
    settings.persistence.diffbase_storage = _NoDiffBase()
    settings.persistence.progress_storage = _NoProgress()
    return settings


class RolloutWatch:
    """Watches SyncRollouts everywhere, or in `namespaces`, and hands each on as it is seen."""

    def __init__(
        self,
        connection: Connection,
        *,
        namespaces: tuple[str, ...],
        watch_timeout: float,
        user_agent: str,
        on_seen: Callable[[Object], None],
        on_gone: Callable[[Key], None],
        on_started: Callable[[], None],
    ) -> None:
        self._connection = connection
        self._namespaces = namespaces
        self._settings = _settings(watch_timeout)
        self._user_agent = user_agent
        self._on_seen = on_seen
        self._on_gone = on_gone
        self._on_started = on_started
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`; raises what kopf raises if it cannot go on."""
        others = asyncio.all_tasks()
        tasks = await kopf.spawn_tasks(
            registry=self._registry(),
            settings=self._settings,
            standalone=True,  # a stray peering object of somebody else would freeze the watch
            # Of use to peers alone; kopf's own begins with the name of the user, and a pod's may have none.
            identity=cast(Any, self._user_agent),
            clusterwide=not self._namespaces,
            namespaces=self._namespaces,
            stop_flag=self._stop,
        )
        self._on_started()
        await kopf.run_tasks(tasks, ignored=others)

    def stop(self) -> None:
        """End the watch. All tasks of our own must have ended before: kopf waits 5 s for strangers."""
        self._stop.set()

    def _registry(self) -> kopf.OperatorRegistry:
        # All coroutines: kopf runs plain functions in threads, and these touch the event loop.
        registry = kopf.OperatorRegistry()

        @kopf.on.login(registry=registry)
        async def login(**_: Any) -> kopf.AiohttpSession:
            return kopf.AiohttpSession(
                server=self._connection.host,
                default_namespace=self._connection.namespace,
                aiohttp_session=self._connection.session(limit=CONNECTIONS, user_agent=self._user_agent),
            )

        @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
        async def seen(event: Any, **_: Any) -> None:
            raw: Object = tidy(dict(event["object"]))
            metadata = raw["metadata"]
            if event["type"] == "DELETED":
                self._on_gone(Key(str(metadata.get("namespace", "")), str(metadata["name"])))
            else:
                self._on_seen(raw)

        return registry
