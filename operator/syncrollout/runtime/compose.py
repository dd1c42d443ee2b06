"""The composition root: the one place that names concrete adapters and ties them together."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import socket
import sys
import uuid
from collections.abc import Awaitable, Callable
from typing import Any, Final

from syncrollout import __version__
from syncrollout.act.channels import Channels
from syncrollout.act.messenger import Messenger
from syncrollout.act.monitoring import MonitoringKeeper
from syncrollout.act.perform import Performer
from syncrollout.act.record import warning
from syncrollout.act.rehearsals import Rehearsals
from syncrollout.api.words import Reason
from syncrollout.net.destinations import Destinations
from syncrollout.observe.accounts import Accounts
from syncrollout.observe.alerts import Payload, PushedAlerts, Taken
from syncrollout.observe.autoscalers import Autoscalers
from syncrollout.observe.checks import Checks
from syncrollout.observe.credentials import Credentials
from syncrollout.observe.finished_jobs import FinishedJobs
from syncrollout.observe.freezes import SharedFreezes
from syncrollout.observe.gather import Gatherer
from syncrollout.observe.holders import Holders
from syncrollout.observe.http_prober import HttpProber
from syncrollout.observe.incident_logs import IncidentLogs
from syncrollout.observe.jobs import Jobs
from syncrollout.observe.metrics import Metrics
from syncrollout.observe.named_hosts import NamedHosts
from syncrollout.observe.pods import Pods
from syncrollout.observe.probes import Probes
from syncrollout.observe.progress import Progress
from syncrollout.observe.prometheus import PrometheusSource
from syncrollout.observe.readings import Readings
from syncrollout.observe.series import Series
from syncrollout.observe.shards import Shards
from syncrollout.observe.snapshots import Snapshots
from syncrollout.observe.steps import Steps
from syncrollout.observe.templates import Templates
from syncrollout.ports import ApiError, ObjectRef, OnBehalf
from syncrollout.runtime.cache import WatchedObjects, trim
from syncrollout.runtime.certificates import CertificateInvalid
from syncrollout.runtime.clock import ServerClock
from syncrollout.runtime.controller import Controller
from syncrollout.runtime.crd import InstalledCrd
from syncrollout.runtime.destinations import destinations_of
from syncrollout.runtime.doors import TokenInvalid
from syncrollout.runtime.entrances import Entrances
from syncrollout.runtime.informers import Informers
from syncrollout.runtime.kube import AiohttpKubeApi
from syncrollout.runtime.kubeconfig import Connection, ConnectionProblem
from syncrollout.runtime.logs import configure
from syncrollout.runtime.memory import given_back
from syncrollout.runtime.receiver import AlertReceiver
from syncrollout.runtime.reconciler import Reconciler
from syncrollout.runtime.recorded import RecordedSeries
from syncrollout.runtime.rollouts import Key, Rollouts
from syncrollout.runtime.serve import HealthServer
from syncrollout.runtime.settings import Settings
from syncrollout.runtime.standing import Standing
from syncrollout.runtime.story import Story
from syncrollout.runtime.survey import Survey
from syncrollout.runtime.telemetry import Telemetry
from syncrollout.runtime.watch import RolloutWatch
from syncrollout.ui.gate import LOOPBACK, Gate
from syncrollout.ui.looking import Looking
from syncrollout.ui.recordings import Recordings
from syncrollout.ui.server import UiServer

log = logging.getLogger(__name__)

USER_AGENT: Final = f"syncrollout/{__version__}"
GC_THRESHOLD, GC_GENERATION = 10_000, 20
"""Objects made between two collections of the youngest, and how many of those before one of the next generation."""
EVENTS_GRACE = 0.5
"""Seconds that Events on their way get at the end; they are posted anew after a restart."""
MESSAGES_GRACE = 0.3
"""Seconds that messages on their way get at the end: what has come of them is recorded then."""
SERIES_BYTES = 1 << 20
"""Of one answer of Prometheus that is drawn: a hundred points of some hundred series."""
LONGEST_LIST = 15.0
"""Seconds that the watch waits for the first list of all rollouts."""
SILENCE = 2.5
"""Relist intervals without a word from the API server after which the process counts as dead."""


def run(settings: Settings) -> int:
    """Run the operator until SIGTERM or SIGINT. Answers the exit code: 0 after a clean stop, 1 otherwise."""
    configure(settings.log_format, settings.log_level)
    try:
        connection = Connection.load()
    except ConnectionProblem as error:
        print(f"syncrollout: {error}", file=sys.stderr)
        return 1
    # A full collection stops everything for as long as it takes to look at every object: rarely then, and never at what
    # was there before the first rollout.
    gc.freeze()
    gc.set_threshold(GC_THRESHOLD, GC_GENERATION, GC_GENERATION)
    return asyncio.run(Operator(settings, connection).run())


class Operator:
    """One operator process: everything made, started and stopped in order."""

    def __init__(self, settings: Settings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        self._standing: Standing
        self._stop = asyncio.Event()
        self._clock = ServerClock()

    async def run(self) -> int:  # noqa: PLR0915 - everything is made, started and stopped here, in order
        """Until a signal; see `run`."""
        s = self._settings
        clock = self._clock
        telemetry = Telemetry(clock.now)
        api = AiohttpKubeApi(
            self._connection,
            user_agent=USER_AGENT,
            may_write=lambda: self._standing.may_write(),  # noqa: PLW0108 - it is made further down
            observe=telemetry.api_call,
            dated=clock.heard,
            timeout=s.request_timeout,
            watch_timeout=s.watch_timeout,
            require_account=s.require_service_account,
        )
        rollouts = Rollouts(s.partitions)
        informers = Informers(
            api,
            namespaces=s.namespaces or None,
            on_change=lambda *change: controller.changed(*change),  # noqa: PLW0108 - it is made further down
            on_selected=lambda *change: controller.selected(*change),  # noqa: PLW0108 - likewise
            project=trim,
            relist_every=s.relist_interval,
        )
        cache = WatchedObjects(informers)
        destinations = await destinations_of(s, self._connection)
        source = PrometheusSource(threads=s.prometheus_concurrency, destinations=destinations)
        readings = Readings(
            source,
            most=s.prometheus_concurrency,
            observe=telemetry.query,
            spared=telemetry.query_spared,
            now=clock.now,
        )
        credentials = Credentials(api)
        metrics = Metrics(readings, credentials, clock)
        alerts = PushedAlerts(keep=s.alertmanager_keep)
        story = Story(api)
        keeper = _keeper(api, story, telemetry, clock.now)
        channels = Channels(destinations, now=clock.now)
        messenger = Messenger(
            api,
            Credentials(api),
            channels,
            wake=lambda owner: controller.news(owner),  # noqa: PLW0108 - it is made further down
            observe=telemetry.message,
            may_send=lambda: self._standing.may_write(),  # noqa: PLW0108 - likewise
        )
        drills = Rehearsals(
            api,
            cache,
            metrics,
            Jobs(api),
            snapshots=Snapshots(api),
            wake=lambda owner: controller.news(owner),  # noqa: PLW0108 - it is made further down
            keep_jobs=s.keep_jobs,
        )
        probes = Probes(api, HttpProber(s.probe_host, user_agent=USER_AGENT, destinations=destinations))
        checks = Checks(api, probes, Snapshots(api), clock)
        performer = Performer(api, cache, drills=drills, latest_effect=s.late_effect, keep_jobs=s.keep_jobs)
        controller = Controller(
            api=api,
            rollouts=rollouts,
            reconciler=Reconciler(
                api=api,
                rollouts=rollouts,
                gatherer=Gatherer(
                    cache,
                    metrics,
                    Shards(api, cache, Holders(api, metrics)),
                    Autoscalers(api),
                    alerts,
                    steps=Steps(
                        Jobs(api, Progress(api, api)),
                        probes,
                        Snapshots(api),
                        logs=IncidentLogs(api, api),
                        series=Series(RecordedSeries(destinations=destinations), Credentials(api)),
                    ),
                    pods=Pods(api, cache, cache),
                    drills=drills,
                    finished=FinishedJobs(cache, cache),
                    checks=checks,
                    freezes=SharedFreezes(cache),
                    templates=Templates(api),
                    hosts=NamedHosts(destinations),
                    accounts=Accounts(api, required=s.require_service_account),
                ),
                performer=performer,
                story=story,
                postman=messenger,
                clock=clock,
                forget=_each(cache.forget, drills.end),
                crowded=api.crowded,
                namespaces=s.namespaces,
                look_around=_survey(lambda *where: controller.look_around(*where), s),  # noqa: PLW0108 - likewise
            ),
            observer=telemetry,
            keeper=keeper,
            concurrency=s.concurrency,
            namespaces=s.namespaces,
        )
        telemetry.queue_depth(lambda: float(len(controller.queue)))
        self._standing = Standing(
            api.unguarded(),
            s,
            namespace=s.lease_namespace or self._connection.namespace,
            identity=f"{os.environ.get('POD_NAME') or socket.gethostname()}-{uuid.uuid4().hex[:8]}",
            controller=controller,
            tell=telemetry.leading,
        )
        watch = RolloutWatch(
            self._connection,
            namespaces=s.namespaces,
            watch_timeout=s.watch_timeout,
            user_agent=USER_AGENT,
            on_seen=controller.seen,
            on_gone=controller.gone,
            on_started=self._take_signals,
        )
        crd = InstalledCrd(api, every=s.relist_interval, observe=telemetry.crd)
        try:
            entrances = Entrances(s, api.unguarded())
        except (TokenInvalid, CertificateInvalid) as error:
            print(f"syncrollout: {error}", file=sys.stderr)
            await api.close()
            return 1
        server = HealthServer(
            s.listen_address,
            s.listen_port,
            registry=telemetry.registry,
            live={"watches": lambda: self._silence(controller, informers)},
            ready={"api": lambda: None if controller.last_compared else "SyncRollouts have not been listed yet"},
            notes={"crd": lambda: crd.note},
            door=entrances.metrics,
            certificate=entrances.certificate,
        )
        try:
            receiver = await self._receiver(controller, rollouts, alerts, telemetry, entrances)
            page = await self._page(
                rollouts, readings, credentials, telemetry, destinations=destinations, entrances=entrances
            )
            await server.start()
        except OSError as error:
            print(f"syncrollout: {error}", file=sys.stderr)
            await api.close()
            return 1
        story.start()
        self._take_signals()
        compare = asyncio.create_task(self._compare(controller), name="compare")
        looking = asyncio.create_task(crd.run(), name="crd")
        trimming = asyncio.create_task(given_back(), name="memory")
        watching = asyncio.create_task(self._watch(watch, controller), name="kopf")
        stopping = asyncio.create_task(self._stop.wait(), name="stop")
        self._standing.start()
        await asyncio.wait((watching, stopping), return_when=asyncio.FIRST_COMPLETED)
        code = _exit_code(watching)
        # In this order: nothing is pushed any more, messages on their way arrive, no new passes, passes under way end,
        # Events go out, the Lease is given up, connections close.
        ends_at = asyncio.get_running_loop().time() + s.shutdown_grace
        await _in_order(receiver.stop(), page.stop(), messenger.close(MESSAGES_GRACE))
        clean = await controller.queue.stop(s.shutdown_grace - EVENTS_GRACE - MESSAGES_GRACE)
        await asyncio.gather(drills.close(), checks.close(), keeper.close(), story.stop(EVENTS_GRACE))
        await _end(compare, looking, trimming, stopping)
        await informers.close()
        await self._standing.stop(ends_at, clean=clean and performer.certain and controller.certain)
        await _in_order(source.aclose(), channels.close(), server.stop(), entrances.close(), api.close())
        watch.stop()
        await asyncio.gather(watching, return_exceptions=True)
        log.info("stopped")
        return code

    async def _receiver(
        self,
        controller: Controller,
        rollouts: Rollouts,
        alerts: PushedAlerts,
        telemetry: Telemetry,
        entrances: Entrances,
    ) -> AlertReceiver:
        """The receiver of alerts; it listens where a port is set. Raises CannotListen."""
        s = self._settings

        def take(payload: Payload) -> Taken[Key]:
            taken = alerts.take(payload, rollouts.in_progress(), rollouts.in_progress(foreign=True))
            controller.alerted(taken.wake)
            telemetry.alerts(taken)
            return taken

        receiver = AlertReceiver(
            s.listen_address,
            take=take,
            acts=lambda: controller.queue.open and self._standing.acts,
            observe=telemetry.pushed,
        )
        if s.alertmanager_listen_port is not None:
            await receiver.start(s.alertmanager_listen_port, entrances.alerts, entrances.certificate_for_alerts)
        return receiver

    async def _page(
        self,
        rollouts: Rollouts,
        readings: Readings,
        credentials: Credentials,
        telemetry: Telemetry,
        *,
        destinations: Destinations,
        entrances: Entrances,
    ) -> UiServer:
        """The page for viewers; it is served where that is asked for. Raises CannotListen."""
        s = self._settings
        source = RecordedSeries(most_bytes=SERIES_BYTES, destinations=destinations)
        page = UiServer(
            s.ui_listen_address,
            gate=Gate(
                door=entrances.page,
                names=s.ui_hosts or (LOOPBACK if not entrances.page.asks and not s.ui_open else ()),
            ),
            looking=Looking(
                rollouts,
                leads=self._standing.leads,
                acts=self._standing.acts_for_all,
                now=self._clock.now,
                page=__version__,
            ),
            recordings=Recordings(source, credentials, has_time=readings.has_time, now=self._clock.now),
            observe=telemetry.looked,
        )
        telemetry.viewers(lambda: float(page.viewers))
        if s.ui:
            await page.start(s.ui_listen_port, entrances.certificate)
        return page

    def _take_signals(self) -> None:
        # kopf takes the signals when it begins; passes have to end before it does, so they come here instead.
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._stop.set)

    async def _watch(self, watch: RolloutWatch, controller: Controller) -> None:
        """kopf lists all by itself, at several times the cost of a list of our own: it begins once that has come in, so
        that the first decision does not wait for both."""
        waits = [asyncio.create_task(each.wait()) for each in (controller.compared, self._stop)]
        await asyncio.wait(waits, timeout=LONGEST_LIST, return_when=asyncio.FIRST_COMPLETED)
        await _end(*waits)
        await watch.run()

    async def _compare(self, controller: Controller) -> None:
        while True:
            wait = min(5.0, self._settings.relist_interval)
            try:
                await controller.compare()
                wait = self._settings.relist_interval
            except ApiError as error:
                log.warning("SyncRollouts could not be listed: %s", error)
            except Exception:  # an answer of another shape, say: nothing would be compared any more
                log.exception("SyncRollouts could not be listed: an error of the operator's own")
            await asyncio.sleep(wait)

    def _silence(self, controller: Controller, informers: Informers) -> str | None:
        limit = SILENCE * self._settings.relist_interval
        now = asyncio.get_running_loop().time()
        heard = min(controller.last_compared or now, informers.last_heard)
        if now - heard > limit:
            return f"nothing heard from the API server for {now - heard:.0f} s"
        return None


def _survey(read: Callable[[str], Awaitable[None]], settings: Settings) -> Survey | None:
    """What one looks around with where other replicas act too."""
    return Survey(read) if settings.partitions > 1 else None


def _keeper(api: OnBehalf, story: Story, telemetry: Telemetry, now: Callable[[], float]) -> MonitoringKeeper:
    """What it cannot apply is told by an Event, and by a metric."""

    def tell(rollout: ObjectRef, uid: str, text: str) -> None:
        story.post(*warning(rollout, uid, Reason.MONITORING_NOT_APPLIED, text, now()))

    return MonitoringKeeper(api, tell=tell, observe=telemetry.monitored)


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Whatever they were waiting for."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _each(*calls: Callable[[str], None]) -> Callable[[str], None]:
    """All of them, in order."""

    def call(user: str) -> None:
        for one in calls:
            one(user)

    return call


async def _in_order(*works: Awaitable[None]) -> None:
    """One after the other."""
    for work in works:
        await work


def _exit_code(watching: asyncio.Task[None]) -> int:
    """0 where the watch goes on until it is stopped; it should never end by itself."""
    if not watching.done():
        return 0
    log.error("the watch of SyncRollouts has ended: %s", watching.exception() or "kopf stopped")
    return 1
