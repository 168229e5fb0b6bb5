"""`embedsync status`: are the vectors true? Arguments and printing only."""

import typer
from rich.table import Table

from connectors.clock import SystemClock
from connectors.postgres import coverage, quality
from connectors.postgres.session import Session
from schemas.canary import judge, to_json
from schemas.coverage import verdict
from schemas.quality import Quality
from schemas.severity import Severity
from schemas.verdict import DEFAULT_THRESHOLDS, witnessed
from streams.cli.output import Format, OutputOption, number, out, print_json, seconds
from streams.witness import examine

COLUMNS = ("rows", "current", "missing", "stale_text", "stale_model", "blank", "quarantined", "unreadable")


def status(ctx: typer.Context, output: OutputOption = Format.TABLE) -> None:
    """Count, for every table, the rows whose vector is true and those whose vector is not.

    current: hash and model match, and the vector is the one written with them; missing: text but no vector; stale_text:
    of an older text, or another vector than was written; stale_model: by another model; blank: no text, so no vector;
    quarantined: the model cannot take the text, or the table refuses the write; unreadable: Postgres cannot make the
    text, since its expression raises an error for that row. Counts every row.

    The verdict is that of the count and of the witness: whether the canary comes back, so that changes arrive, the
    slot moves, all tables were looked at, and what is configured is there.

    Below stand the last figures of judged queries, where some were ever asked: `embedsync quality`.

    Exit code: 0; 1 where the witness says that something critical is wrong, as a canary that does not come back.
    """
    settings = ctx.obj()
    session = Session(settings.postgres.dsn, role="status", prefix=settings.kafka.topic_prefix)
    columns, known = coverage.read(session, settings), quality.last(session)
    witness = examine(session, settings, SystemClock())
    trouble = [finding for finding in witnessed(witness) if finding.severity is not Severity.OK]
    said = verdict(columns, trouble[0].sentence if trouble else None)
    critical = any(finding.severity is Severity.CRITICAL for finding in trouble)
    judged = [known[name] for name in dict.fromkeys(column.table for column in columns) if name in known]
    if output is Format.JSON:
        tables = [column.to_json() for column in columns]
        figures = [one.to_json() for one in judged] or None
        slot = witness.slot.to_json()
        seen = {
            **witness.to_json(),
            "slot": slot,
            "canary": to_json(witness.canary, judge(witness.canary, DEFAULT_THRESHOLDS.crit)),
        }
        print_json({"tables": tables, "quality": figures, "witness": seen, "verdict": said})
        raise typer.Exit(1 if critical else 0)
    table = Table("TABLE", "COLUMN", "MODEL", *(name.upper().replace("_", "-") for name in COLUMNS), box=None)
    for column in columns:
        table.add_row(column.table, column.column, column.model, *(number(getattr(column, name)) for name in COLUMNS))
    out.print(table)
    for one in judged:
        out.print(_sentence(one), soft_wrap=True)
    for finding in trouble[1:]:
        out.print(f"{finding.severity}: {finding.sentence}", soft_wrap=True)
    true = columns and all(column.is_true for column in columns) and not trouble
    out.print(said, style="red" if critical else "green" if true else "yellow", soft_wrap=True)
    raise typer.Exit(1 if critical else 0)


def _sentence(known: Quality) -> str:
    run, before = known.last, known.before
    figures = ", ".join(f"{name} {value:.3f}" for name, value in run.measures.items())
    was = f"; {before.ndcg:.3f} with {before.model}" if before else ""
    return (
        f"judged queries of {run.table}: {figures}{was} ({run.queries:,} queries, p95 {1000 * run.p95_seconds:.0f} ms, "
        f"{seconds(known.age_seconds)} ago)"
    )
