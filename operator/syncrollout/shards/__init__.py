"""For sync workers: which keys are mine? Standard library only. docs/workers.md has examples, docs/shard-protocol.md
what it rests on.

shards = Shards.from_env()
for key in keys():
    with suppress(NotOwned), shards.item(key) as item:
        sync(key, write=not item.dry_run)
"""

from syncrollout.shards.assignment import SLOTS, Assignment, BadAssignment, Mode, Side, slot
from syncrollout.shards.exposition import MetricsServer, feed, metrics, serve
from syncrollout.shards.watcher import Item, NotOwned, Shards

__all__ = [
    "SLOTS",
    "Assignment",
    "BadAssignment",
    "Item",
    "MetricsServer",
    "Mode",
    "NotOwned",
    "Shards",
    "Side",
    "feed",
    "metrics",
    "serve",
    "slot",
]
