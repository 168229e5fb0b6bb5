"""Tables of every kind, name and key, from `vectrue init` to the event with their key."""

import pytest
from psycopg2 import sql

from schemas.errors import VectrueError
from schemas.rows.table import TableName
from tests.conftest import MakeWorkplace
from tests.support.init import events, planned, setup

pytestmark = pytest.mark.stack

VECTOR = "embedding vector(64)"
KEYS = {"publication_columns": "keys"}


@pytest.mark.parametrize("identity", ["FULL", "USING INDEX by_code"])
def test_the_application_can_write_whatever_the_replica_identity(
    make_workplace: MakeWorkplace, identity: str
) -> None:
    """A table whose replica identity is not its key is published whole, also with
    "keys": its writes go on working.
    """
    place = make_workplace(tables=[{"name": "public.t", "text": "body"}], postgres=KEYS)
    place.execute(f"CREATE TABLE t (id int PRIMARY KEY, code text NOT NULL, body text, {VECTOR})")
    place.execute("CREATE UNIQUE INDEX by_code ON t (code)")
    place.execute(f"ALTER TABLE t REPLICA IDENTITY {identity}")
    report = setup(place.settings)
    assert any("published with all its columns" in notice for notice in report.notices)
    place.execute("INSERT INTO t VALUES (1, 'a', 'x')")
    place.execute("UPDATE t SET body = 'y'")
    place.execute("UPDATE t SET code = 'b'")
    place.execute("DELETE FROM t")
    found = events(place.settings, "public.t", 3)
    assert {("1",)} == {event.key(["id"]) for event in found if event.touches_row}
    # What the check prevents, so that this test would fail without it.
    place.execute("ALTER PUBLICATION vectrue SET TABLE t (id), vectrue.heartbeat")
    place.execute("INSERT INTO t VALUES (2, 'c', 'x')")
    with pytest.raises(VectrueError, match="does not cover the replica identity"):
        place.execute("UPDATE t SET body = 'z'")


def test_partitions_are_captured_through_their_root(make_workplace: MakeWorkplace) -> None:
    """A partitioned table has one topic, and its events name the root; a partition with
    FULL costs the column list.
    """
    place = make_workplace(tables=[{"name": "public.t", "text": "body"}], postgres=KEYS)
    place.execute(
        f"CREATE TABLE t (id int, day date, body text, {VECTOR}, PRIMARY KEY (id, day)) "
        "PARTITION BY RANGE (id)"
    )
    place.execute("CREATE TABLE t1 PARTITION OF t FOR VALUES FROM (0) TO (10)")
    place.execute("CREATE TABLE t2 PARTITION OF t DEFAULT")
    setup(place.settings)
    place.execute("INSERT INTO t VALUES (1, '2026-01-31', 'x'), (99, '1500-02-28', 'y')")
    place.execute("UPDATE t SET body = 'z'")
    found = events(place.settings, "public.t", 4)
    assert {str(event.table) for event in found} == {"public.t"}
    place.execute("ALTER TABLE t1 REPLICA IDENTITY FULL")
    assert any(
        "published with all its columns" in notice for notice in setup(place.settings).notices
    )
    place.execute("UPDATE t SET body = 'w'")


ODD = [
    (
        'CREATE TABLE "q; drop table x" ("Ключ id" bigint PRIMARY KEY, body text, {v})',
        "q; drop table x",
    ),
    (
        (
            'CREATE TABLE "100 ""sure"" {{}}"'
            ' ("k;s" text, "a,b" uuid, body text, {v}, PRIMARY KEY ("a,b", "k;s"))'
        ),
        '"100 ""sure"" {}"',
    ),
    ('CREATE TABLE " 질문. " (" id " boolean PRIMARY KEY, body text, {v})', 'public." 질문. "'),
]


@pytest.mark.parametrize(("ddl", "name"), ODD)
def test_any_name_can_be_captured(make_workplace: MakeWorkplace, ddl: str, name: str) -> None:
    """Quotes, dots, commas, white space and Korean in names reach the topic, with the
    key alone.
    """
    place = make_workplace(tables=[{"name": name, "text": "body || '100%'"}])
    with place.session.cursor() as cursor:
        cursor.execute(ddl.replace("{{}}", "{}").replace("{v}", VECTOR))
    setup(place.settings)
    assert setup(place.settings).changed == ()
    table = TableName.parse(name)
    keys = planned(place.settings).tables[0].target.key
    values = {
        "bigint": "17",
        "text": "it's %s",
        "uuid": "5bd46e4b-3ea6-4e0a-bb80-5b1b8b36a5b1",
        "boolean": "true",
    }
    insert = sql.SQL("INSERT INTO {} ({}, body) VALUES ({}, 'x')").format(
        sql.Identifier(table.schema, table.name),
        sql.SQL(", ").join(sql.Identifier(column.name) for column in keys),
        sql.SQL(", ").join(sql.Literal(values[column.type]) for column in keys),
    )
    update = sql.SQL("UPDATE {} SET body = 'y'").format(sql.Identifier(table.schema, table.name))
    with place.session.cursor() as cursor:
        cursor.execute(insert)
        cursor.execute(update)
    names = [column.name for column in keys]
    found = events(place.settings, name, 2)
    assert {event.key(names) for event in found} == {tuple(values[column.type] for column in keys)}
    assert {frozenset(event.fields) for event in found} == {frozenset(names)}


TYPES = [
    ("smallint", "-5"),
    ("bigint", "9223372036854775807"),
    ("numeric", "0.0000001"),
    ("numeric(9,2)", "12.30"),
    ("character(4)", "ab"),
    ("character varying(9)", "x "),
    ("text", "한글 \t'\"\\"),
    ("uuid", "5bd46e4b-3ea6-4e0a-bb80-5b1b8b36a5b1"),
    ("boolean", "false"),
    ("mood", "o'k"),
    ("whole", "77"),
    ("date", "2026-01-31"),
    ("date", "1500-02-28"),
    ("timestamp", "2026-01-31 10:00:00.123456"),
    ("timestamp(3)", "2026-01-31 10:00:00.12"),
    ("timestamptz", "2026-01-31 10:00:00+09"),
    ("timestamptz", "infinity"),
]


def test_keys_of_every_accepted_type_find_their_row(make_workplace: MakeWorkplace) -> None:
    """A key value that went through the connector, cast by Postgres, is the key that
    was written.
    """
    tables = [{"name": f"public.t{i}", "text": "body"} for i in range(len(TYPES))]
    place = make_workplace(tables=tables, kafka={"partitions": 1})
    place.execute(
        "CREATE TYPE mood AS ENUM ('ok', 'o''k'); CREATE DOMAIN whole AS bigint CHECK (VALUE > 0)"
    )
    for i, (kind, _) in enumerate(TYPES):
        place.execute(f"CREATE TABLE t{i} (id {kind} PRIMARY KEY, body text, {VECTOR})")
    setup(place.settings)
    for i, (_, value) in enumerate(TYPES):
        place.execute(f"INSERT INTO t{i} VALUES (%s, 'x')", (value,))
    for i, (kind, _) in enumerate(TYPES):
        (key,) = events(place.settings, f"public.t{i}", 1)[0].key(["id"])
        cast = "bpchar" if kind.startswith("character(") else kind.split("(")[0]
        assert place.value(f"SELECT count(*) FROM t{i} WHERE id = %s::text::{cast}", (key,)) == 1, (
            kind,
            key,
        )
