"""`vectrue search`: arguments and printing only; the work is in streams/search."""

from typing import Annotated

import typer

from schemas.printable import beginning
from schemas.reports.search import MOST_HITS, SearchRequest, SearchResult
from streams.cli.arguments import open_session
from streams.cli.formatting import duration, key
from streams.cli.screen.output import Format, OutputOption, err, out, print_json
from streams.cli.screen.tables import Grid
from streams.search.search import Search


def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="what to look for")],
    table: Annotated[
        list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")
    ] = None,
    limit: Annotated[
        int, typer.Option("--limit", "-n", min=1, max=MOST_HITS, help="most rows shown")
    ] = 5,
    min_similarity: Annotated[
        float | None,
        typer.Option(
            "--min-similarity", min=-1, max=1, help="leave out rows less similar than this"
        ),
    ] = None,
    where: Annotated[
        str | None,
        typer.Option("--where", help="only rows that meet this SQL condition; cannot write"),
    ] = None,
    exact: Annotated[bool, typer.Option("--exact", help="compare every row; use no index")] = False,
    ef_search: Annotated[
        int | None,
        typer.Option(
            "--ef-search",
            min=1,
            max=MOST_HITS,
            help="candidates HNSW keeps: more finds more, slower",
        ),
    ] = None,
    output: OutputOption = Format.TABLE,
) -> None:
    """Find the rows whose text is nearest to TEXT, by cosine similarity of their
    vectors.

    The query is embedded by the model that made the vectors; rows without a vector of
    that model are not searched, and stderr says so. AGE is that of the vector; `*`
    marks one made from an older text, which will be replaced.

    If a condition leaves too few rows of an index, the scan continues, and in the end
    every row is compared.

    For example:

        vectrue search "파이썬 멀티스레딩"
        vectrue search "트랜잭션 격리" -t public.questions --where "category = '데이터베이스'"
        vectrue search "GIL" --min-similarity 0.8 -o json
    """
    request = SearchRequest(
        text, tuple(table or ()), limit, min_similarity, where, exact, ef_search
    )
    settings = ctx.obj()
    found = Search(settings, open_session(settings, "search")).find(request)
    # Its hits look like those of a model, and are not.
    if any(model.startswith("lexical@") for model in found.models):
        err.print("lexical stand-in: finds texts that share words, not meanings")
    # On stderr, so that the hits alone are on stdout.
    for warning in found.warnings:
        err.print(f"warning: {warning}")
    if output is Format.JSON:
        print_json({"query": text, **found.to_json()})
    else:
        _print(found)


def _print(found: SearchResult) -> None:
    if not found.hits:
        err.print("nothing was found")
        return
    shown = Grid("SIMILARITY", "TABLE", "KEY", "AGE", "TEXT")
    for hit in found.hits:
        age = duration(hit.age_seconds)
        if not hit.is_current:
            age += " *"
        similarity = f"{hit.similarity:.4f}"
        shown.add_row(similarity, hit.table, key(hit.key), age, beginning(hit.text))
    out.print(shown)
