"""`vectrue status`: are the vectors true? Arguments and printing only."""

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import typer

from connectors.clock import SystemClock
from connectors.postgres.audit import coverage
from connectors.postgres.audit.textless import fill
from connectors.postgres.search import quality
from schemas.errors import ConfigurationError
from schemas.health.canary import judge, to_json
from schemas.health.lag_findings import DEFAULT_THRESHOLDS
from schemas.health.lag_report import witnessed
from schemas.health.severity import Finding, Severity
from schemas.health.witness import Witness
from schemas.reports.coverage import Coverage, Textless, verdict
from schemas.reports.quality import Quality
from streams.cli.arguments import open_session
from streams.cli.formatting import duration, heading, milliseconds, number
from streams.cli.screen.output import (
    Format,
    OutputOption,
    err,
    out,
    print_json,
    print_warning,
)
from streams.cli.screen.tables import Grid
from streams.migration import replays
from streams.operations.witness import examine

COLUMNS = (
    "rows",
    "current",
    "missing",
    "stale_text",
    "stale_model",
    "blank",
    "quarantined",
    "unreadable",
)


def status(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Count, for every table, the rows whose vector is true and those whose vector is
    not.

    current: hash and model match, and the vector is the one written with them; missing:
    text but no vector; stale_text: of an older text, or another vector than was
    written; stale_model: by another model; blank: no text, so no vector; quarantined:
    the model cannot take the text, or the table refuses the write; unreadable: Postgres
    cannot make the text, since its expression raises an error for that row. Every row
    is counted.

    A warning names rows that have content and no text, because their text is NULL where
    one of its columns is, and the expression to use instead: they are blank, and no
    search finds them. A text that is '' is intended.

    The verdict is that of the count and of the witness: whether the canary comes back,
    so that changes arrive, the slot moves, all tables were looked at, and everything
    configured exists.

    Below are the last figures of judged queries, if any were asked: `vectrue quality`.

    The tables are those of these settings. A table that cannot be counted is named, and
    the others are counted: the database keeps it by another text or not at all, or it
    was dropped. Tables that another settings file has kept here are named.

    Exit code: 0; 1 if the witness reports something critical, such as a canary that
    does not come back; 78 if a table cannot be counted.
    """
    settings = ctx.obj()
    session = open_session(settings, "status")
    seen, known = coverage.look(session, settings), quality.last(session)
    refused = list(seen.unseen.values())
    # Where no table could be counted, the first reason is the whole report.
    if refused and not seen.columns:
        raise refused[0]
    columns, textless = fill(session, seen.columns, seen.targets)
    witness = examine(session, settings, SystemClock())
    trouble = _trouble(witness)
    doubts = [f"{', '.join(seen.unseen)} could not be counted"] if refused else []
    critical = False
    for finding in trouble:
        doubts.append(finding.sentence)
        critical |= finding.severity is Severity.CRITICAL
    doubt = doubts[0] if doubts else None
    said = verdict(columns, doubt, replays.filling(session, columns))
    judged = _judged(columns, known)
    if output is Format.JSON:
        _print_json(seen, columns, judged, witness, said)
        _end(refused, critical=critical)
    out.print(counts(columns, wide=output is Format.WIDE))
    _print_below(seen, judged, textless)
    # The verdict below says the first doubt.
    for finding in trouble if refused else trouble[1:]:
        out.print(f"{finding.severity}: {finding.sentence}")
    is_true = columns and all(column.is_true for column in columns)
    style = "green" if is_true and not doubts and not textless else "yellow"
    out.print(said, style="red" if critical else style)
    _end(refused, critical=critical)


def _trouble(witness: Witness) -> list[Finding]:
    """Return what speaks against "all is well", worst first."""
    trouble: list[Finding] = []
    for finding in witnessed(witness):
        if finding.severity is not Severity.OK:
            trouble.append(finding)
    return trouble


def _print_json(
    seen: coverage.Seen,
    columns: Sequence[Coverage],
    judged: Sequence[Quality],
    witness: Witness,
    said: str,
) -> None:
    tables: list[dict[str, Any]] = []
    for column in columns:
        tables.append(column.to_json())
    figures: list[dict[str, Any]] = []
    for one in judged:
        figures.append(one.to_json())
    print_json(
        {
            "tables": tables,
            # Null where judged queries were never asked: an empty list would mean "found nothing".
            "quality": figures or None,
            "witness": _witness(witness),
            "verdict": said,
            "not_counted": _not_counted(seen),
            "others": list(seen.others),
        }
    )


def _print_below(
    seen: coverage.Seen, judged: Sequence[Quality], textless: Sequence[Textless]
) -> None:
    """Print what stands between the counts and the verdict."""
    for one in judged:
        out.print(_sentence(one))
    for found in textless:
        if found.sentence is not None:
            print_warning(found.sentence)
    if seen.others:
        out.print(f"also kept true here, not in these settings: {', '.join(seen.others)}")


def _judged(columns: Sequence[Coverage], known: Mapping[str, Quality]) -> list[Quality]:
    """Return the figures of each table, once for all of its columns."""
    judged = {}
    for column in columns:
        if column.table in known:
            judged[column.table] = known[column.table]
    return list(judged.values())


def _witness(witness: Witness) -> dict[str, Any]:
    canary = to_json(witness.canary, judge(witness.canary, DEFAULT_THRESHOLDS.crit))
    return {**witness.to_json(), "slot": witness.slot.to_json(), "canary": canary}


def _not_counted(seen: coverage.Seen) -> list[dict[str, Any]]:
    lost = []
    for table, error in seen.unseen.items():
        lost.append({"table": table, "error": error.message, "fix": error.fix})
    return lost


def _end(refused: Sequence[ConfigurationError], *, critical: bool) -> NoReturn:
    """Leave with the worst exit code; the last reason is printed as every error is."""
    for error in refused[1:]:
        err.print(str(error))
    if refused:
        raise refused[0]
    raise typer.Exit(1 if critical else 0)


def counts(columns: Sequence[Coverage], *, wide: bool) -> Grid:
    """Lay out a row for each column.

    Args:
        columns: what was counted.
        wide: whether to show everything; else a narrow screen leaves out what is 0,
            then the model.
    """
    headings = list(map(heading, COLUMNS))
    table = Grid(
        "TABLE",
        "COLUMN",
        "MODEL",
        *headings,
        # The first two, all rows and the current ones, are shown even when they are 0.
        zeros=headings[2:],
        last=("MODEL", "COLUMN"),
        wide=wide,
    )
    for column in columns:
        figures = [number(getattr(column, name)) for name in COLUMNS]
        table.add_row(column.table, column.column, column.model, *figures)
    return table


def _sentence(known: Quality) -> str:
    run, before = known.last, known.before
    figures = ", ".join(f"{name} {value:.3f}" for name, value in run.measures.items())
    was = f"; {before.ndcg:.3f} with {before.model}" if before else ""
    return (
        f"judged queries of {run.table}: {figures}{was} ({run.queries:,} queries, p95 "
        f"{milliseconds(run.p95_seconds)}, {duration(known.age_seconds)} ago)"
    )
