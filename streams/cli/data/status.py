"""`vectrue status`: are the vectors true? Arguments and printing only."""

from collections.abc import Sequence
from typing import Any, NoReturn

import typer

from connectors.clock import SystemClock
from connectors.postgres.audit import coverage
from connectors.postgres.audit.textless import fill
from connectors.postgres.search import quality
from connectors.postgres.session import Session
from schemas.errors import ConfigurationError
from schemas.health.canary import judge, to_json
from schemas.health.lag_findings import DEFAULT_THRESHOLDS
from schemas.health.lag_report import witnessed
from schemas.health.severity import Severity
from schemas.reports.coverage import Coverage, verdict
from schemas.reports.quality import Quality
from streams.cli.screen.output import Format, OutputOption, err, number, out, print_json, seconds
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
    cannot make the text, since its expression raises an error for that row. Counts
    every row.

    A warning names rows that have content and no text, since their text is NULL where
    one of its columns is, and what to write: they are blank, and no search finds them.
    A text that is '' is meant so.

    The verdict is that of the count and of the witness: whether the canary comes back,
    so that changes arrive, the slot moves, all tables were looked at, and what is
    configured is there.

    Below stand the last figures of judged queries, where some were ever asked: `vectrue
    quality`.

    The tables are those of these settings. One that cannot be counted is named, and the
    others are counted: the database keeps it by another text or not at all, or it is
    gone. Tables that another file has kept here are named.

    Exit code: 0; 1 where the witness says that something critical is wrong, as a canary
    that does not come back; 78 where a table cannot be counted.
    """
    settings = ctx.obj()
    session = Session(settings.postgres.dsn, role="status", prefix=settings.kafka.topic_prefix)
    seen, known = coverage.look(session, settings), quality.last(session)
    refused = list(seen.unseen.values())
    if refused and not seen.columns:
        raise refused[0]
    columns, textless = fill(session, seen.columns, seen.targets)
    witness = examine(session, settings, SystemClock())
    trouble = [finding for finding in witnessed(witness) if finding.severity is not Severity.OK]
    doubts = [f"{', '.join(seen.unseen)} could not be counted"] if refused else []
    doubts += [finding.sentence for finding in trouble]
    said = verdict(columns, doubts[0] if doubts else None, replays.filling(session, columns))
    critical = any(finding.severity is Severity.CRITICAL for finding in trouble)
    judged = [
        known[name] for name in dict.fromkeys(column.table for column in columns) if name in known
    ]
    if output is Format.JSON:
        tables = [column.to_json() for column in columns]
        figures = [one.to_json() for one in judged] or None
        slot = witness.slot.to_json()
        witnesses = {
            **witness.to_json(),
            "slot": slot,
            "canary": to_json(witness.canary, judge(witness.canary, DEFAULT_THRESHOLDS.crit)),
        }
        print_json(
            {
                "tables": tables,
                "quality": figures,
                "witness": witnesses,
                "verdict": said,
                **_beside(seen),
            }
        )
        _end(refused, critical=critical)
    out.print(counts(columns, wide=output is Format.WIDE))
    for one in judged:
        out.print(_sentence(one), soft_wrap=True)
    for found in textless:
        out.print(f"warning: {found.sentence}", style="yellow", soft_wrap=True)
    if seen.others:
        out.print(
            f"also kept true here, not in these settings: {', '.join(seen.others)}", soft_wrap=True
        )
    for finding in trouble if refused else trouble[1:]:
        out.print(f"{finding.severity}: {finding.sentence}", soft_wrap=True)
    true = columns and all(column.is_true for column in columns) and not doubts and not textless
    out.print(said, style="red" if critical else "green" if true else "yellow", soft_wrap=True)
    _end(refused, critical=critical)


def _beside(seen: coverage.Seen) -> dict[str, Any]:
    lost = [
        {"table": table, "error": error.message, "fix": error.fix}
        for table, error in seen.unseen.items()
    ]
    return {"not_counted": lost, "others": list(seen.others)}


def _end(refused: Sequence[ConfigurationError], *, critical: bool) -> NoReturn:
    """Leave with the exit code of the worst; what keeps a table from being counted is
    said as every error is.
    """
    for error in refused[1:]:
        err.print(str(error), soft_wrap=True)
    if refused:
        raise refused[0]
    raise typer.Exit(1 if critical else 0)


def counts(columns: Sequence[Coverage], *, wide: bool) -> Grid:
    """A row for each column; a narrow screen leaves out what is 0, then the model,
    unless `wide`.
    """
    heads = [name.upper().replace("_", "-") for name in COLUMNS]
    table = Grid(
        "TABLE", "COLUMN", "MODEL", *heads, zeros=heads[2:], last=("MODEL", "COLUMN"), wide=wide
    )
    for column in columns:
        table.add_row(
            column.table,
            column.column,
            column.model,
            *(number(getattr(column, name)) for name in COLUMNS),
        )
    return table


def _sentence(known: Quality) -> str:
    run, before = known.last, known.before
    figures = ", ".join(f"{name} {value:.3f}" for name, value in run.measures.items())
    was = f"; {before.ndcg:.3f} with {before.model}" if before else ""
    return (
        f"judged queries of {run.table}: {figures}{was} ({run.queries:,} queries, p95 "
        f"{1000 * run.p95_seconds:.0f} ms, "
        f"{seconds(known.age_seconds)} ago)"
    )
