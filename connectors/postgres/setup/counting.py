"""What counts rows in the database: a function for each installation, made of the
queries in vectrue.counted, and the view vectrue.coverage over all of them, for people.

Hazards:
- No command reads function or view, but counts the tables of its own settings by the
  same rule (coverage.py): a table that an application dropped makes the function of its
  installation fail, and the view with it.
- A settings file may list some of the tables of its installation (a migration of one
  table): lines of the tables that it does not list stay, unless they are told to leave.
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256

from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.session import Session
from connectors.postgres.setup import meaning, schema
from connectors.postgres.statement import Statement, render
from schemas.errors import ConfigurationError
from schemas.reports.migration import growing, retired
from schemas.rows.table import TableName
from schemas.rows.target import Target
from schemas.settings.reading import Settings, slug
from schemas.settings.sections import TableSettings

Place = tuple[str, str]
"""A vector column: its table, and its name."""

_OLDEST = "count_rows"
"""Of the default prefix, and of an installation of any prefix before there was a
function for each.
"""
_BODY = "\n#variable_conflict use_column\nBEGIN\n{blocks}\nEND\n"
_BLOCK = re.compile(r"(--.*\n)*DECLARE \w+ text;\n")
"""Of a vectrue that could not count around a row; a column is counted again once `init`
is run with its table.
"""
_LONGEST = 63  # bytes of a name in Postgres
_CALLED = re.compile(r"\bcount_rows\w*(?=\(\))")


@dataclass(frozen=True, slots=True)
class Counted:
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
    return (
        name
        if len(name) <= _LONGEST
        else f"{name[: _LONGEST - 9]}_{sha256(prefix.encode()).hexdigest()[:8]}"
    )


def read(session: Session) -> list[Counted]:
    """What every installation of the database keeps; none where `init` was not run
    since this is written down.

    Raises:
        TransientError: Postgres does not answer.
    """
    if not session.rows("SELECT to_regclass('vectrue.counted') IS NOT NULL")[0][0]:
        return []
    return [Counted(*line) for line in session.rows(queries.text("counted"))]


def akin(one: Place, other: Place) -> bool:
    """Whether both are one column, or one stands beside the other in a migration."""
    (table, a), (other_table, b) = one, other
    return table == other_table and (
        a == b or a in {growing(b), retired(b)} or b in {growing(a), retired(a)}
    )


def stands(session: Session, table: TableName) -> bool:
    """Whether there is a relation of that name. Raises as `read`."""
    query = (
        "SELECT 1 FROM pg_class WHERE relname = %s AND relnamespace = "
        "to_regnamespace(quote_ident(%s))"
    )
    return bool(session.rows(query, (table.name, table.schema)))


def kept(session: Session, prefix: str) -> set[Place]:
    """The columns that an installation keeps; none where `init` was not run with that
    prefix. Raises as `read`.
    """
    return {(line.table, line.column) for line in read(session) if line.prefix == prefix}


def require(session: Session, settings: Settings, tables: Sequence[TableSettings]) -> None:
    """Refuse to speak of tables that the installation does not keep.

    Raises:
        ConfigurationError: `vectrue init` was not run with these tables.
        TransientError: Postgres does not answer.
    """
    there = kept(session, settings.kafka.topic_prefix)
    if not there:
        raise schema.unknown()
    require_kept(settings, there, tables)


def require_kept(
    settings: Settings, there: Collection[Place], tables: Sequence[TableSettings]
) -> None:
    """As `require`, of columns that were read."""
    lacking = [
        f"{table.name}.{table.column}"
        for table in tables
        if (table.name, table.column) not in there
    ]
    if lacking:
        raise ConfigurationError(
            f"{', '.join(lacking)} {'is' if len(lacking) == 1 else 'are'} not kept by the "
            "installation "
            f"{settings.kafka.topic_prefix} of this database, so nothing can be said of all tables",
            fix="run `vectrue init` with this file, or correct [[tables]]",
        )


def plan(
    session: Session,
    prefix: str,
    targets: Sequence[Target],
    *,
    leaving: Iterable[Place] = (),
    dead: Sequence[str] = (),
) -> list[Statement]:
    """The installation's function and the view, where they are missing or count
    something else.

    Args:
        session: connection of the role that makes the changes.
        prefix: kafka.topic_prefix of the installation.
        targets: its columns; those of other tables that it keeps and that are still
            there stay.
        leaving: its columns that shall not be kept any more.
        dead: prefixes of installations that are no longer at work here, whose lines go.
    """
    known = read(session)
    mine = {(str(t.table), t.column): render(session, _block(t)) for t in targets}
    gone = set(leaving)
    before = {(line.table, line.column): line.query for line in known if line.prefix == prefix}
    others = {
        place: query
        for place, query in before.items()
        if place not in gone and _BLOCK.match(query) and not any(akin(place, one) for one in mine)
    }
    standing = {table for table, _ in others if stands(session, TableName.parse(table))}
    wanted = {place: query for place, query in others.items() if place[0] in standing} | mine
    body = _BODY.format(blocks="\n".join(wanted[place] for place in sorted(wanted)))
    name = function_of(prefix)
    found = {
        str(function): (str(source), frozenset(settings))
        for function, source, settings in session.rows(queries.text("counting_functions"))
    }
    clauses, shown = meaning.clauses(session)
    dropped = _dropped(name, targets, found, known, dead)
    counting = sorted((found.keys() | {name}) - set(dropped))
    there = _called(session)
    if (
        before == wanted
        and found.get(name) == (body, frozenset(shown))
        and there == set(counting)
        and not dead
    ):
        return []
    parts = [_noted(session, prefix, before, wanted), *_forgotten(session, dead)]
    function = sql.Identifier("vectrue", name)
    made = queries.compose(
        "create_coverage", function=function, body=sql.Literal(body), settings=clauses
    )
    parts.append(render(session, made))
    parts.append(_view(session, counting))
    parts += [
        render(session, sql.SQL("DROP FUNCTION {}()").format(sql.Identifier("vectrue", one)))
        for one in dropped
    ]
    what = "renew" if there else "create"
    return [
        Statement(f"{what} the view vectrue.coverage", ";\n".join(part for part in parts if part))
    ]


def _block(target: Target) -> sql.Composed:
    plain, guarded = (
        queries.for_target("coverage_of", t, bound=False) for t in (target, target.guard())
    )
    return queries.for_target("count_block", target, bound=False, plain=plain, guarded=guarded)


def _dropped(
    name: str,
    targets: Sequence[Target],
    found: Mapping[str, tuple[str, frozenset[str]]],
    known: Sequence[Counted],
    dead: Sequence[str],
) -> list[str]:
    """Functions of dead installations, and the one for all of an older vectrue, where
    it counts these tables.
    """
    gone = {function_of(prefix) for prefix in dead}
    noted = {function_of(line.prefix) for line in known}
    if (
        _OLDEST in found
        and _OLDEST not in noted
        and any(f"'{t.table}'" in found[_OLDEST][0] for t in targets)
    ):
        gone.add(_OLDEST)
    return sorted((gone & found.keys()) - {name})


def _called(session: Session) -> set[str]:
    """The functions under the view; none where there is no view."""
    lines = session.rows("SELECT pg_get_viewdef(to_regclass('vectrue.coverage'))")
    return set(_CALLED.findall(lines[0][0] or ""))


def _noted(
    session: Session,
    prefix: str,
    before: Mapping[tuple[str, str], str],
    wanted: Mapping[tuple[str, str], str],
) -> str:
    if before == wanted:
        return ""
    lines = [
        render(
            session,
            sql.SQL("DELETE FROM vectrue.counted WHERE prefix = {}").format(sql.Literal(prefix)),
        )
    ]
    for table, column in sorted(wanted):
        fields = (prefix, table, column, wanted[table, column])
        values = sql.SQL(", ").join(map(sql.Literal, fields))
        lines.append(render(session, queries.compose("count_column", values=values)))
    return ";\n".join(lines)


def _forgotten(session: Session, dead: Sequence[str]) -> list[str]:
    return [
        render(
            session,
            sql.SQL("DELETE FROM {} WHERE prefix = {}").format(
                sql.Identifier("vectrue", table), sql.Literal(one)
            ),
        )
        for one in dead
        for table in ("counted", "installations")
    ]


def _view(session: Session, functions: Sequence[str]) -> str:
    calls = [
        sql.SQL("SELECT * FROM {}()").format(sql.Identifier("vectrue", name)) for name in functions
    ]
    view = sql.SQL("CREATE OR REPLACE VIEW vectrue.coverage AS {}").format(
        sql.SQL(" UNION ALL ").join(calls)
    )
    return render(session, view)
