"""What `vectrue doctor` says of a vector column and its indexes.

Hazard: an index that is being built, or is broken, costs every write and serves no
search.
"""

from collections.abc import Iterator, Sequence

from connectors.postgres import catalog
from connectors.postgres.rows import lengths
from connectors.postgres.rows.lengths import Column
from connectors.postgres.session import Session
from schemas.errors import HiddenRows
from schemas.health.check_result import CheckResult, ok, problem, warning
from schemas.rows.target import Target
from schemas.settings.sections import TableSettings

_MANY_ROWS = 50_000
"""With fewer, comparing all is quick.

500,000 vectors of 64 numbers took 0.25 s on two busy cores.
"""
_LONGEST_INDEXED = 2_000
"""pgvector's limit for an index on the type vector."""


def look(session: Session, table: TableSettings, made: tuple[str, int]) -> Iterator[CheckResult]:
    """Compare the declared length with the rows' and the model's; look at the indexes.

    Args:
        session: any connection that may read the table.
        table: its settings.
        made: name of the settings' model, and how many dimensions its vectors have.

    Raises:
        ConfigurationError: the table does not exist.
    """
    info = catalog.inspect(session, table.table)
    check = f"dimensions of {table.name}.{table.column}"
    column = info.columns.get(table.column)
    # The table's own line says what is missing, and whether rows are hidden.
    if column is None or "vector" not in column["type"] or not info.primary_key:
        return
    target = catalog.target_of(info, table, model="", dimensions=int(column["typmod"]))
    try:
        seen = lengths.read(session, target, made)
    except HiddenRows:
        return
    found = seen.lengths
    if found.fix is None:
        yield ok(check, found.sentence)
    elif found.behind or found.ahead:
        yield warning(check, found.sentence, found.fix)
    else:
        yield problem(check, found.sentence, found.fix)
    yield from _indexes(f"index on {table.name}.{table.column}", seen, info.estimated_rows, target)


def _indexes(check: str, seen: Column, rows: int, target: Target) -> Iterator[CheckResult]:
    """Valid, building, broken or missing, and whether a search can use it."""
    frames: list[str] = []
    some: list[str] = []
    serving: list[str] = []
    others: list[str] = []
    for index in seen.indexes:
        name = str(index["name"])
        if not index["valid"]:
            frames += [name] if index["framed"] else []
        elif index["partial"]:
            some.append(name)
        elif index["cosine"]:
            serving.append(name)
        else:
            others.append(name)
    yield from _unfinished(check, seen, frames)
    if serving:
        yield ok(check, f"{_are(serving)} valid")
    elif frames:
        return  # its parts serve, as far as they are there
    elif others or rows >= _MANY_ROWS:
        said = f"{', '.join(others)} is not by cosine distance" if others else "missing"
        said = f"{said}: a search compares about {rows:,} rows"
        yield warning(check, said, _create_index(target, seen.lengths.due))
    elif some:
        yield ok(check, f"{_are(some)} valid, for searches of some rows")
    elif not seen.indexes:
        yield ok(check, "missing, which does for so few rows: a search compares every row")


def _unfinished(check: str, seen: Column, frames: Sequence[str]) -> Iterator[CheckResult]:
    is_whole = True
    for index in seen.indexes:
        if not index["valid"] and not index["framed"]:
            is_whole = False
            yield _unusable(check, index["name"], is_building=index["building"])
    if frames and is_whole:
        said = f"{', '.join(frames)} is unfinished: not every partition has its part of it"
        yield warning(check, said, "vectrue migrate index, or build the parts and ATTACH them")


def _unusable(check: str, name: str, *, is_building: bool) -> CheckResult:
    if is_building:
        said = f"{name} is being built: no search uses it yet"
        return warning(check, said, "vectrue migrate status, or wait")
    return warning(
        check,
        f"{name} is INVALID: it costs every write and serves no search",
        f"DROP INDEX CONCURRENTLY {name}, or REINDEX INDEX CONCURRENTLY {name}",
    )


def _are(names: Sequence[str]) -> str:
    return f"{', '.join(names)} {'is' if len(names) == 1 else 'are'}"


def _create_index(target: Target, length: int | None) -> str:
    if length is not None and length > _LONGEST_INDEXED:
        return (
            f"an HNSW index takes {_LONGEST_INDEXED:,} dimensions at most; index the column "
            "cast to halfvec"
        )
    return (
        f"CREATE INDEX CONCURRENTLY ON {target.table} USING hnsw "
        f'("{target.column}" vector_cosine_ops)'
    )
