"""``python -m demo.jobs backup|check|restore|test-sync``: what is run before a rollout, and in the steps of a rollback.

The exit code is 0 where all is well, 1 where there is damage (or the test sync did not agree), 2 where the work could
not be done. The last line that is printed says what came of it; it is also the container's termination message.
"""

from __future__ import annotations

import argparse
import os
import sqlite3
import sys
from collections.abc import Mapping
from pathlib import Path

from demo.jobs import check, restore, trial
from demo.jobs.window import Unusable, Window
from demo.services.spreadsheet import read_sheet
from demo.services.store import Backup, Store
from demo.workspace import Workspace

TERMINATION_LOG = "/dev/termination-log"


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m demo.jobs", description=__doc__)
    parser.add_argument("--data", type=Path, help="the folder of the data; default $LISTINGS_DATA, else /data")
    works = parser.add_subparsers(dest="work", required=True)
    works.add_parser("backup", help="copy the database, as a rollout must find it done")
    works.add_parser("check", help="look for damage")
    mends = works.add_parser("restore", help="undo what the new system did since the rollout began")
    mends.add_argument("--leave", action="append", default=[], metavar="ID", help="a listing that is left as it is")
    mends.add_argument("--pace", type=float, default=0.05, help="seconds left to other writers between two chunks")
    tries = works.add_parser("test-sync", help="sync some listings in dry-run, and compare")
    tries.add_argument("--items", type=int, default=10)
    tries.add_argument("--patience", type=float, default=10.0, help="seconds that the old system has to catch up")
    return parser


def main(argv: list[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    args = build_parser().parse_args(argv)
    data = Workspace(args.data or Path(environ.get("LISTINGS_DATA") or "/data"))
    try:
        code, said = _work(args, data, environ)
    except (Unusable, OSError, ValueError, sqlite3.Error) as error:
        code, said = 2, f"{args.work} could not be done: {error}"
    print(said, flush=True)
    last = Path(environ.get("TERMINATION_LOG") or TERMINATION_LOG)
    if last.exists():
        last.write_text(said, encoding="utf-8")
    return code


def _work(args: argparse.Namespace, data: Workspace, environ: Mapping[str, str]) -> tuple[int, str]:
    """Exit code, and what came of it in one line."""
    if not data.store.exists():
        raise Unusable(f"there is no database at {data.store}: is the volume mounted?")
    store = Store(data.store)
    try:
        if args.work == "backup":
            store.backup(data.backup)
            return 0, f"backed up: {len(Backup(data.backup).rows())} rows, to {data.backup.name}"
        if args.work == "test-sync":
            return trial.run(data.sheet, store, items=args.items, patience=args.patience)
        window = Window.of(environ)
        backup = Backup(data.backup)
        if args.work == "restore":
            return restore.run(store, backup, window, leave=frozenset(args.leave), pace=args.pace)
        return check.run(read_sheet(data.sheet), store, backup, window)
    finally:
        store.close()


if __name__ == "__main__":
    sys.exit(main())
