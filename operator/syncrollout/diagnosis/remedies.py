"""What to do about each trouble, as commands that a person can run as they stand. Nothing is run here."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from syncrollout.api.fields import format_duration
from syncrollout.api.spec import JobSource
from syncrollout.api.words import Request, Side, State, Step
from syncrollout.decide import step_jobs
from syncrollout.diagnosis.facts import Facts, Pod, Workload
from syncrollout.diagnosis.words import Trouble

_RATE: Final = re.compile(r"RATE_?LIMIT|REQUESTS_PER|MAX_RPS|\bRPS\b", re.IGNORECASE)
_BATCH: Final = re.compile(r"BATCH_?SIZE|CHUNK_?SIZE", re.IGNORECASE)
_POOL: Final = re.compile(r"POOL_?(?:SIZE|MAX)|MAX_?(?:POOL|CONN)|CONNECTIONS", re.IGNORECASE)
_RIGHT: Final = re.compile(
    r'(?:right to|cannot) "?(\w+)"? resource "([^"]+)"(?: of API group (\S+)| in API group "([^"]+)")?'
)
_LESS: Final = 2
"""What a rate limit and a batch size are divided by."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something to do; `command` is empty where no command does it."""

    what: str
    command: str = ""


def remedies(facts: Facts, trouble: Trouble, sides: tuple[Side, ...], said: str = "") -> tuple[Action, ...]:
    """What to do, in the order in which to do it. `said`: the evidence in words."""
    return tuple(_TABLE[trouble](_On(facts, sides, said)))


@dataclass(frozen=True, slots=True)
class _On:
    """A trouble of these sides."""

    facts: Facts
    sides: tuple[Side, ...]
    said: str

    def kubectl(self, *words: str, namespace: str = "") -> str:
        return shlex.join(["kubectl", *self.facts.options, "-n", namespace or self.facts.namespace, *words])

    def anywhere(self, *words: str) -> str:
        """Of no namespace, or of all."""
        return shlex.join(["kubectl", *self.facts.options, *words])

    def plugin(self, verb: str, *words: str) -> str:
        where = ["-n", self.facts.namespace, *self.facts.options]
        return shlex.join(["kubectl", "syncrollout", verb, self.facts.name, *words, *where])

    def workloads(self) -> Iterator[tuple[Side, Workload]]:
        for side in self.sides:
            if side in self.facts.workloads:
                yield side, self.facts.workloads[side]

    def pods(self, side: Side) -> list[Pod]:
        return [pod for pod in self.facts.pods if pod.side is side]

    def restart(self, *of: Side) -> Iterator[Action]:
        for side, workload in self.workloads():
            if workload.restartable and side in (of or self.sides):
                what = f"make the pods of {side.value.lower()} anew"
                yield Action(what, self.kubectl("rollout", "restart", workload.reference))

    def logs(self, words: str) -> Iterator[Action]:
        since = f"--since={round(self.facts.look_back)}s"
        for side, workload in self.workloads():
            whose = self._whose(side, workload)
            if whose:
                command = self.kubectl("logs", *whose, "--all-containers", "--prefix", since)
                yield Action(f"read what {side.value.lower()} says", f"{command} | grep -iE {shlex.quote(words)}")

    def _whose(self, side: Side, workload: Workload) -> tuple[str, ...]:
        """The pods of a side, as kubectl logs takes them; none where there are none."""
        if workload.selector:
            return "-l", workload.selector, "--tail=-1", "--max-log-requests=20"
        return tuple(pod.name for pod in self.pods(side)[-1:])

    def last_words(self, side: Side) -> Iterator[Action]:
        """Of the pod that was restarted most."""
        worst = max(self.pods(side), key=_restarts, default=None)
        if worst is not None and _restarts(worst):
            command = self.kubectl("logs", worst.name, "--all-containers", "--previous", "--tail=100")
            yield Action(f"the last words of {worst.name} before it died", command)

    def env(self, workload: Workload, *words: str) -> str:
        """kubectl set env, where it knows such a workload."""
        return self.kubectl("set", "env", workload.reference, *words) if workload.settable else ""

    def back(self, why: str) -> Iterator[Action]:
        """The way back, where it is new that is ill and it has something to lose."""
        status = self.facts.status
        goes = status.in_flight or status.watch is not None
        if Side.NEW in self.sides and goes and status.state is not State.ROLLING_BACK:
            yield Action("if users are hurt, send everything back to old", self.plugin("rollback", "-m", why))


