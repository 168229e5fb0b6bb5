"""What counts rows in the database, for people.

A function for each installation, made of the queries in vectrue.counted, and the view
vectrue.coverage over all of them.

Hazards:
- No command reads function or view, but counts the tables of its own settings by the
  same rule (coverage.py): a table that an application dropped makes the function of its
  installation fail, and the view with it.
- A settings file may list some of the tables of its installation (a migration of one
  table): lines of the tables that it does not list stay, unless they are named as
  leaving.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import lists, meaning, schema
from connectors.postgres.statement import Statement, render
from schemas.errors import ConfigurationError
from schemas.reports.migration import growing, retired
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings, slug
from schemas.settings.sections import TableSettings

VectorColumn = tuple[str, str]
"""A vector column: its table, and its name."""

_OLDEST = "count_rows"
"""The function of the default prefix.

It was that of every prefix before there was a function for each.
"""
_BODY = "\n#variable_conflict use_column\nBEGIN\n{blocks}\nEND\n"
_BLOCK = re.compile(r"(--.*\n)*DECLARE \w+ text;\n")
"""How a query begins that counts around a row that cannot be counted.

A column with an older one is counted again once `init` is run with its table.
"""
_LONGEST = 63  # bytes of a name in Postgres
_CALLED = re.compile(r"\bcount_rows\w*(?=\(\))")


@dataclass(frozen=True, slots=True)
class CountedColumn:
    """One line of vectrue.counted: a column that an installation keeps."""

    prefix: str
    table: str
    column: str
    query: str


def function_of(prefix: str) -> str:
    """Name of an installation's function in the schema vectrue."""
    made = slug(prefix)
    if made == "vectrue":
        return _OLDEST
    name = f"{_OLDEST}_{made}"
    if len(name) <= _LONGEST:
        return name
    # By a digest, so that two long prefixes with one beginning differ.
    return f"{name[: _LONGEST - 9]}_{sha256(prefix.encode()).hexdigest()[:8]}"


