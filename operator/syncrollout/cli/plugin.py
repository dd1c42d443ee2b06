"""The kubectl plugin: `kubectl syncrollout ...`. Each command has a module of its own."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from syncrollout import __version__
from syncrollout.cli import completion
from syncrollout.cli.answers import FAILED, Ended, Failed
from syncrollout.cli.approving import approve, skip
from syncrollout.cli.backtest import backtest
from syncrollout.cli.checking import attest, checklist_of
from syncrollout.cli.diagnosing import diagnosed
from syncrollout.cli.explaining import explain_decision
from syncrollout.cli.history import history
from syncrollout.cli.holding import hold, resume
from syncrollout.cli.incident import report_incident
from syncrollout.cli.init import init
from syncrollout.cli.listing import list_rollouts
from syncrollout.cli.looking import alerts, dashboards
from syncrollout.cli.migrating import migrate_storage
from syncrollout.cli.notifying import ack, notify
from syncrollout.cli.planning import plan
from syncrollout.cli.record import record
from syncrollout.cli.reporting import answer, report
from syncrollout.cli.status import status
from syncrollout.cli.validating import validate
from syncrollout.cli.verbs import decide, drill, override, retry, rollback

app = typer.Typer(
    help="What a SyncRollout does, and what is asked of it, from the command line.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; answers its exit code. Wrong use is 1, for 2 is what a backtest that rolls back ends with."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    try:
        asked = os.environ.get(completion.VARIABLE)
        if asked:
            # The same commands, in an app that answers shells: typer teaches no other how.
            answering = typer.Typer(add_completion=True, rich_markup_mode=None, help=app.info.help)
            answering.registered_commands = app.registered_commands
            answering(given, prog_name=completion.PROGRAM, complete_var=completion.VARIABLE)
        app(given, prog_name="kubectl syncrollout")
    except Ended as ended:
        return ended.code
    except Failed as error:
        sys.stderr.write(f"{error}\n")
        return FAILED
    except SystemExit as ended:
        return FAILED if ended.code else 0
    return 0


@app.command()
def version() -> None:
    """Say which version this is."""
    typer.echo(f"kubectl-syncrollout {__version__}")


app.command("list")(list_rollouts)
app.command("checklist")(checklist_of)
app.command("diagnose")(diagnosed)
app.command("completion")(completion.completion)
for command in (
    status,
    explain_decision,
    history,
    plan,
    validate,
    backtest,
    rollback,
    retry,
    override,
    decide,
    approve,
    hold,
    resume,
    skip,
    drill,
    ack,
    attest,
    report,
    answer,
    report_incident,
    alerts,
    record,
    init,
    dashboards,
    notify,
    migrate_storage,
):
    app.command()(command)


__all__ = ["app", "main"]
