"""Which statements may be tried again on a new connection, and search paths as the
server writes them.
"""

import pytest
from psycopg2 import sql

from connectors.postgres import queries
from connectors.postgres.idle import only_reads
from connectors.postgres.setup import meaning


@pytest.mark.parametrize(
    "query",
    [
        "SELECT 1",
        "-- INSERT is only spoken of here\nselect a, 'UPDATE t SET b' from t",
        "WITH x AS (SELECT 1) SELECT * FROM x",
        'SELECT "delete" FROM t',
        sql.SQL("SELECT {} FROM {}").format(sql.Literal("DROP TABLE t"), sql.Identifier("update")),
        sql.SQL(queries.text("all_targets")),
        sql.SQL(queries.text("slot")),
    ],
)
def test_what_only_reads_may_be_run_twice(query: object) -> None:
    """Names, literals and comments do not make a read a change."""
    assert only_reads(query)


@pytest.mark.parametrize(
    "query",
    [
        "INSERT INTO t VALUES (1)",
        "WITH gone AS (DELETE FROM t RETURNING 1) SELECT * FROM gone",
        "SELECT pg_try_advisory_lock(1)",
        "SELECT set_config('a.b', 'c', false)",
        "SELECT * FROM t FOR UPDATE",
        "SELECT 1; DELETE FROM t",
        "SELECT nextval('s')",
        "SELECT pg_replication_origin_session_setup('o')",
        "SELECT pg_logical_emit_message(true, 'a', 'b')",
        "BEGIN",
        "COMMIT",
        sql.SQL(queries.text("note_reconcile")),
        sql.SQL(queries.text("ask_look")),
        sql.SQL(queries.text("take_slot")),
        sql.SQL(queries.text("create_slot")),
    ],
)
def test_what_changes_something_is_run_once(query: object) -> None:
    """Nobody knows whether it was run before the connection was lost."""
    assert not only_reads(query)


@pytest.mark.parametrize(
    ("path", "parts"),
    [
        ("app, public, pg_temp", ["app", "public", "pg_temp"]),
        ('"App, two", "say ""hi""", public', ["App, two", 'say "hi"', "public"]),
        ("pg_temp", ["pg_temp"]),
    ],
)
def test_a_search_path_is_read_as_the_server_writes_it(path: str, parts: list[str]) -> None:
    """Quoted names may hold commas and quotes."""
    assert meaning.parts(path) == parts