def _restarts(pod: Pod) -> int:
    return sum(each.restarts for each in pod.containers)


def _counted(pods: int) -> str:
    return "1 pod" if pods == 1 else f"{pods} pods"


def _numbers(environment: Mapping[str, str], names: re.Pattern[str]) -> dict[str, int]:
    return {name: int(value) for name, value in environment.items() if names.search(name) and value.isdecimal()}


def _slow(on: _On) -> Iterator[Action]:
    yield from on.back("sync is slow")
    yield from on.logs("429|rate.?limit|timed? ?out|too many")
    for side, workload in on.workloads():
        found = _numbers(workload.environment, _RATE) | _numbers(workload.environment, _BATCH)
        less = {name: max(1, value // _LESS) for name, value in found.items() if value > 1}
        if less:
            changes = " and ".join(f"{name} from {found[name]} to {value}" for name, value in less.items())
            command = on.env(workload, *(f"{name}={value}" for name, value in less.items()))
            yield Action(f"lower {changes} of {side.value.lower()}; its pods are made anew by it", command)
        else:
            what = f"find what sets rate limit and batch size of {side.value.lower()}, and lower them"
            yield Action(what, on.env(workload, "--list"))
            yield from on.restart(side)


def _inconsistent(on: _On) -> Iterator[Action]:
    yield from on.back("data differs")
    spec = on.facts.spec
    verify, restore = (step_jobs.source_of(spec, step) for step in (Step.VERIFY_DATA, Step.RESTORE))
    if on.facts.status.in_flight and not spec.suspend and on.facts.status.state is not State.ROLLING_BACK:
        what = "let it stand still while you look (criteria that send it back are judged on)"
        yield Action(what, on.plugin("hold", "-m", "data differs"))
    if verify is not None and verify.from_cron_job:
        yield _job(on, "list the differences", "differences", verify)
    elif verify is not None:
        yield Action("list the differences, by the Job of verifyData", on.plugin("drill", "-m", "list differences"))
    else:
        yield Action("list the differences: rollback.procedure.verifyData names no Job that could do it")
    yield from on.logs("deadlock|duplicate|unique constraint|mismatch|rolled back")
    yield Action("take away duplicates, and sync those items anew; look why data changed while it was synced")
    if restore is not None and restore.from_cron_job:
        yield _job(on, "where new has done the damage, undo it (make sure that there is a backup)", "restore", restore)


def _job(on: _On, what: str, suffix: str, source: JobSource) -> Action:
    made = f"{on.facts.name[:40]}-{suffix}-by-hand"
    return Action(what, on.kubectl("create", "job", made, f"--from=cronjob/{source.from_cron_job}"))


def _memory(on: _On) -> Iterator[Action]:
    yield from on.back("memory leak")
    for side, workload in on.workloads():
        if workload.selector:
            command = on.kubectl("top", "pods", "--containers", "-l", workload.selector)
            yield Action(f"watch what {side.value.lower()} uses", command)
        worst = max(on.pods(side), key=_restarts, default=None)
        if worst is not None:
            command = on.kubectl("exec", worst.name, "--", "cat", "/proc/1/smaps_rollup")
            yield Action(
                "while it is high, take a dump by the means of its language; how its memory is made up", command
            )
        yield from on.last_words(side)
        yield Action(f"clear the caches of {side.value.lower()}, where it has a way to do so; a restart does it, too")
    yield from on.restart()
    for side, workload in on.workloads():
        limits = [pod.limit for pod in on.pods(side) if pod.limit]
        single = all(sum(not each.first for each in pod.containers) == 1 for pod in on.pods(side))
        if limits and single and workload.settable:
            raised = f"--limits=memory={round(max(limits) * 1.5 / 1024**2)}Mi"
            what = "for a while, give it more (this mends no leak, and makes its pods anew)"
            yield Action(what, on.kubectl("set", "resources", workload.reference, raised))


def _auth(on: _On) -> Iterator[Action]:
    yield from on.back("credentials are refused")
    yield from on.logs("401|403|unauthori|forbidden|expired|denied")
    for side, workload in on.workloads():
        for secret in workload.secrets:
            template = '{range .metadata.managedFields[*]}{.time}{" "}{.manager}{"\\n"}{end}'
            command = on.kubectl("get", "secret", secret, "--show-managed-fields", "-o", f"jsonpath={template}")
            yield Action(f"when Secret {secret}, which {side.value.lower()} uses, was last changed", command)
            yield Action("renew what has run out in it, in base64", on.kubectl("edit", "secret", secret))
        if not workload.secrets:
            yield Action(f"find where {side.value.lower()} has its credentials from, and renew them")
    yield from on.restart()


def _database(on: _On) -> Iterator[Action]:
    yield from on.back("no connection to the database")
    yield from on.logs("connection|pool|sqlstate|too many")
    for side, workload in on.workloads():
        pools = _numbers(workload.environment, _POOL)
        pods = len(on.pods(side)) or workload.replicas
        for name, size in pools.items():
            what = f"{side.value.lower()} may open {_counted(pods)} x {name} {size} = {pods * size} connections"
            less = f"{name}={max(1, size // _LESS)}"
            yield Action(
                f"{what}: hold that against what the database allows, and make it fit",
                on.env(workload, less),
            )
        if not pools:
            what = (
                f"find the size of {side.value.lower()}'s pool, times {_counted(pods)}: is it what the database allows"
            )
            yield Action(what, on.env(workload, "--list"))
    yield Action(
        "at the database: how many connections are open, of whom, and idle since when; close those left behind"
    )
    yield from on.restart()


def _pods(on: _On) -> Iterator[Action]:
    yield from on.back("pods of new do not run")
    for side, workload in on.workloads():
        if workload.selector:
            yield Action(
                f"look at the pods of {side.value.lower()}", on.kubectl("describe", "pods", "-l", workload.selector)
            )
        yield from on.last_words(side)
    yield Action("what the cluster says", on.kubectl("get", "events", "--sort-by=.lastTimestamp"))


def _rights(on: _On) -> Iterator[Action]:
    facts = on.facts
    found = _RIGHT.search(on.said)
    if found is not None:
        group = found[3] or found[4]
        resource = f"{found[2]}.{group}" if group else found[2]
        asked = ("auth", "can-i", found[1], resource, f"--as={facts.operator_account}")
        everywhere = "in all namespaces" in on.said
        command = on.anywhere(*asked, "--all-namespaces") if everywhere else on.kubectl(*asked)
        yield Action("ask whether it may (you need the right to impersonate)", command)
    yield Action("apply the roles of the operator's own release", on.anywhere("apply", "-f", "manifests/20-rbac.yaml"))
    yield Action("a route of another kind: label a role of yours, as manifests/examples/rbac-extra-route.yaml does")


def _prometheus(on: _On) -> Iterator[Action]:
    asked = on.facts.spec.prometheus
    if asked is not None:
        path = on.facts.prometheus_path
        ready = f"curl -sS {shlex.quote(asked.address + '/-/ready')}"
        command = on.anywhere("get", "--raw", f"{path}/-/ready") if path else ready
        yield Action(f"whether {asked.address} is the right address, and whether it answers", command)
        password = asked.basic_auth.password if asked.basic_auth is not None else None
        for secret in (asked.bearer_token, password, asked.ca):
            if secret is not None:
                yield Action(f"whether key {secret.key} is there", on.kubectl("describe", "secret", secret.name))
    yield Action("whether the operator may reach it", on.anywhere("get", "networkpolicies", "--all-namespaces"))
    operator = on.kubectl("logs", "deployment/syncrollout", "--tail=50", namespace=on.facts.operator_namespace)
    yield Action("what the operator says", operator)


def _route(on: _On) -> Iterator[Action]:
    for route in on.facts.spec.traffic.routes:
        group = route.api_version.rpartition("/")[0]
        kind = f"{route.kind}.{group}" if group else route.kind
        command = on.kubectl("get", kind.lower(), route.name, "-o", "yaml", "--show-managed-fields")
        yield Action(f"{route}: who writes to it, and what its controller says in its status", command)
    yield Action("look at the log of the router's controller, and whether it runs")
    status = on.facts.status
    if status.in_flight and status.state is not State.ROLLING_BACK:
        yield Action(
            "if new gets more than it should, send everything back", on.plugin("rollback", "-m", "route astray")
        )


def _handover(on: _On) -> Iterator[Action]:
    shards = on.facts.status.shards
    how_far = on.kubectl("get", "syncrollout", on.facts.name, "-o", "jsonpath={.status.shards}")
    yield Action("how far it is, and whom it waits for", how_far)
    for pod in shards.waiting_for if shards is not None else ():
        yield Action(f"what {pod} is at", on.kubectl("logs", pod, "--all-containers", "--tail=50"))
        yield Action("where its work can be repeated, end it: it then holds nothing", on.kubectl("delete", "pod", pod))
    if shards is not None:
        yield Action("who owns what", on.kubectl("get", "configmap", shards.config_map, "-o", "yaml"))
    given = on.facts.spec.traffic.shards
    if given is not None:
        late = format_duration(given.handover.timeout)
        yield Action(f"where items take longer than {late}, raise spec.traffic.shards.handover.timeout")


def _clock(on: _On) -> Iterator[Action]:
    yield Action("look at time synchronisation (chrony, ntpd) of the operator's node and of the API server's")
    node = on.kubectl("get", "pods", "-o", "wide", namespace=on.facts.operator_namespace)
    yield Action("which node that is", node)
    yield Action("until then, do not trust deadlines and durations to the minute")


def _operator(on: _On) -> Iterator[Action]:
    where = on.facts.operator_namespace
    yield Action("whether it is there", on.kubectl("get", "pods", "-o", "wide", namespace=where))
    yield Action("what it says", on.kubectl("logs", "deployment/syncrollout", "--tail=100", namespace=where))
    yield Action("make it anew", on.kubectl("rollout", "restart", "deployment/syncrollout", namespace=where))
    if on.facts.status.in_flight:
        yield Action(f"until it runs nobody judges new, and {Request.ROLLBACK.value} is not heard: watch it yourself")


def _crd(on: _On) -> Iterator[Action]:
    yield Action(
        "which release the operator is of",
        on.kubectl(
            "get", "deployment", "syncrollout", "-o", "jsonpath={..image}", namespace=on.facts.operator_namespace
        ),
    )
    yield Action("which release this plugin is of", on.anywhere("syncrollout", "version"))
    applied = on.anywhere("apply", "--server-side", "-f", "crds/")
    yield Action("apply the CRD of the operator's release, from its sources; rollouts go on meanwhile", applied)
    yield Action("with the chart: helm upgrade with crds.install=true does the same")


_TABLE: Final[dict[Trouble, Callable[[_On], Iterator[Action]]]] = {
    Trouble.SLOW: _slow,
    Trouble.INCONSISTENT: _inconsistent,
    Trouble.MEMORY: _memory,
    Trouble.AUTH: _auth,
    Trouble.DATABASE: _database,
    Trouble.PODS: _pods,
    Trouble.RIGHTS: _rights,
    Trouble.PROMETHEUS: _prometheus,
    Trouble.ROUTE: _route,
    Trouble.HANDOVER: _handover,
    Trouble.CLOCK: _clock,
    Trouble.OPERATOR: _operator,
    Trouble.CRD: _crd,
}

__all__ = ["Action", "remedies"]
