"""`vectrue quality`: arguments and printing only; the work is in streams/evaluation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from connectors.clock import SystemClock
from connectors.postgres.search import quality as store
from schemas import extras
from schemas.errors import VectrueError
from schemas.reports.quality import K, Opinions, QualityRun
from schemas.rows.table import TableName
from schemas.settings.reading import Settings
from streams.cli.arguments import open_session
from streams.cli.formatting import milliseconds, number, percentage
from streams.cli.screen.bars import counting_bars
from streams.cli.screen.output import Format, OutputOption, err, out, print_exactly, print_json
from streams.cli.screen.tables import Grid
from streams.evaluation import quality as judging

app = typer.Typer(rich_markup_mode="markdown")

_TABLE = typer.Option("--table", "-t", help="only this table")


@app.callback(invoke_without_command=True)
def quality(
    ctx: typer.Context,
    table: Annotated[str | None, _TABLE] = None,
    queries: Annotated[
        Path | None,
        typer.Option("--queries", "-q", help="judged queries instead of those of the settings"),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="compare every row; use no index")] = False,
    min_ndcg: Annotated[
        float | None,
        typer.Option("--min-ndcg", min=0, max=1, help="exit 1 if nDCG@10 is below this"),
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Ask judged queries now, as a user would, and report how good the answers are.

    The settings name a file by table: `[quality.queries]`, `"public.questions" =
    "queries.jsonl"`. A line of it is `{"query": "...", "relevant": [17, 42]}`. `vectrue
    serve` asks them every `quality.every_seconds`; the figures go to its metrics and to
    `vectrue status`, as do those of this command, but not with `--queries` or
    `--exact`.

    WAY is how the rows were found: through an index, or by comparing every row.

    For example:

        vectrue quality
        vectrue quality --min-ndcg 0.7      exit 1 when searches have become worse
        vectrue quality -t public.questions -q examples/interview/queries.jsonl -o json
    """
    # Typer runs a callback before every subcommand.
    if ctx.invoked_subcommand is not None:
        return
    settings = ctx.obj()
    extras.require("ir_measures", what="`vectrue quality`")
    session = open_session(settings, "quality")
    exams = []
    for name, file in _files(settings, table, queries).items():
        exams.append(judging.prepare(settings, session, name, file, exact=exact))
    # Other queries, or a search without an index, would bend the line of figures.
    is_kept = queries is None and not exact
    if is_kept:
        # Before the queries are asked, which takes minutes.
        store.require(session, "quality_runs")
    with counting_bars("asking") as tell:
        runs = judging.run(settings, session, exams, SystemClock(), tell)
    for run in runs:
        if is_kept:
            store.keep(session, run)
        if run.gone:
            err.print(f"warning: {run.gone:,} judged rows are not in {run.table} any more")
    _print(runs, store.opinions(session), output)
    if min_ndcg is not None:
        _require_ndcg(runs, min_ndcg)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="the file to write; `-` is stdout")],
    table: Annotated[str | None, _TABLE] = None,
    force: Annotated[bool, typer.Option("--force", help="replace the file")] = False,
) -> None:
    """Write judged queries made of feedback: searches whose texts were logged, and the
    rows that people found useful.

    They know only rows that a search found: good for watching one model, unfair to
    another one in `vectrue compare`.

    Example: `vectrue quality export judged.jsonl`, with `serve.query_log = "text"` and
    clients that send `POST /feedback`.
    """
    settings = ctx.obj()
    if str(file) != "-" and file.exists() and not force:
        raise VectrueError(f"{file} exists", fix="choose another name, or add --force")
    name = _one_table(settings, table)
    session = open_session(settings, "quality")
    lines, left_out = judging.judged_from_feedback(session, name)
    text = "".join(f"{line}\n" for line in lines)
    if left_out:
        err.print(f"{left_out:,} searches are left out: only HMACs of their texts are kept")
    if str(file) == "-":
        print_exactly(text)
        return
    _write(file, text)
    err.print(f"{len(lines):,} judged queries of {name} are in {file}")


def _write(file: Path, text: str) -> None:
    try:
        file.write_text(text, encoding="utf-8")
    except OSError as error:
        raise VectrueError(
            f"{file} cannot be written ({error.strerror})", fix="choose another path"
        ) from error


def _require_ndcg(runs: Sequence[QualityRun], least: float) -> None:
    failed = False
    for run in runs:
        if run.ndcg < least:
            failed = True
            err.print(f"nDCG@{K} of {run.table} is {run.ndcg:.4f}, below {least:g}")
    if failed:
        raise typer.Exit(1)


def _files(settings: Settings, table: str | None, queries: Path | None) -> dict[str, Path]:
    """Return the files of judged queries by table."""
    if queries is not None:
        return {_one_table(settings, table): queries}
    wanted = None if table is None else str(TableName.parse(table))
    found = {}
    for name, file in settings.quality.queries.items():
        if wanted in (None, name):
            found[name] = Path(file)
    if not found:
        where = "any table" if wanted is None else f"table {wanted}"
        raise VectrueError(
            f"quality.queries names no judged queries for {where}",
            fix="set it, or give --queries FILE and --table TABLE",
        )
    return found


def _one_table(settings: Settings, table: str | None) -> str:
    if table is not None:
        return str(TableName.parse(table))
    # A table with several columns is configured several times.
    names: list[str] = []
    for one in settings.tables:
        if one.name not in names:
            names.append(one.name)
    if len(names) != 1:
        raise VectrueError(f"{len(names)} tables are configured", fix="choose one: --table TABLE")
    return names[0]


def _print(runs: Sequence[QualityRun], opinions: Sequence[Opinions], output: Format) -> None:
    if output is Format.JSON:
        tables: list[dict[str, Any]] = []
        for run in runs:
            tables.append(run.to_json())
        feedback: list[Mapping[str, Any]] = []
        for one in opinions:
            feedback.append(one.to_json())
        print_json({"tables": tables, "feedback": feedback})
        return
    headings = ("TABLE", "MODEL", "QUERIES", *runs[0].measures, "P50", "P95", "WAY")
    table = Grid(*headings, last=("MODEL",), wide=output is Format.WIDE)
    for run in runs:
        figures = [f"{value:.4f}" for value in run.measures.values()]
        times = (milliseconds(run.p50_seconds), milliseconds(run.p95_seconds))
        table.add_row(run.table, run.model, number(run.queries), *figures, *times, run.way)
    out.print(table)
    for one in opinions:
        share = percentage(one.share)
        out.print(f"feedback on {one.table}: {share} of {one.given:,} rows were useful")
