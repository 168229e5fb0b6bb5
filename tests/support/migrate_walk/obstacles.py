"""Obstacles to a migration, made by someone who does not know of it."""

from collections.abc import Iterator

from schemas.errors import VectrueError
from tests.support.migrate_walk import state
from tests.support.migrate_walk.actions import Action
from tests.support.migrate_walk.tables import BY_NAME
from tests.support.workplace import Workplace


def put(place: Workplace, action: Action) -> str:
    """Put one; returns what was done, or why not."""
    table = BY_NAME[action.tables[0]]
    there = state.read(place)[table.name].vectors
    beside = next((name for name in there if name != "embedding"), None)
    name = f"walk_{table.bare}"
    statement = {
        "view": (
            f'CREATE OR REPLACE VIEW "{name}" AS'
            f" SELECT {table.key}, embedding AS made FROM {table.quoted}"
        ),
        "view of the new column": (
            f'CREATE VIEW "{name}_2" AS SELECT {table.key}, {beside} AS made FROM {table.quoted}'
        ),
        "function": (
            f'CREATE FUNCTION "{name}"() RETURNS bigint'
            f" BEGIN ATOMIC SELECT count(embedding) FROM {table.quoted}; END"
        ),
        "index by hand": (
            f'CREATE INDEX "{name}_i" ON {table.quoted} USING hnsw (embedding vector_ip_ops)'
        ),
        "index on the new column": (
            f'CREATE INDEX "{name}_n" ON {table.quoted} USING hnsw ({beside} vector_cosine_ops)'
        ),
        "no column beside": f"ALTER TABLE {table.quoted} DROP COLUMN {beside}",
        "constraint": (
            f'ALTER TABLE {table.quoted} ADD CONSTRAINT "{name}_c"'
            " CHECK (vector_dims(embedding) > 0)"
        ),
    }[action.what]
    if f" {beside}" in statement and beside is None:
        return "there is none"
    try:
        place.execute(statement)
    except VectrueError as error:
        return error.message
    return statement


def remove(place: Workplace) -> None:
    """Take the views and functions away."""
    for statement in _drops(place):
        place.execute(statement)


def _drops(place: Workplace) -> Iterator[str]:
    query = "SELECT oid::regclass::text FROM pg_class WHERE relkind = 'v' AND relname LIKE 'walk%'"
    for (name,) in place.execute(query):
        yield f"DROP VIEW {name}"
    for (name,) in place.execute(
        "SELECT oid::regprocedure::text FROM pg_proc WHERE proname LIKE 'walk%'"
    ):
        yield f"DROP FUNCTION {name}"
