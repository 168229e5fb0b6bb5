"""`vectrue init`: set everything up. Arguments and printing only."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any

import typer

from connectors.clock import SystemClock
from connectors.kafka import rights
from connectors.models import open_model
from connectors.ports import Embedder
from schemas.errors import ConfigurationError
from schemas.settings.reading import Settings
from streams.cli.formatting import number
from streams.cli.screen.confirmation import (
    ConfirmationRequired,
    YesOption,
    can_ask,
    confirm,
)
from streams.cli.screen.output import (
    Format,
    OutputOption,
    err,
    out,
    print_exactly,
    print_json,
    styled,
)
from streams.cli.screen.tables import Grid
from streams.setup import init as setup
from streams.setup.init_report import InitReport


def init(
    ctx: typer.Context,
    print_sql: Annotated[
        bool,
        typer.Option(
            "--print-sql",
            help="print the SQL that would be run, for a DBA; change nothing",
        ),
    ] = False,
    print_acls: Annotated[
        bool,
        typer.Option(
            "--print-acls", help="print the ACLs that Kafka needs, by role; change nothing"
        ),
    ] = False,
    yes: YesOption = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Set up the database, the topics and the connector for the configured tables.

    It can be run at any time and again: it makes what is missing and prints what it
    changed. It rewrites no table, and no DDL statement waits longer for a lock than
    postgres.lock_timeout_seconds.

    It asks before it takes something from what is at work: a table that the settings no
    longer list, or the connector of another database. Without a terminal it is refused
    unless --yes is given.

    In Postgres: the schema `vectrue`, three columns beside each vector, a publication
    of the key columns, a slot. In Kafka: one topic per table, and those of the lanes.
    In Kafka Connect: the Debezium connector, which runs when this returns.
    """
    settings = ctx.obj()
    # Kafka's rights follow from the settings alone, so that no service is needed.
    if print_acls:
        print_exactly(rights.script(settings))
        return
    embedder = open_model(settings.model)
    consent = _Consent(yes=yes)
    try:
        if print_sql:
            _print_sql(settings, embedder, consent)
            return
        report = setup.run(settings, embedder, SystemClock(), _done, consent)
    except ConfigurationError as error:
        # Another exit code than a wrong setting: an option is missing.
        if consent.is_required:
            raise ConfirmationRequired(error.message, fix=error.fix) from error
        raise
    _print_notices(report.notices)
    if output is Format.JSON:
        tables: list[dict[str, Any]] = []
        for table in report.tables:
            # A property, which asdict() leaves out.
            tables.append({**asdict(table), "lacking": table.lacking})
        print_json({"changed": report.changed, "notices": report.notices, "tables": tables})
        return
    if not report.changed:
        err.print("already in place: nothing was changed")
    _print_tables(report)


class _Consent:
    """Answers what `init` asks before it takes something from what is at work.

    Args:
        yes: whether --yes was given.

    Attributes:
        is_required: whether something was refused because no terminal could be asked.
            The error of the refusal then names the ways out, --yes among them.
    """

    def __init__(self, *, yes: bool) -> None:
        self._yes = yes
        self.is_required = False

    def __call__(self, what: str) -> bool:
        if self._yes:
            err.print(f"notice: {what} (--yes)")
            return True
        if not can_ask():
            self.is_required = True
            return False
        return confirm(f"{what}. Go on?")


def _print_sql(settings: Settings, embedder: Embedder, consent: _Consent) -> None:
    script, notices = setup.print_sql(settings, embedder, consent)
    print_exactly(script)
    _print_notices(notices)


def _done(line: str) -> None:
    err.print(f"done: {line}")


def _print_notices(notices: Sequence[str]) -> None:
    for notice in notices:
        err.print(styled("notice:", "yellow"), notice)


def _print_tables(report: InitReport) -> None:
    table = Grid("TABLE", "COLUMN", "MODEL", "ROWS", "CURRENT", "LACKING")
    for line in report.tables:
        table.add_row(
            line.table,
            line.column,
            line.model,
            number(line.rows),
            number(line.current),
            number(line.lacking),
        )
    out.print(table)
    for sentence in report.lacking:
        out.print(sentence)
