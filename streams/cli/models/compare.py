"""`vectrue compare`: arguments and printing only; the work is in streams/evaluation."""

from pathlib import Path
from typing import Annotated

import typer

from connectors.clock import SystemClock
from connectors.models import by_name
from schemas import extras
from schemas.printable import beginning
from schemas.reports.comparison import Comparison
from schemas.settings.reading import Settings
from schemas.settings.sections import ModelSettings
from streams.cli.formatting import UNKNOWN
from streams.cli.screen.bars import counting_bars
from streams.cli.screen.output import Format, OutputOption, err, out, print_json
from streams.cli.screen.tables import Grid
from streams.evaluation import judged, measures
from streams.evaluation.compare import columns as compare_columns
from streams.evaluation.compare import models as compare_models
from streams.evaluation.compare import report as compare_report
from streams.evaluation.compare import words as compare_words
from streams.evaluation.compare.conclusion import Options


def compare(
    ctx: typer.Context,
    queries: Annotated[
        Path, typer.Option("--queries", "-q", metavar="FILE", help="judged queries, JSON Lines")
    ],
    a: Annotated[str | None, typer.Argument(metavar="A", help="a model: the old one")] = None,
    b: Annotated[str | None, typer.Argument(metavar="B", help="a model: the new one")] = None,
    columns: Annotated[
        bool,
        typer.Option(
            "--columns", help="instead of two models: the two columns of a running migration"
        ),
    ] = False,
    table: Annotated[
        str | None, typer.Option("--table", "-t", help="the table that the queries are judged on")
    ] = None,
    corpus: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="texts from a file instead of a table, JSON Lines"),
    ] = None,
    text_field: Annotated[
        str, typer.Option(help="with --corpus: the field that holds the text")
    ] = "text",
    k: Annotated[int, typer.Option("-k", min=1, max=measures.DEPTH, help="of recall@k")] = 10,
    seed: Annotated[
        int, typer.Option(min=0, max=2**31 - 1, help="of the resampling behind the intervals")
    ] = 0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", help="also write one self-contained page")
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Compare two models on judged queries: does B find more than A, and what does it
    cost?

    A and B are names as in model.name: lexical, multilingual-e5-small, BAAI/bge-m3, a
    folder; NAME:N sets the number of dimensions where the model leaves it open
    (lexical:256). Device, threads and batch size are those of [model]. --columns
    compares the old and the new column of a migration instead, as they are in the
    database. Nothing is written to the database.

    FILE has a line for each query: {"query": "...", "relevant": [17, 42], "kind":
    "typo"}. The ids are keys of the table, or of --corpus ({"id": 17, "text": "..."});
    figures are also split by kind, which may be left out. A query with "selected": true
    was kept because a model finds it, so it is not asked.

    Quality is that of exact search: recall@k, MRR and nDCG@10 with 95 % bootstrap
    intervals, and B - A paired by query. Cost is measured with each model in its own
    process, alternately: latency, texts per second, memory, bytes.

    For example:

        vectrue compare jhgan/ko-sroberta-multitask BAAI/bge-m3 -q queries.jsonl -t public.questions
        vectrue compare lexical multilingual-e5-small -q queries.jsonl --corpus questions.jsonl
        vectrue compare --columns -q queries.jsonl -t public.questions -o json | jq .verdict
    """
    _check(a, b, columns=columns, corpus=corpus, table=table)
    # What is missing is found before the models are loaded, which takes minutes.
    extras.require("ir_measures", what="`vectrue compare`")
    if html is not None:
        compare_report.require(html)
    settings: Settings = ctx.obj()
    asked = judged.read_queries(queries)
    options, clock = Options(k, seed), SystemClock()
    with counting_bars(transient=True) as tell:
        if columns:
            found = compare_columns.run(settings, table, asked, clock, options, tell)
        else:
            models = _models(settings, a or "", b or "")
            texts = _corpus(settings, table, corpus, text_field)
            found = compare_models.run(settings, models, asked, texts, clock, options, tell)
    if html is not None:
        compare_report.write(found, html)
        err.print(f"the report is in {html}")
    if output is Format.JSON:
        print_json(found.to_json())
    else:
        _print(found)


def _check(
    a: str | None, b: str | None, *, columns: bool, corpus: Path | None, table: str | None
) -> None:
    if columns and (a or corpus):
        raise typer.BadParameter(
            "the columns are those of the migration: leave A, B and --corpus out", param_hint="A"
        )
    if not columns and not b:
        raise typer.BadParameter("name two models, or give --columns", param_hint="A B")
    if corpus and table:
        raise typer.BadParameter(
            "the texts come from a file or from a table", param_hint="--corpus"
        )


def _models(settings: Settings, a: str, b: str) -> tuple[ModelSettings, ModelSettings]:
    return by_name.named(a, settings.model), by_name.named(b, settings.model)


def _corpus(
    settings: Settings, table: str | None, file: Path | None, field: str
) -> compare_models.Corpus:
    if file is None:
        return compare_models.from_table(settings, table)
    return compare_models.Corpus(judged.read_corpus(file, field), str(file))


def _print(found: Comparison) -> None:
    out.print(f"A  {found.a.name}")
    out.print(f"B  {found.b.name}")
    left_out = f"; {found.left_out} left out as selected" if found.left_out else ""
    out.print(f"{found.queries} judged queries on {found.corpus}{left_out}")
    out.print()
    for way in found.ways:
        _print_quality(found, way)
    cost = Grid("COST", "A", "B")
    for row in compare_words.system_rows(found):
        cost.add_row(*row)
    out.print(cost)
    _print_differing(found)
    out.print(compare_words.METHOD)
    for note in found.notes:
        out.print(f"note: {note}")
    # Yellow where the queries show no difference.
    out.print(found.verdict, style="green" if found.line().difference.sign else "yellow")


def _print_quality(found: Comparison, way: str) -> None:
    quality = Grid(f"{way.upper()} SEARCH", "QUERIES", "MEASURE", "A", "B", "B - A")
    for line in found.quality[way]:
        quality.add_row(
            line.group,
            str(line.queries),
            line.measure,
            compare_words.estimate(line.a),
            compare_words.estimate(line.b),
            compare_words.estimate(line.difference, signed=True),
        )
    out.print(quality)
    out.print()


def _print_differing(found: Comparison) -> None:
    if not found.differing:
        return
    most = Grid(
        "THE QUERIES THAT DIFFER MOST",
        "KIND",
        "RANK IN A",
        "RANK IN B",
        "FIRST IN A",
        "FIRST IN B",
    )
    for one in found.differing:
        most.add_row(
            one.query.text,
            one.query.kind or UNKNOWN,
            compare_words.rank(one.a_rank, found.depth),
            compare_words.rank(one.b_rank, found.depth),
            beginning(one.a_first or UNKNOWN),
            beginning(one.b_first or UNKNOWN),
        )
    out.print()
    out.print(most)
    out.print()
