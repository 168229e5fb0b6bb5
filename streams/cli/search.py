"""`embedsync search`: arguments and printing only; the work is in streams/search.py."""

from typing import Annotated

import typer
from rich.table import Table

from connectors.postgres.session import Session
from streams.cli.output import Format, OutputOption, err, out, print_json
from streams.search import Search


def search(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="what to look for")],
    table: Annotated[list[str] | None, typer.Option("--table", "-t", help="only this table; may be repeated")] = None,
    limit: Annotated[int, typer.Option("--limit", "-n", min=1, max=1000, help="most rows shown")] = 5,
    output: OutputOption = Format.TABLE,
) -> None:
    """Find the rows whose text is nearest to TEXT, by cosine similarity of their vectors.

    The query is embedded by the model that made the vectors; rows without a vector of that model are not searched.

    Example: embedsync search "파이썬 멀티스레딩"
    """
    settings = ctx.obj()
    searching = Search(settings, Session(settings.postgres.dsn, role="search"))
    hits = searching.find(text, tables=table or [], limit=limit)
    if output is Format.JSON:
        print_json({"model": ", ".join(searching.models), "query": text, "hits": [hit.to_json() for hit in hits]})
        return
    if any(model.startswith("lexical@") for model in searching.models):
        err.print("lexical stand-in: finds texts that share words, not meanings")
    shown = Table("SIMILARITY", "TABLE", "KEY", "TEXT", box=None)
    for hit in hits:
        shown.add_row(f"{hit.similarity:.4f}", hit.table, ",".join(hit.key), " ".join(hit.text.split())[:100])
    out.print(shown)
