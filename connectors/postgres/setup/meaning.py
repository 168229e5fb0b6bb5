"""The search path and locale that `init` gives to every session.

They are taken from its own, recorded, and built into the view.

Hazard: the next role that runs `init` gives its own. Where that is another path, texts
may mean something else, so `init` reports it.
"""

import json
import re
from collections.abc import Mapping

from psycopg2 import sql

from connectors.postgres import pins, queries
from connectors.postgres.session import Session
from connectors.postgres.setup import lists
from connectors.postgres.statement import Statement, render
from schemas.settings.reading import Settings

# Asked while the role's own search path is set: so every name is qualified.
_VISIBLE = "SELECT pg_catalog.current_schemas(false)::pg_catalog.text[]"
_LOCALE = "SELECT name, setting FROM pg_settings WHERE name = ANY (%s)"
_PART = re.compile(r'"((?:[^"]|"")*)"|([^,\s]+)')
"""One schema of a search path, as quote_ident writes it."""


def own(session: Session, worker: str) -> dict[str, str]:
    """The search path and locale of the connected role, without what we set.

    Args:
        session: of the role that runs `init`.
        worker: role of the workers; schemas that it cannot be let use are left out.
    """
    with session.cursor() as cursor:
        # A RESET gives the value that the role, database or server has.
        cursor.execute("; ".join(f"RESET {name}" for name in (pins.PATH, *pins.LOCALE)))
        cursor.execute(_VISIBLE)
        ((visible,),) = cursor.fetchall()
    # What was reset above is set again.
    pins.guard(session.connection())
    asked = {"visible": visible, "role": worker, "locale": list(pins.LOCALE)}
    path, locale = session.rows(queries.text("own_meaning"), asked)[0]
    return {pins.PATH: path, **locale}


def changes(session: Session, prefix: str, wanted: Mapping[str, str]) -> list[str]:
    """A notice for each recorded setting that `init` is about to change."""
    before = pins.recorded(session.connection(), prefix)
    notices: list[str] = []
    for name, value in wanted.items():
        recorded = before.get(name, value)
        if recorded != value:
            notices.append(
                f"{name} of all sessions changes from {recorded} to {value}: a text that depends "
                "on it changes as well"
            )
    return notices


def registration(session: Session, settings: Settings) -> list[Statement]:
    """Record the locale of the pinned session, unless it is recorded already."""
    prefix = settings.kafka.topic_prefix
    wanted = dict(session.rows(_LOCALE, (list(pins.LOCALE),)))
    lines = session.rows("SELECT locale FROM vectrue.installations WHERE prefix = %s", (prefix,))
    if lines and lines[0][0] == wanted:
        return []
    query = sql.SQL("UPDATE vectrue.installations SET locale = {}::jsonb WHERE prefix = {}")
    locale = sql.Literal(json.dumps(wanted, sort_keys=True))
    body = render(session, query.format(locale, sql.Literal(prefix)))
    return [Statement(f"record the locale of the sessions of {prefix}", body)]


def clauses(session: Session) -> tuple[sql.Composable, set[str]]:
    """SET clauses of a function that evaluates texts.

    Args:
        session: pinned; its search path and locale are taken.

    Returns:
        the clauses, and how the catalogue shows them once the function has them.
    """
    locale = dict(session.rows(_LOCALE, (list(pins.LOCALE),)))
    wanted = {**pins.MEANING, **locale, pins.PATH: session.path}
    clauses: list[sql.Composed] = []
    shown: set[str] = set()
    for name, value in wanted.items():
        # A list as one literal would be the name of one schema.
        values = parts(value) if name == pins.PATH else [value]
        clause = sql.SQL("SET {} = {}").format(sql.SQL(name), lists.literals(values))
        clauses.append(clause)
        shown.add(f"{name}={value}")
    return sql.SQL(" ").join(clauses), shown


def parts(path: str) -> list[str]:
    """The schemas of a search path."""
    schemas: list[str] = []
    for quoted, plain in _PART.findall(path):
        schemas.append(quoted.replace('""', '"') if quoted else plain)
    return schemas
