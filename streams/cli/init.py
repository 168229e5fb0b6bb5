"""`vectrue init`: set everything up. Arguments and printing only."""

import sys
from dataclasses import asdict
from typing import Annotated

import typer

from connectors.clock import SystemClock
from connectors.kafka import rights
from connectors.models import open_model
from streams.cli.screen.output import (
    Format,
    OutputOption,
    confirm,
    err,
    number,
    out,
    print_exactly,
    print_json,
    styled,
)
from streams.cli.screen.tables import Grid
from streams.setup import init as setup
from streams.setup.init_report import InitReport
from streams.setup.takeover import Agree


def init(
    ctx: typer.Context,
    print_sql: Annotated[
        bool,
        typer.Option(
            "--print-sql",
            help="print what would be done in the database, for a DBA; change nothing",
        ),
    ] = False,
    print_acls: Annotated[
        bool,
        typer.Option(
            "--print-acls", help="print the rights that Kafka must grant, by role; change nothing"
        ),
    ] = False,
    yes: Annotated[
        bool,
        typer.Option(
            "--yes", "-y", help="take tables or a connector from what is at work, and do not ask"
        ),
    ] = False,
    output: OutputOption = Format.TABLE,
) -> None:
    """Set up the database, the topics and the connector for the configured tables.

    Can be run at any time and again: it makes what is missing and says what it changed.
    It rewrites no table, and no DDL statement waits longer for a lock than
    postgres.lock_timeout_seconds.

    What would take something away from what is at work is named first, and asked;
    without a terminal it is refused unless --yes is given: a table that the settings do
    not list any more, the connector of another database.

    In Postgres: the schema `vectrue`, three columns beside each vector, a publication
    of the key columns, a slot. In Kafka: one topic per table, and those of the lanes.
    In Kafka Connect: the Debezium connector, which runs when this returns.
    """
    settings = ctx.obj()
    if print_acls:
        print_exactly(rights.script(settings))
        return
    embedder = open_model(settings.model)
    if print_sql:
        script, notices = setup.print_sql(settings, embedder, _agree(yes=yes))
        print_exactly(script)
        _notices(notices)
        return
    report = setup.run(settings, embedder, SystemClock(), _done, _agree(yes=yes))
    _notices(report.notices)
    if output is Format.JSON:
        tables = [{**asdict(table), "lacking": table.lacking} for table in report.tables]
        print_json({"changed": report.changed, "notices": report.notices, "tables": tables})
        return
    if not report.changed:
        err.print("already in place: nothing was changed")
    _tables(report)


def _agree(*, yes: bool) -> Agree:
    def agree(what: str) -> bool:
        if yes:
            err.print(f"notice: {what} (--yes)", soft_wrap=True)
            return True
        return sys.stdin.isatty() and confirm(f"{what}. Go on?")

    return agree


def _done(line: str) -> None:
    err.print(f"done: {line}", soft_wrap=True)


def _notices(notices: tuple[str, ...]) -> None:
    for notice in notices:
        err.print(styled("notice:", "yellow"), notice, soft_wrap=True)


def _tables(report: InitReport) -> None:
    table = Grid("TABLE", "COLUMN", "MODEL", "ROWS", "CURRENT", "LACKING")
    for line in report.tables:
        figures = (number(line.rows), number(line.current), number(line.lacking))
        table.add_row(line.table, line.column, line.model, *figures)
    out.print(table)
    for sentence in report.lacking:
        out.print(sentence, soft_wrap=True)
