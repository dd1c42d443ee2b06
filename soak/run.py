"""The run itself: one loop in one thread that lets people, faults and samples have their turn."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from e2e.operators import OWN_FAULT, USER
from soak import flagship, people, small
from soak.faults import Faults, Outage
from soak.judges import LOADED, Collected, Evidence
from soak.people import ENDED, Lead, Owner, owners
from soak.sampler import Sampler
from soak.samples import Sample
from soak.slowness import Slowness
from soak.story import Story, weight_of
from soak.world import World
from testbed.journal import at_once
from testbed.waiting import eventually

Obj = dict[str, Any]
TURN = 0.2
"""Seconds between two turns of the loop."""
SPARED = 0.4
"""Share of the run after which the replica that leads is left alone."""
SETTLE = 150.0
"""Seconds after the run within which all that is under way has to come to its end."""


@dataclass(frozen=True)
class Outcome:
    """What a run has brought, for judges and for the page."""

    evidence: Evidence
    samples: list[Sample]
    outages: list[Outage]
    began: float
    minutes: int
    factor: float
    changes: tuple[int, int]
    faults: dict[str, int]
    order: list[str]
    starts: dict[str, int]
    runs: dict[str, int]
    """How many runs came to which end; `left` those of which none is known."""
    flagship: list[tuple[str, str, str]]
    """Time, reason and message of its history, as far as it was seen."""
    created: int
    """SyncRollouts in all."""
    unconfirmed: list[str]


class Run:
    """One run of a world."""

    def __init__(self, world: World, seed: int) -> None:
        self.world = world
        self.seed = seed
        self.story = Story()
        self.lead = Lead(world)
        self.owners: list[Owner] = []
        self.collected: list[Collected] = []
        self._exits: list[str] = []

    def go(self) -> None:
        """From the first start of the operator to the last sample."""
        world = self.world
        for replica in world.replicas:
            replica.launch()
        self.began = float(world.town.began)
        with (
            world.watched(self.story.rollout, self.story.route) as mirrors,
            Slowness(world.cluster.kube_as(world.cluster.user_token("testbed"))) as self.slowness,
        ):
            self.mirrors = mirrors
            self.faults = Faults(world, self.seed, time.time, self._in_flight)
            self.sampler = Sampler(world, self.story, time.time, self.began)
            self.owners = owners(world, self.seed)
            eventually(lambda: world.leader, timeout=60, interval=0.5, what="a replica to lead")
            self.lead.begin()
            end = self.began + 60 * world.compression.minutes
            turns = self._turns()
            while time.time() < end:
                next(turns)
                time.sleep(TURN)
            self._settle(turns)
            self._collect()

    def _turns(self) -> Iterator[None]:
        """One turn for each `next`."""
        whole = 60.0 * self.world.compression.minutes
        every = 15.0 if whole >= 600 else 5.0
        sample_at, tick_at, asked = self.began + every, 0.0, False
        marks = [0.5 * whole, 0.75 * whole]
        while True:
            now = time.time()
            share = (now - self.began) / whole
            self._everybody(ending=share >= LOADED)
            gap = (8.0, 16.0) if whole >= 600 else (4.0, 8.0)
            self.faults.tick(gap=gap, spare_leader=share >= SPARED, stop=share >= LOADED)
            if now >= tick_at:
                tick_at = now + 1.0
                self.world.tick()
                self._look_after_replicas()
            if not asked and now >= sample_at - 1.5:
                collect = bool(marks) and now - self.began >= marks[0]
                asked = True
                self.sampler.ask(collect=collect)
            if now >= sample_at:
                sample_at, asked = now + every, False
                self._sample()
                if marks and now - self.began >= marks[0]:
                    marks.pop(0)
                    self._note_collection()
            yield

    def _look_after_replicas(self) -> None:
        """One that has ended though nobody asked it to is started again, as Kubernetes does, and told of."""
        for replica in self.world.replicas:
            if not replica.process.running and not self.faults.restarting:
                self._exits.append(f"{replica.name} ended by itself, with code {replica.process.returncode}")
                replica.launch()

    def _everybody(self, *, ending: bool) -> None:
        """Everybody looks once."""
        now = time.monotonic()
        self.lead.look(self.mirrors[flagship.NAMESPACE].get(flagship.NAME), now)
        for owner in self.owners:
            owner.look(self.mirrors[small.NAMESPACE].get(owner.name), now, ending=ending)

    def _sample(self) -> None:
        found = self.mirrors[flagship.NAMESPACE].get(flagship.NAME) or {}
        status = found.get("status") or {}
        state = f"{status.get('state', '')} {(status.get('phase') or {}).get('name', '')}".strip()
        made = self.sampler.take(state, self._outages, under_way=self.faults.away)
        print(
            f"{made.time:6.0f} s  {made.leader:12} {made.rss:6.1f} MB  {made.objects} objects  {made.passes} passes, "
            f"p99 {made.p99:g} s  {made.asked} requests  {made.counts}  {state}: {status.get('reason')}"
            f"{'  (outage)' if made.outage else ''}",
            flush=True,
        )

    @property
    def _outages(self) -> list[Outage]:
        return sorted([*self.faults.outages, *self.slowness.outages], key=lambda each: each.since)

    def _note_collection(self) -> None:
        last = self.sampler.samples[-1]
        leader = self.world.leader
        counts = leader.counts() if leader is not None else {}
        if counts.get("collected"):
            self.collected.append(Collected(last.time, last.leader, int(counts["objects"]), counts["rss"]))

    def _settle(self, turns: Iterator[None]) -> None:
        """Let all that is under way come to its end."""
        deadline = time.time() + SETTLE
        while time.time() < deadline and (self._unsettled() or not self.faults.quiet):
            next(turns)
            time.sleep(TURN)

    def _in_flight(self) -> list[tuple[str, str]]:
        objs = [*self.mirrors[small.NAMESPACE].all(), *self.mirrors[flagship.NAMESPACE].all()]
        flying = [obj["metadata"] for obj in objs if (obj.get("status") or {}).get("inFlight")]
        return [(each["namespace"], each["name"]) for each in flying]

    def _unsettled(self) -> list[str]:
        objs = [*self.mirrors[small.NAMESPACE].all(), *self.mirrors[flagship.NAMESPACE].all()]
        return [text for obj in objs for text in unsettled(obj)]

    def _collect(self) -> None:
        """A last collection of garbage, and then the operator ends."""
        self.sampler.ask(collect=True)
        time.sleep(3.0)
        self._sample()
        self._note_collection()
        for replica in self.world.replicas:
            code = replica.process.stop(grace=15)
            if code != 0:
                self._exits.append(f"{replica.name} ended with code {code} after SIGTERM at the end")

    # ---- what came of it ---------------------------------------------------------------------------------------

    def outcome(self) -> Outcome:
        """For judges and for the page."""
        world, story = self.world, self.story
        jobs, writes = audited(Path(world.run_dir), self.began)
        by_hand = self.faults.weights_set + sum(owner.weights_set for owner in self.owners)
        items = world.ledger.items()
        tales = list(story.tales.values())
        ended = [end for tale in tales for end in tale.runs.values()]
        late = self.faults.counted.get("did not end within 30 s of SIGTERM", 0)
        exits = [*self._exits, *(["a replica did not end within 30 s of SIGTERM"] * late)]
        final = [text for obj in story.finals.values() for text in (*unsettled(obj), *self._misplaced(obj))]
        evidence = Evidence(
            minutes=world.compression.minutes,
            samples=self.sampler.samples,
            collected=self.collected,
            tales=tales,
            rewritten=story.changed,
            posts=[(headers["Idempotency-Key"], str(body["title"])) for headers, body in world.hook.posts],
            jobs=[name for name, _ in jobs],
            made=[at for _, at in jobs],
            kept=world.keep_jobs,
            route_writes=writes,
            route_moves=sum(story.moves.values()) - by_hand,
            two_owners=[f"{a.key}: {a.pod} and {b.pod}" for a, b in at_once(items)],
            items=len(items),
            openings=world.town.openings(),
            outages=[(each.since, each.until) for each in self._outages],
            faults=self._own_faults(),
            exits=exits,
            final=[*final, *self._of_the_flagship()],
            finals=len(story.finals),
        )
        lead = next((tale for tale in tales if tale.name == flagship.NAME), None)
        return Outcome(
            evidence=evidence,
            samples=self.sampler.samples,
            outages=self._outages,
            began=self.began,
            minutes=world.compression.minutes,
            factor=world.compression.factor,
            changes=world.town.changes,
            faults=dict(self.faults.counted),
            order=self.faults.order,
            starts={each.name: each.starts for each in world.replicas},
            runs={
                "Completed": ended.count("Completed"),
                "RolledBack": ended.count("RolledBack"),
                "left": ended.count(""),
            },
            flagship=[entry for _, entry in sorted(lead.entries.items())] if lead is not None else [],
            created=len(tales),
            unconfirmed=[
                f"{tale.name} {each[0]}"
                for tale in tales
                for each, state in tale.deliveries.items()
                if state == "Unconfirmed"
            ],
        )

    def _misplaced(self, obj: Obj) -> Iterator[str]:
        """Traffic of an ended one that does not stand where it belongs."""
        metadata, status = obj["metadata"], obj.get("status") or {}
        if status.get("state") not in ENDED:
            return
        route = self.mirrors[f"routes/{metadata['namespace']}"].get(metadata["name"])
        wanted = 100 if status["state"] == "Completed" else 0
        if route is None or weight_of(route) != wanted:
            stands = weight_of(route) if route is not None else "nowhere"
            yield f"{metadata['name']} is {status['state']} and its route stands at {stands} % of new"

    def _of_the_flagship(self) -> Iterator[str]:
        obj = self.story.finals.get((flagship.NAMESPACE, flagship.NAME))
        status = (obj or {}).get("status") or {}
        if status.get("state") != "Completed":
            yield f"the flagship is {status.get('state')}, not Completed: {status.get('message')}"
            return
        old = self.world.kube.get("apps/v1", "Deployment", flagship.OLD, flagship.NAMESPACE)
        if old["spec"]["replicas"] != 0:
            yield f"{flagship.OLD} has {old['spec']['replicas']} replicas, and is retired"
        assignment = self.world.kube.get("v1", "ConfigMap", flagship.CONFIG_MAP, flagship.NAMESPACE)
        shards = status.get("shards") or {}
        if shards.get("newBelow") != 1000:
            yield f"new owns the slots below {shards.get('newBelow')}: {assignment['data']}"

    def _own_faults(self) -> list[str]:
        found = []
        for replica in self.world.replicas:
            for text in replica.process.log_text().splitlines():
                try:
                    line = json.loads(text)
                except ValueError:
                    found.append(f"{replica.name}: {text[:300]}")
                    continue
                message = str(line.get("message", ""))
                if OWN_FAULT in message or "exception" in line or message.startswith("Traceback"):
                    found.append(f"{replica.name}: {message[:300]} {str(line.get('exception', ''))[-300:]}")
        return found


def unsettled(obj: Obj) -> Iterator[str]:
    """What of a rollout has not come to its end."""
    metadata, status = obj["metadata"], obj.get("status") or {}
    name = metadata["name"]
    if metadata.get("deletionTimestamp"):
        yield f"{name} is being deleted"
    elif status.get("state") not in ENDED or status.get("retry"):
        phase = (status.get("phase") or {}).get("name", "")
        yield f"{name} is {status.get('state')} in {phase or 'no phase'}: {status.get('message', '')[:300]}"
    elif metadata.get("finalizers"):
        yield f"{name} is {status['state']} and has a finalizer"
    if people.telling(status):
        yield f"{name} is still telling something to somebody"


def audited(run_dir: Path, began: float) -> tuple[list[tuple[str, float]], int]:
    """Jobs that the operator made, each with the second of the run, and how often it has written a route."""
    jobs: list[tuple[str, float]] = []
    writes = 0
    for path in sorted((run_dir / "control-plane").glob("audit*.log")):
        with path.open() as log:
            for text in log:
                if USER not in text:
                    continue
                line = json.loads(text)
                ref, code = line.get("objectRef") or {}, (line.get("responseStatus") or {}).get("code", 0)
                if line["user"]["username"] != USER or code >= 300 or "dryRun" in line["requestURI"]:
                    continue
                if ref.get("resource") == "jobs" and line["verb"] == "create":
                    at = datetime.fromisoformat(line["requestReceivedTimestamp"]).timestamp() - began
                    jobs.append((f"{ref['namespace']}/{ref.get('name', '?')}", at))
                elif ref.get("resource") == "httproutes" and line["verb"] == "patch":
                    writes += 1
    return jobs, writes
