"""The search path and locale that `init` gives to every session: taken from its own,
recorded, and built into the view.

Hazard: whoever runs `init` next gives theirs. Where that is another path, texts may
mean something else, so it is said.
"""

import json
import re
from collections.abc import Mapping

from psycopg2 import sql

from connectors.postgres import pins, queries
from connectors.postgres.session import Session
from connectors.postgres.statement import Statement, render
from schemas.settings.reading import Settings

_VISIBLE = "SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]"
"""Asked while the role's own search path is set, so with nothing that could be found in
it.
"""
_PART = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')
"""One schema of a search path, as quote_ident writes it."""


def own(session: Session, worker: str) -> dict[str, str]:
    """The search path and locale of the connected role, as it has them without anything
    of ours.

    Args:
        session: of the role that runs `init`.
        worker: role of the workers; schemas that it cannot be let use are left out.
    """
    with session.cursor() as cursor:
        cursor.execute("; ".join(f"RESET {name}" for name in (pins.PATH, *pins.LOCALE)))
        cursor.execute(_VISIBLE)
        ((visible,),) = cursor.fetchall()
    pins.guard(session.connection())
    asked = {"visible": visible, "role": worker, "locale": list(pins.LOCALE)}
    path, locale = session.rows(queries.text("own_meaning"), asked)[0]
    return {pins.PATH: path, **locale}


def changes(session: Session, prefix: str, wanted: Mapping[str, str]) -> list[str]:
    """A notice for each recorded setting that `init` is about to change."""
    before = pins.recorded(session.connection(), prefix)
    return [
        f"{name} of all sessions changes from {before[name]} to {value}: a text that depends on "
        "it changes as well"
        for name, value in wanted.items()
        if name in before and before[name] != value
    ]


def registration(session: Session, settings: Settings) -> list[Statement]:
    """The statement that records the locale of the pinned session, where another or
    none is recorded.
    """
    prefix = settings.kafka.topic_prefix
    lines = session.rows(
        "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", (list(pins.LOCALE),)
    )
    wanted = dict(lines)
    lines = session.rows("SELECT locale FROM vectrue.installations WHERE prefix = %s", (prefix,))
    if lines and lines[0][0] == wanted:
        return []
    query = sql.SQL("UPDATE vectrue.installations SET locale = {}::jsonb WHERE prefix = {}")
    body = render(
        session, query.format(sql.Literal(json.dumps(wanted, sort_keys=True)), sql.Literal(prefix))
    )
    return [Statement(f"record the locale of the sessions of {prefix}", body)]


def clauses(session: Session) -> tuple[sql.Composable, set[str]]:
    """SET clauses of a function that evaluates texts, and how the catalogue shows them
    once it has them.

    Args:
        session: pinned; its search path and locale are taken.
    """
    lines = session.rows(
        "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)", (list(pins.LOCALE),)
    )
    wanted = {**pins.MEANING, **dict(lines), pins.PATH: session.path}
    values = {
        name: parts(value) if name == pins.PATH else [value] for name, value in wanted.items()
    }
    clauses = [
        sql.SQL("SET {} = {}").format(sql.SQL(name), sql.SQL(", ").join(map(sql.Literal, value)))
        for name, value in values.items()
    ]
    return sql.SQL(" ").join(clauses), {f"{name}={value}" for name, value in wanted.items()}


def parts(path: str) -> list[str]:
    """The schemas of a search path."""
    return [quoted.replace('""', '"') if quoted else plain for quoted, plain in _PART.findall(path)]
