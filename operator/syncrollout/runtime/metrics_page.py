"""`docs/metrics.md`, made from the operator's own metrics as they are defined.

python -m syncrollout.runtime.metrics_page [--write | --check]      at the root of the repository
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from syncrollout.api.installed import Match
from syncrollout.api.words import DeliveryState, DrillMode, Role, Side, State
from syncrollout.decide.deliveries import Delivered
from syncrollout.pages import add_choice, carry_out
from syncrollout.runtime.receiver import Outcome
from syncrollout.runtime.telemetry import Described, Telemetry

PAGE: Final = Path("docs/metrics.md")
_OF_A_ROLLOUT: Final = {"namespace", "name"}


def _listed(
    words: type[State]
    | type[DrillMode]
    | type[Role]
    | type[Side]
    | type[Outcome]
    | type[DeliveryState]
    | type[Delivered]
    | type[Match],
) -> str:
    return ", ".join(f"`{word.value}`" for word in words)


LABELS: Final = {
    "namespace": "of the SyncRollout",
    "name": "of the SyncRollout",
    "state": f"status.state: {_listed(State)}",
    "phase": "the name of the phase in the spec; empty between runs",
    "metric": "the name of the metric in spec.metrics; of an alert `alert:` and its name",
    "role": f"what it is asked for: {_listed(Role)}",
    "side": f"whose reading: {_listed(Side)}",
    "mode": f"of the drill: {_listed(DrillMode)}",
    "reason": "why, as status.rollback.reason says it",
    "verb": "of the request, as RBAC has it; `discover`: which kinds an API group has",
    "resource": "the plural of the kind, with its subresource where one is meant",
    "code": "the HTTP status; 0 where no answer came",
    "outcome": "`ok`, or why there is no reading, as the status of a criterion says it (`NoData`, `Timeout` and so on)",
    "result": f"what was answered, as [alerts.md](alerts.md) explains: {_listed(Outcome)}",
    "kind": "`news`, `repeated` (known to be so already), `unasked` (no rollout in progress names it)",
    "audience": "a name from spec.notifications.audiences",
    "channel": "the name of one of its channels",
    "delivery": f"how far it is, or how it was lost: {_listed(DeliveryState)}; those that were sent are not counted",
    "attempt": f"what came of it, as [messages.md](messages.md) explains: {_listed(Delivered)}",
    "match": f"{_listed(Match)}: see [versioning.md](versioning.md)",
    "version": "of the operator",
}
_INTRO: Final = """# Metrics of the operator

Made from `operator/syncrollout/runtime/telemetry.py` by `make generate`.

Served at `/metrics`, at the address and port of [settings.md](settings.md), for Prometheus to scrape. They tell where
every rollout is without asking the API server: readings and verdicts are brought up to date here at every look, in the
status at transitions and once a minute. Scrape every replica: only the one that acts for a rollout looks at it.

These are not the metrics that rollouts are judged by (those are your own), nor those of workers under shards
([workers.md](workers.md)).
"""


def markdown() -> str:
    """The page."""
    described = Telemetry().described
    of_rollouts = [each for each in described if set(each.labels) >= _OF_A_ROLLOUT]
    others = [each for each in described if each not in of_rollouts]
    used = {label for each in described for label in each.labels}
    lines = [
        _INTRO,
        "## Of each rollout",
        "",
        "Gone with the SyncRollout. All carry `namespace` and `name`.",
        "",
        *_table(of_rollouts),
        "",
        "## Of the operator",
        "",
        "A histogram is scraped as `..._bucket`, `..._sum` and `..._count`. Beside these there are `process_*`:",
        "processor time, memory, open files and the start of the process.",
        "",
        *_table(others),
        "",
        "## Labels",
        "",
        "| label | what it says |",
        "|---|---|",
        *(f"| `{label}` | {text} |" for label, text in LABELS.items() if label in used),
    ]
    undescribed = used - LABELS.keys()
    if undescribed:
        raise ValueError(f"labels that the page says nothing of: {', '.join(sorted(undescribed))}")
    return "\n".join(lines) + "\n"


def _table(described: Sequence[Described]) -> list[str]:
    return [
        "| metric | type | further labels | what it says |",
        "|---|---|---|---|",
        *(f"| `{each.name}` | {each.kind} | {_further(each)} | {each.text} |" for each in described),
    ]


def _further(each: Described) -> str:
    return ", ".join(f"`{label}`" for label in each.labels if label not in _OF_A_ROLLOUT) or "-"


def main(arguments: Sequence[str] | None = None) -> int:
    """Write docs/metrics.md, or compare it with what it should be. Run it at the root of the repository."""
    parser = argparse.ArgumentParser(prog="python -m syncrollout.runtime.metrics_page", description=main.__doc__)
    add_choice(parser, PAGE)
    return carry_out(parser.parse_args(arguments), PAGE, markdown(), source="the metrics say")


if __name__ == "__main__":
    sys.exit(main())
