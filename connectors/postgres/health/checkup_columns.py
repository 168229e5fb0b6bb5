"""What `vectrue doctor` says of a vector column and its indexes."""

from collections.abc import Iterator

from connectors.postgres import catalog
from connectors.postgres.rows import lengths
from connectors.postgres.rows.lengths import Column
from connectors.postgres.session import Session
from schemas.errors import HiddenRows
from schemas.health.check_result import CheckResult, ok, problem, warning
from schemas.rows.target import Target
from schemas.settings.sections import TableSettings

_MANY_ROWS = 50_000
"""With fewer, comparing all is quick: 500,000 vectors of 64 numbers took 0.25 s on two
busy cores.
"""
_LONGEST_INDEXED = 2_000
"""pgvector's limit for an index on the type vector."""


def look(session: Session, table: TableSettings, made: tuple[str, int]) -> Iterator[CheckResult]:
    """Declared length, the length of what rows hold, what the model makes, and the next
    command where they differ.

    Args:
        session: any connection that may read the table.
        table: its settings.
        made: name of the settings' model, and how many dimensions its vectors have.

    Raises:
        ConfigurationError: there is no such table.
    """
    info = catalog.inspect(session, table.table)
    check = f"dimensions of {table.name}.{table.column}"
    column = info.columns.get(table.column)
    if column is None or "vector" not in column["type"] or not info.primary_key:
        return  # which the table's own line says
    target = catalog.target_of(info, table, model="", dimensions=int(column["typmod"]))
    try:
        seen = lengths.read(session, target, made)
    except HiddenRows:
        return  # likewise
    fix, sentence = seen.lengths.fix, seen.lengths.sentence
    if fix is None:
        yield ok(check, sentence)
    else:
        yield (warning if seen.lengths.behind or seen.lengths.ahead else problem)(
            check, sentence, fix
        )
    yield from _indexes(f"index on {table.name}.{table.column}", seen, info.estimated_rows, target)


def _indexes(check: str, seen: Column, rows: int, target: Target) -> Iterator[CheckResult]:
    """Valid, building, broken or missing, and whether a search can use it."""
    for index in seen.indexes:
        name = index["name"]
        if index["valid"] or index["framed"]:
            continue
        if index["building"]:
            yield warning(
                check,
                f"{name} is being built: no search uses it yet",
                "vectrue migrate status, or wait",
            )
        else:
            yield warning(
                check,
                f"{name} is INVALID: it costs every write and serves no search",
                f"DROP INDEX CONCURRENTLY {name}, or REINDEX INDEX CONCURRENTLY {name}",
            )
    frames = [
        str(index["name"]) for index in seen.indexes if index["framed"] and not index["valid"]
    ]
    if frames and all(index["valid"] or index["framed"] for index in seen.indexes):
        said = f"{', '.join(frames)} is unfinished: not every partition has its part of it"
        yield warning(check, said, "vectrue migrate index, or build the parts and ATTACH them")
    valid = [index for index in seen.indexes if index["valid"]]
    some = [str(index["name"]) for index in valid if index["partial"]]
    serving = [str(index["name"]) for index in valid if index["cosine"] and not index["partial"]]
    others = [str(index["name"]) for index in valid if not index["cosine"] and not index["partial"]]
    if serving:
        yield ok(check, f"{', '.join(serving)} {'is' if len(serving) == 1 else 'are'} valid")
    elif frames:
        return  # its parts serve, as far as they are there
    elif others or rows >= _MANY_ROWS:
        said = f"{', '.join(others)} is not by cosine distance" if others else "missing"
        yield warning(
            check,
            f"{said}: a search compares about {rows:,} rows",
            _create_index(target, seen.lengths.due),
        )
    elif some:
        yield ok(
            check,
            (
                f"{', '.join(some)} {'is' if len(some) == 1 else 'are'} valid, for searches of "
                "some "
                "rows"
            ),
        )
    elif not seen.indexes:
        yield ok(check, "missing, which does for so few rows: a search compares every row")


def _create_index(target: Target, length: int | None) -> str:
    if length is not None and length > _LONGEST_INDEXED:
        return (
            f"an HNSW index takes {_LONGEST_INDEXED:,} dimensions at most; index the column "
            "cast to halfvec"
        )
    return f'CREATE INDEX CONCURRENTLY ON {target.table} USING hnsw ("{target.column}" vector_cosine_ops)'
