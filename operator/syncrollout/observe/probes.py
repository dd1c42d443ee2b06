"""What old's Services answer, where a rollback's last steps ask for it.

The address is made of the name of a Service, the rollout's own namespace and a port, and of nothing else, so that
nobody has the operator ask a host of their choice. A Service of type ExternalName stands for just that, and is
refused. Of a body nothing is ever quoted.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from typing import Final

from syncrollout.act.target import Target
from syncrollout.api.spec import PROBE_TIMEOUT, Probe, ProbeScheme
from syncrollout.decide.facts import ProbeFact
from syncrollout.ports import Answer, ApiError, Behalf, KindRef, NotFound, ObjectRef, OnBehalf, ProbeFailed, Prober

log = logging.getLogger(__name__)

SERVICE: Final = KindRef("v1", "Service")
PAUSE: Final = 2.0
"""Seconds for which what was answered is not asked again: a pass may come much earlier."""
KEPT: Final = 60.0
"""Seconds after which it is forgotten."""

_Known = tuple[float, tuple[Probe, ...], tuple[ProbeFact, ...]]


class Probes:
    """Looks at Services on behalf of the gatherer. What it remembers only saves requests."""

    def __init__(self, api: OnBehalf, prober: Prober) -> None:
        self._api = api
        self._prober = prober
        self._known: dict[ObjectRef, _Known] = {}

    async def look(self, target: Target, probes: Sequence[Probe]) -> tuple[ProbeFact, ...] | None:
        """What each of them finds now; None without any. Never raises for what a Service can do wrong."""
        if not probes:
            return None
        now = asyncio.get_running_loop().time()
        self._known = {ref: known for ref, known in self._known.items() if now - known[0] < KEPT}
        known = self._known.get(target.ref)
        if known is not None and known[1] == tuple(probes) and now - known[0] < PAUSE:
            return known[2]
        facts = await self.look_anew(target, probes)
        self._known[target.ref] = (asyncio.get_running_loop().time(), tuple(probes), facts)
        return facts

    async def look_anew(self, target: Target, probes: Sequence[Probe]) -> tuple[ProbeFact, ...]:
        """The same, asked now, and not remembered."""
        return tuple(await asyncio.gather(*(self._one(target, probe) for probe in probes)))

    async def _one(self, target: Target, probe: Probe) -> ProbeFact:
        service, namespace = probe.service or target.spec.old.service or "", target.ref.namespace
        what = f"GET {service}:{probe.port}{probe.path[:80]}"
        why_not = await self._hindrance(target.behalf, ObjectRef(SERVICE, namespace, service), probe.port)
        if why_not:
            return ProbeFact(passes=False, text=f"{what}: {why_not}")
        try:
            answer = await self._prober.get(
                namespace,
                service,
                probe.port,
                probe.path,
                PROBE_TIMEOUT,
                tls=probe.scheme is ProbeScheme.HTTPS,
            )
        except ProbeFailed as error:
            return ProbeFact(passes=False, text=f"{what}: {str(error)[:200]}")
        wrong = judge(probe, answer)
        took = f"{answer.seconds * 1000:.0f} ms"
        return ProbeFact(passes=not wrong, text=f"{what}: {wrong or f'{answer.status} in {took}'}")

    async def _hindrance(self, behalf: Behalf, ref: ObjectRef, port: int) -> str:
        """Why this Service is not asked, in words; empty where it is."""
        try:
            spec = (await self._api.acting_as(behalf).get(ref)).get("spec") or {}
        except NotFound:
            return f"{ref} does not exist: create it, or correct the probe's service"
        except ApiError as error:
            log.warning("a Service that is to be probed cannot be read: %s", error)
            return str(error)[:300]
        if spec.get("type") == "ExternalName":
            return f"{ref} stands for a host outside of the namespace (ExternalName), and is not asked"
        ports = [int(each["port"]) for each in spec.get("ports") or ()]
        if port not in ports:
            return f"{ref} has no port {port}; it has {', '.join(map(str, ports)) or 'none'}"
        return ""


def judge(probe: Probe, answer: Answer) -> str:
    """What is wrong with an answer, in words; empty where nothing is."""
    if answer.status not in probe.status:
        return f"{answer.status}, and not {' or '.join(map(str, probe.status))}"
    if probe.contains is not None and probe.contains.encode() not in answer.body:
        return f"{answer.status}, and what it should say is not in its body"
    if probe.max_latency is not None and answer.seconds > probe.max_latency:
        return f"{answer.status} after {answer.seconds:.1f} s, and it may take {probe.max_latency:g} s"
    return ""


__all__ = ["Probes", "judge"]
