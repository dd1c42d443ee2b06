"""The diagnosis: signs are gathered by trouble, weighed, and what is found is sorted by how sure it is.

Whose trouble it is follows from the sides whose signs make it likely on their own; where none does, from all of them.
Where both old and new have it, what they share is the first suspect.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from syncrollout.api.words import Reason, Side
from syncrollout.diagnosis import own, systems
from syncrollout.diagnosis.facts import Facts, Gap
from syncrollout.diagnosis.remedies import Action, remedies
from syncrollout.diagnosis.words import OF_SYSTEMS, Certainty, Sign, Trouble, sure

_ORDER: Final = tuple(Certainty)
_WHAT: Final = {
    Trouble.SLOW: "{who} is slow",
    Trouble.INCONSISTENT: "the data of {who} does not agree",
    Trouble.MEMORY: "{who} runs out of memory",
    Trouble.AUTH: "credentials of {who} are refused",
    Trouble.DATABASE: "{who} gets no connection to the database",
    Trouble.PODS: "pods of {who} do not run as they should",
    Trouble.RIGHTS: "the operator lacks a right",
    Trouble.PROMETHEUS: "Prometheus gives the operator no readings",
    Trouble.ROUTE: "a route does not carry the weights that it should",
    Trouble.HANDOVER: "a handover of work items is stuck",
    Trouble.CLOCK: "the clocks of operator and API server differ",
    Trouble.OPERATOR: "no operator looks after this rollout",
    Trouble.CRD: "the CRD of the cluster is not of this release",
}
_PAGES: Final = {
    Trouble.SLOW: "metric-system",
    Trouble.AUTH: "metric-system",
    Trouble.DATABASE: "metric-system",
    Trouble.MEMORY: "metric-resource",
    Trouble.INCONSISTENT: "metric-business",
    Trouble.PODS: Reason.NEW_NOT_READY.value,
    Trouble.RIGHTS: Reason.FORBIDDEN.value,
    Trouble.PROMETHEUS: Reason.PROMETHEUS_UNREACHABLE.value,
    Trouble.ROUTE: Reason.ROUTER_DISOBEYS.value,
    Trouble.HANDOVER: Reason.HANDOVER_TIMED_OUT.value,
    Trouble.CLOCK: "clocks",
    Trouble.OPERATOR: "no-operator",
    Trouble.CRD: "crd",
}
_CALL: Final = {
    Trouble.PROMETHEUS: "whoever runs Prometheus",
    Trouble.RIGHTS: "whoever may write ClusterRoles",
    Trouble.ROUTE: "whoever runs the router",
    Trouble.CLOCK: "whoever runs the nodes",
    Trouble.OPERATOR: "whoever runs the operator",
    Trouble.CRD: "whoever runs the operator",
    Trouble.DATABASE: "whoever runs the database",
    Trouble.AUTH: "whoever hands out the credentials",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One trouble that is there, or may be."""

    trouble: Trouble
    certainty: Certainty
    sides: tuple[Side, ...]
    """Whose trouble it is; empty where it is the operator's own."""
    summary: str
    signs: tuple[Sign, ...]
    """The evidence, the strongest first."""
    actions: tuple[Action, ...]
    call: tuple[str, ...]
    page: str
    """Of docs/runbook/, without its ending."""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """What came of it. `clear`: looked for and not found; `gaps`: what could not be looked at."""

    findings: tuple[Finding, ...]
    clear: tuple[Trouble, ...]
    gaps: tuple[Gap, ...]

    @property
    def blind(self) -> tuple[Trouble, ...]:
        """Troubles of which nothing was found, and of which something could not be looked at."""
        return tuple(each for each in self.clear if any(each in gap.troubles for gap in self.gaps))


def diagnose(facts: Facts, wanted: Collection[Trouble] = tuple(Trouble)) -> Diagnosis:
    """The same facts give the same diagnosis; what is surer comes first, then what stands first in Trouble."""
    signs = [sign for sign in (*systems.signs(facts), *own.signs(facts)) if sign.trouble in wanted]
    findings = [_finding(facts, trouble, [each for each in signs if each.trouble is trouble]) for trouble in Trouble]
    found = tuple(
        sorted((each for each in findings if each is not None), key=lambda each: _ORDER.index(each.certainty))
    )
    there = {each.trouble for each in found}
    clear = tuple(trouble for trouble in Trouble if trouble in wanted and trouble not in there)
    return Diagnosis(found, clear, tuple(gap for gap in facts.gaps if gap.troubles & set(wanted)))


def _finding(facts: Facts, trouble: Trouble, signs: list[Sign]) -> Finding | None:
    if not signs:
        return None
    certainty, sides = _certainty(signs), _sides(signs)
    ordered = tuple(sorted(signs, key=lambda sign: (-sign.strength, sign.source, sign.text)))
    who = " and ".join(side.value.lower() for side in sides)
    summary = _WHAT[trouble].format(who=who or "it")
    if len(sides) > 1:
        summary = summary.replace(" is slow", " are slow").replace(" runs out", " run out").replace(" gets ", " get ")
        summary += ": look first at what they share"
    return Finding(
        trouble=trouble,
        certainty=certainty,
        sides=sides,
        summary=summary,
        signs=ordered,
        actions=remedies(facts, trouble, sides, " ".join(sign.text for sign in ordered)),
        call=_call(facts, trouble, sides),
        page=_page(facts, trouble),
    )


def _certainty(signs: Sequence[Sign]) -> Certainty:
    """The surest of what can be said of one side, or of neither: what was seen of old makes nothing of new surer."""
    of = (sure(sign for sign in signs if sign.side in (None, side)) for side in (None, *Side))
    return min((each for each in of if each is not None), key=_ORDER.index)


def _sides(signs: Iterable[Sign]) -> tuple[Side, ...]:
    seen = tuple(signs)
    of = {side: sure(sign for sign in seen if sign.side is side) for side in (Side.NEW, Side.OLD)}
    likely = tuple(side for side, certainty in of.items() if certainty in (Certainty.CERTAIN, Certainty.LIKELY))
    return likely or tuple(side for side, certainty in of.items() if certainty is not None)


def _call(facts: Facts, trouble: Trouble, sides: tuple[Side, ...]) -> tuple[str, ...]:
    contacts = facts.spec.diagnosis.contacts if facts.spec.diagnosis is not None else ()
    named = [each for each in contacts if trouble.value in {tells.value.lower() for tells in each.tells}]
    anybody = [each for each in contacts if not each.tells]
    found = tuple(each.who for each in named or anybody)
    owned = " and ".join(facts.workloads[side].reference for side in sides if side in facts.workloads)
    return found or (_CALL.get(trouble) or f"the owner of {owned or 'the rollout'}",)


def _page(facts: Facts, trouble: Trouble) -> str:
    """That of the reason that the status gives, where it is of this trouble."""
    return facts.status.reason.value if facts.status.reason in own.REASONS.get(trouble, ()) else _PAGES[trouble]


__all__ = ["OF_SYSTEMS", "Diagnosis", "Finding", "diagnose"]