def read(session: Session) -> list[CountedColumn]:
    """What every installation of the database keeps.

    Returns:
        nothing where `init` was not run with a vectrue that records this.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('vectrue.counted') IS NOT NULL")[0][0]:
        return []
    return [CountedColumn(*line) for line in session.rows(queries.text("counted"))]


def akin(one: VectorColumn, other: VectorColumn) -> bool:
    """Whether both are one column, or one stands beside the other in a migration."""
    (table, a), (other_table, b) = one, other
    if table != other_table:
        return False
    return a in (b, growing(b), retired(b)) or b in (growing(a), retired(a))


def stands(session: Session, table: TableName) -> bool:
    """Whether there is a relation of that name. Raises as `read`."""
    query = (
        "SELECT 1 FROM pg_class WHERE relname = %s AND relnamespace = "
        "to_regnamespace(quote_ident(%s))"
    )
    return bool(session.rows(query, (table.name, table.schema)))


def kept(session: Session, prefix: str) -> set[VectorColumn]:
    """The columns that an installation keeps. Raises as `read`.

    Returns:
        nothing where `init` was not run with that prefix.
    """
    return set(_queries(read(session), prefix))


def require(session: Session, settings: Settings, tables: Sequence[TableSettings]) -> None:
    """Refuse tables that the installation does not keep.

    Raises:
        ConfigurationError: `vectrue init` was not run with these tables.
        TransientError: Postgres does not answer.
    """
    there = kept(session, settings.kafka.topic_prefix)
    if not there:
        raise schema.unknown()
    require_kept(settings, there, tables)


def require_kept(
    settings: Settings, there: Collection[VectorColumn], tables: Sequence[TableSettings]
) -> None:
    """Refuse tables that are not among the columns `there`.

    Raises:
        ConfigurationError: `vectrue init` was not run with these tables.
    """
    lacking: list[str] = []
    for table in tables:
        place = (table.name, table.column)
        if place not in there:
            lacking.append(".".join(place))
    if lacking:
        raise ConfigurationError(
            f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not kept by the "
            f"installation {settings.kafka.topic_prefix} of this database, so nothing can be "
            "said of all tables",
            fix="run `vectrue init` with this file, or correct [[tables]]",
        )


def plan(
    session: Session,
    prefix: str,
    targets: Sequence[Target],
    *,
    leaving: Iterable[VectorColumn] = (),
    dead: Sequence[str] = (),
) -> list[Statement]:
    """The installation's function and the view, where they are missing or differ.

    Args:
        session: connection of the role that makes the changes.
        prefix: kafka.topic_prefix of the installation.
        targets: its columns; those of other tables that it keeps and that exist stay.
        leaving: its columns that are no longer kept.
        dead: prefixes of installations that are no longer at work here, whose lines go.
    """
    known = read(session)
    mine: dict[VectorColumn, str] = {}
    for target in targets:
        mine[str(target.table), target.column] = render(session, _block(target))
    before = _queries(known, prefix)
    wanted = _staying(session, before, mine, set(leaving))
    # Of a column on both sides the query of these settings wins.
    wanted.update(mine)
    blocks = [wanted[place] for place in sorted(wanted)]
    body = _BODY.format(blocks="\n".join(blocks))
    name = function_of(prefix)
    found = _functions(session)
    clauses, shown = meaning.clauses(session)
    dropped = _dropped(name, targets, found, known, dead)
    counting = sorted((found.keys() | {name}) - set(dropped))
    there = _called(session)
    is_current = before == wanted and found.get(name) == (body, frozenset(shown))
    if is_current and there == set(counting) and not dead:
        return []
    parts: list[str] = []
    if before != wanted:
        parts += _noted(session, prefix, wanted)
    parts += _forgotten(session, dead)
    made = queries.compose(
        "create_coverage",
        function=sql.Identifier("vectrue", name),
        body=sql.Literal(body),
        settings=clauses,
    )
    parts.append(render(session, made))
    parts.append(_view(session, counting))
    # After the view, which called them until now.
    parts += _drops(session, dropped)
    what = "renew" if there else "create"
    return [Statement(f"{what} the view vectrue.coverage", ";\n".join(parts))]


def _drops(session: Session, functions: Sequence[str]) -> list[str]:
    drop = sql.SQL("DROP FUNCTION {}()")
    drops: list[str] = []
    for one in functions:
        drops.append(render(session, drop.format(sql.Identifier("vectrue", one))))
    return drops


def _queries(known: Sequence[CountedColumn], prefix: str) -> dict[VectorColumn, str]:
    """What counts each column of an installation."""
    found: dict[VectorColumn, str] = {}
    for line in known:
        if line.prefix == prefix:
            found[line.table, line.column] = line.query
    return found


def _functions(session: Session) -> dict[str, tuple[str, frozenset[str]]]:
    """Source and settings of each function that counts, by its name."""
    found: dict[str, tuple[str, frozenset[str]]] = {}
    for function, source, settings in session.rows(queries.text("counting_functions")):
        found[str(function)] = (str(source), frozenset(settings))
    return found


def _staying(
    session: Session,
    before: Mapping[VectorColumn, str],
    mine: Mapping[VectorColumn, str],
    gone: Collection[VectorColumn],
) -> dict[VectorColumn, str]:
    """Columns that are kept and that these settings do not list."""
    staying: dict[VectorColumn, str] = {}
    standing: dict[str, bool] = {}
    for place, query in before.items():
        if place in gone or not _BLOCK.match(query):
            continue
        if any(akin(place, one) for one in mine):
            continue
        table, _ = place
        if table not in standing:
            standing[table] = stands(session, TableName.parse(table))
        if standing[table]:
            staying[place] = query
    return staying


def _block(target: Target) -> sql.Composed:
    plain = queries.for_target("coverage_of", target, bound=False)
    guarded = queries.for_target("coverage_of", target.guard(), bound=False)
    return queries.for_target("count_block", target, bound=False, plain=plain, guarded=guarded)


def _dropped(
    name: str,
    targets: Sequence[Target],
    found: Mapping[str, tuple[str, frozenset[str]]],
    known: Sequence[CountedColumn],
    dead: Sequence[str],
) -> list[str]:
    """Functions of dead installations, and an older vectrue's, which no line names."""
    gone: set[str] = set()
    for prefix in dead:
        gone.add(function_of(prefix))
    noted: set[str] = set()
    for line in known:
        noted.add(function_of(line.prefix))
    if _OLDEST in found and _OLDEST not in noted:
        source, _ = found[_OLDEST]
        # It counts the tables of all installations: only where these are among them.
        if any(f"'{target.table}'" in source for target in targets):
            gone.add(_OLDEST)
    return sorted((gone & found.keys()) - {name})


def _called(session: Session) -> set[str]:
    """The functions under the view; none where the view does not exist."""
    lines = session.rows("SELECT pg_get_viewdef(to_regclass('vectrue.coverage'))")
    return set(_CALLED.findall(lines[0][0] or ""))


def _noted(session: Session, prefix: str, wanted: Mapping[VectorColumn, str]) -> list[str]:
    delete = sql.SQL("DELETE FROM vectrue.counted WHERE prefix = {}")
    lines = [render(session, delete.format(sql.Literal(prefix)))]
    for place in sorted(wanted):
        values = lists.literals((prefix, *place, wanted[place]))
        lines.append(render(session, queries.compose("count_column", values=values)))
    return lines


def _forgotten(session: Session, dead: Sequence[str]) -> list[str]:
    statements: list[str] = []
    delete = sql.SQL("DELETE FROM {} WHERE prefix = {}")
    for prefix in dead:
        for table in ("counted", "installations"):
            query = delete.format(sql.Identifier("vectrue", table), sql.Literal(prefix))
            statements.append(render(session, query))
    return statements


def _view(session: Session, functions: Sequence[str]) -> str:
    call = sql.SQL("SELECT * FROM {}()")
    calls: list[sql.Composed] = []
    for name in functions:
        calls.append(call.format(sql.Identifier("vectrue", name)))
    # Replaced rather than dropped: what was granted on the view stays.
    view = sql.SQL("CREATE OR REPLACE VIEW vectrue.coverage AS {}")
    return render(session, view.format(sql.SQL(" UNION ALL ").join(calls)))
