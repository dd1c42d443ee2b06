"""The account that a rollout is carried out as, looked at before a run begins: whether there is one, and whether it may
do what the run, and its way back, will ask for. A right that is missing is found before anything is touched.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from syncrollout.act.needs import Need, needs
from syncrollout.act.target import Target, workload_ref
from syncrollout.api.words import Reason
from syncrollout.decide.facts import Problem
from syncrollout.ports import ActingApi, Behalf, Forbidden, KindNotServed, KindRef, NotFound, ObjectRef, Permits

SERVICE_ACCOUNT: Final = KindRef("v1", "ServiceAccount")
GOOD_FOR: Final = 30.0
"""Seconds for which an account that may do everything is not asked about again: a rollout may wait for its start."""
BAD_FOR: Final = 5.0
"""The same of one that a person has to mend."""
MOST_KEPT: Final = 256
NAMED: Final = 3
"""Rights that are told in full length of those that are missing, beside the first."""


class KubePermits(ActingApi, Permits, Protocol):
    """The API server, which knows who may do what."""


@dataclass(slots=True)
class _Known:
    behalf: Behalf
    needs: tuple[Need, ...]
    problem: Problem | None
    until: float


class Accounts:
    """Looks at accounts on behalf of the gatherer. What it remembers only saves requests."""

    def __init__(self, api: KubePermits, *, required: bool = False) -> None:
        """`required`: who names no account has nothing done."""
        self._api = api
        self._required = required
        self._known: OrderedDict[ObjectRef, _Known] = OrderedDict()

    async def problem(self, target: Target) -> Problem | None:
        """What a person has to mend before a run begins; None where all is well. Raises ApiError where the API server
        cannot be asked."""
        behalf = target.behalf
        if not behalf.account:
            return Problem(Reason.SERVICE_ACCOUNT_REQUIRED, NAMELESS) if self._required else None
        wanted, now = needs(target), asyncio.get_running_loop().time()
        known = self._known.get(target.ref)
        if known is None or now >= known.until or (known.behalf, known.needs) != (behalf, wanted):
            problem = await self._look(target, wanted)
            known = _Known(behalf, wanted, problem, now + (GOOD_FOR if problem is None else BAD_FOR))
            self._known[target.ref] = known
            self._known.move_to_end(target.ref)
            if len(self._known) > MOST_KEPT:
                self._known.popitem(last=False)
        return known.problem

    async def _look(self, target: Target, wanted: tuple[Need, ...]) -> Problem | None:
        behalf = target.behalf
        try:
            await self._api.get(ObjectRef(SERVICE_ACCOUNT, behalf.namespace, behalf.account))
            barred = await self._barred(target)
            found = await asyncio.gather(*(self._missing(behalf, need) for need in wanted))
        except NotFound:
            message = (
                f"{behalf}, which spec.serviceAccountName names, does not exist: create it (kubectl -n "
                f"{behalf.namespace} create serviceaccount {behalf.account}) with the rights that the rollout needs, "
                "or correct the name"
            )
            return Problem(Reason.SERVICE_ACCOUNT_NOT_FOUND, message)
        except Forbidden as error:
            return Problem(Reason.FORBIDDEN, str(error)[:1024])
        missing = [(need, said) for need, said in zip(wanted, found, strict=True) if said]
        if not missing:
            return Problem(Reason.FORBIDDEN, barred[:1024]) if barred else None
        others = [f"{need.verb} {_what(need)}" for need, _ in missing[1:]]
        told = ", ".join(others[:NAMED]) + (f" and {len(others) - NAMED} more" if len(others) > NAMED else "")
        return Problem(Reason.FORBIDDEN, f"{missing[0][1]}{f'; it also lacks: {told}' if told else ''}"[:1024])

    async def _barred(self, target: Target) -> str:
        """What keeps old's workload from being read as the account: that the operator may act as it is seen only by
        doing so. Empty where nothing does."""
        try:
            await self._api.acting_as(target.behalf).get(workload_ref(target.spec.old, target.ref.namespace))
        except Forbidden as error:
            return str(error)
        except NotFound:
            pass
        return ""

    async def _missing(self, behalf: Behalf, need: Need) -> str:
        try:
            return await self._api.missing(behalf, need.verb, need.ref, subresource=need.subresource)
        except KindNotServed:
            return ""  # which is told of by who looks for the object


NAMELESS: Final = (
    "spec.serviceAccountName is not given, and this operator does nothing on behalf of a rollout that names no "
    "ServiceAccount (require-service-account): name one of this namespace that has the rights which the rollout needs"
)


def _what(need: Need) -> str:
    kind = f"{need.ref.kind.kind}{f'/{need.subresource}' if need.subresource else ''}"
    return f"{kind} {need.ref.name}".rstrip()


__all__ = ["Accounts"]
