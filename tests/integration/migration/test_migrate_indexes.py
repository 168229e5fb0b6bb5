"""Indexes through a migration, on a real Postgres: known by what they do, on partitions
too, at whatever time.
"""

import pytest

from connectors.clock import SystemClock
from connectors.postgres.health import checkup_columns
from connectors.postgres.migrations import twin_steps, twins
from connectors.postgres.session import Session
from schemas.errors import VectrueError
from schemas.health.check_result import Level
from schemas.reports.migration import ColumnMigration, MigrationState, suffixed
from schemas.rows.table import TableName
from schemas.settings.sections import TableSettings
from streams.migration import indexes as migrate_index
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

PROVENANCE = "{0}_hash bytea, {0}_model text, {0}_digest bytea, {1} timestamptz"
COLUMNS = (
    f"{PROVENANCE.format('embedding', 'embedded_at')}, "
    f"{PROVENANCE.format('embedding_v2', 'embedding_v2_at')}"
)
VECTORS = "embedding vector(8), embedding_v2 vector(12)"
COSINE = "hnsw (embedding vector_cosine_ops)"


def made(
    name: str = "public.docs", state: MigrationState = MigrationState.STARTED
) -> ColumnMigration:
    """A migration from 8 numbers to 12."""
    return ColumnMigration(
        TableName.parse(name), "embedding", state, False, False, "a@8", 8, "b@12", 12
    )


def docs(place: Workplace) -> None:
    """A table with both columns."""
    place.execute(f"CREATE TABLE docs (id bigint PRIMARY KEY, tenant int, {VECTORS}, {COLUMNS})")


def partitioned(place: Workplace) -> None:
    """A table in parts, one of which is in parts again."""
    place.execute(f"""
        CREATE TABLE docs (id bigint, tenant int, {VECTORS}, {COLUMNS}, PRIMARY KEY (id, tenant))
            PARTITION BY LIST (tenant);
        CREATE TABLE docs_1 PARTITION OF docs FOR VALUES IN (1);
        CREATE SCHEMA "Old Parts";
        CREATE TABLE "Old Parts"."docs.2" PARTITION OF docs FOR VALUES IN (2)
            PARTITION BY RANGE (id);
        CREATE TABLE "Old Parts".docs_2a
            PARTITION OF "Old Parts"."docs.2" FOR VALUES FROM (0) TO (10);
        CREATE TABLE "Old Parts".docs_2b
            PARTITION OF "Old Parts"."docs.2" FOR VALUES FROM (10) TO (20);
        INSERT INTO docs
            SELECT i, 1 + i % 2,
                array_fill(i, ARRAY[8])::vector, array_fill(i, ARRAY[12])::vector
            FROM generate_series(1, 15) AS i""")


def build(place: Workplace, migration: ColumnMigration) -> list[str]:
    """What `migrate index` builds."""
    watcher = Session(place.settings.postgres.dsn, role="watcher")
    try:
        builder = migrate_index.Builder(place.session, watcher, SystemClock(), lock_seconds=5)
        return builder.build([migration], lambda _: None)
    finally:
        watcher.close()


def lacking(place: Workplace, migration: ColumnMigration) -> list[str]:
    """Names of the indexes without a twin."""
    return [index.name for index in twins.standing(place.session, migration).lacking]


def swapped(place: Workplace, migration: ColumnMigration, state: MigrationState) -> ColumnMigration:
    """Columns and indexes change their names as the swap, or the way back, does it."""
    forth = state is MigrationState.STARTED
    renames = twins.renames(
        place.session, migration, lambda name: suffixed(name, "_old" if forth else "_v2")
    )
    steps = [("embedding", "embedding_old"), ("embedding_v2", "embedding")]
    if not forth:
        steps = [("embedding", "embedding_v2"), ("embedding_old", "embedding")]
    for name, to in steps:
        for part in ("", "_hash", "_model", "_digest", "_at"):
            old, new = (
                f"{n}{part}" if (n, part) != ("embedding", "_at") else "embedded_at"
                for n in (name, to)
            )
            place.execute(f"ALTER TABLE docs RENAME {old} TO {new}")
    for statement in renames:
        place.execute(statement)
    return made(state=MigrationState.SWAPPED if forth else MigrationState.STARTED)


def oid(place: Workplace) -> int:
    """Of the table."""
    return int(place.value("SELECT 'docs'::regclass::oid"))


def invalid(place: Workplace) -> list[str]:
    """Names of the indexes that nothing uses."""
    return [
        n
        for (n,) in place.execute(
            "SELECT indexrelid::regclass::text FROM pg_index WHERE NOT indisvalid"
        )
    ]


@pytest.mark.parametrize(
    "index",
    [
        (
            "INDEX served ON docs USING hnsw (embedding vector_cosine_ops) WITH (m = 8, "
            "ef_construction = 32)"
        ),
        "INDEX served ON docs USING ivfflat (embedding) WITH (lists = 2)",
        "INDEX served ON docs USING hnsw ((embedding::halfvec(8)) halfvec_l2_ops)",
        "INDEX served ON docs USING hnsw ((binary_quantize(embedding)::bit(8)) bit_hamming_ops)",
        (
            "INDEX served ON docs USING hnsw ((embedding::vector(8)) vector_l2_ops) WHERE "
            "embedding "
            "IS NOT NULL"
        ),
        (
            "INDEX served ON docs USING hnsw ((subvector(embedding, 1, 4)::vector(4)) "
            "vector_l2_ops) WHERE tenant = 1"
        ),
        "INDEX served ON docs (tenant) WHERE embedding IS NULL",
        "INDEX served ON docs (tenant DESC, embedding)",
        "UNIQUE INDEX served ON docs (tenant, embedding) NULLS NOT DISTINCT",
        "INDEX served ON docs (tenant) INCLUDE (embedding)",
        "INDEX served ON docs (embedding_model, embedded_at)",
        "INDEX served ON docs (id) WHERE embedding_model = 'a@8'",
    ],
)
def test_an_index_of_any_form_gets_its_twin(workplace: Workplace, index: str) -> None:
    """It is wanted, built, known as built, takes the name with the swap, and gives it
    back on the way back.
    """
    docs(workplace)
    workplace.execute(f"CREATE {index}")
    before = workplace.value("SELECT pg_get_indexdef('served'::regclass)")
    assert lacking(workplace, made()) == ["served"]
    assert build(workplace, made()) == ["served_v2"]
    assert lacking(workplace, made()) == []
    after = swapped(workplace, made(), MigrationState.STARTED)
    assert lacking(workplace, after) == []
    now = workplace.value("SELECT pg_get_indexdef('served'::regclass)")
    assert now == before.replace("(8)", "(12)").replace("'a@8'", "'b@12'")
    back = swapped(workplace, after, MigrationState.SWAPPED)
    assert workplace.value("SELECT pg_get_indexdef('served'::regclass)") == before
    assert lacking(workplace, back) == []


def test_twins_of_any_name_from_anybody(workplace: Workplace) -> None:
    """An index built by hand counts, a name that is taken is avoided, and a twin that was
    dropped meanwhile is asked for again.
    """
    docs(workplace)
    long = "n" * 63
    workplace.execute(f'CREATE INDEX "{long}" ON docs USING {COSINE}')
    workplace.execute("CREATE INDEX late ON docs USING hnsw (embedding vector_l2_ops)")
    workplace.execute('CREATE INDEX "by Hand" ON docs USING hnsw (embedding_v2 vector_cosine_ops)')
    workplace.execute("CREATE TABLE late_v2 (); CREATE TABLE late_old ()")
    assert lacking(workplace, made()) == ["late"]
    assert build(workplace, made()) == ["late_v2_2"]
    workplace.execute("ALTER INDEX late_v2_2 RENAME TO renamed")
    assert lacking(workplace, made()) == []
    after = swapped(workplace, made(), MigrationState.STARTED)
    assert "(embedding vector_cosine_ops)" in workplace.value(
        "SELECT pg_get_indexdef(%s::regclass)", (long,)
    )
    assert "(embedding_old vector_l2_ops)" in workplace.value(
        "SELECT pg_get_indexdef('late_old_2'::regclass)"
    )
    workplace.execute("DROP INDEX late")
    assert lacking(workplace, after) == ["late_old_2"]
    swapped(workplace, after, MigrationState.SWAPPED)
    assert workplace.value(
        "SELECT to_regclass('late') IS NULL AND to_regclass('late_old_2') IS NOT NULL"
    )


def test_one_twin_is_not_counted_for_two(workplace: Workplace) -> None:
    """Two equal indexes need two twins, and one that reads both columns is not a twin of
    itself.
    """
    docs(workplace)
    workplace.execute(
        f"CREATE INDEX one ON docs USING {COSINE}; CREATE INDEX two ON docs USING {COSINE}"
    )
    workplace.execute("CREATE INDEX one_v2 ON docs USING hnsw (embedding_v2 vector_cosine_ops)")
    assert lacking(workplace, made()) == ["two"]


def test_invalid_indexes_count_neither_way_and_are_named(workplace: Workplace) -> None:
    """One of the old column is not wanted, one of the new is not built, and is dropped
    before its next attempt.
    """
    docs(workplace)
    workplace.execute(
        f"CREATE INDEX served ON docs USING {COSINE}; CREATE INDEX broken ON docs (embedding)"
    )
    workplace.execute("CREATE INDEX leftover ON docs USING hnsw (embedding_v2 vector_cosine_ops)")
    for name in ("broken", "leftover"):
        workplace.execute(
            "UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s::regclass", (name,)
        )
    standing = twins.standing(workplace.session, made())
    assert [index.name for index in standing.lacking] == ["served"]
    assert [index.name for index in standing.invalid] == ["broken", "leftover"]
    assert build(workplace, made()) == ["served_v2"]
    assert invalid(workplace) == ["broken"]


def test_indexes_of_partitions_are_built_and_attached(workplace: Workplace) -> None:
    """On the whole, on one part alone, on parts of parts; then nothing is INVALID, and
    names change everywhere.
    """
    partitioned(workplace)
    workplace.execute(
        f"CREATE INDEX whole ON docs USING {COSINE};"
        ' CREATE INDEX alone ON "Old Parts".docs_2b (embedding)'
    )
    assert lacking(workplace, made()) == ["whole", "alone"]
    built = build(workplace, made())
    assert len(built) == 4
    assert lacking(workplace, made()) == []
    assert invalid(workplace) == []
    # gets both, from Postgres
    workplace.execute("CREATE TABLE docs_3 PARTITION OF docs FOR VALUES IN (3)")
    after = swapped(workplace, made(), MigrationState.STARTED)
    assert lacking(workplace, after) == []
    assert "(embedding vector_cosine_ops)" in workplace.value(
        "SELECT pg_get_indexdef('whole'::regclass)"
    )
    assert "(embedding_old" in workplace.value(
        "SELECT pg_get_indexdef('docs_1_embedding_idx_old'::regclass)"
    )
    assert "(embedding vector" in workplace.value(
        "SELECT pg_get_indexdef('docs_1_embedding_idx'::regclass)"
    )


@pytest.mark.parametrize("allowed", range(1, 9))
def test_a_build_over_partitions_goes_on_where_it_was(workplace: Workplace, allowed: int) -> None:
    """Cut off after any statement, with a partition that comes and one that was indexed
    by hand, it ends well.
    """
    partitioned(workplace)
    workplace.execute(f"CREATE INDEX whole ON docs USING {COSINE}")
    for step in twin_steps.plan(workplace.session, made())[:allowed]:
        workplace.execute(step.sql)
    workplace.execute(
        "CREATE TABLE docs_4 (LIKE docs); INSERT INTO docs_4 (id, tenant) VALUES (1, 4)"
    )
    workplace.execute("CREATE INDEX ON docs_4 USING hnsw (embedding_v2 vector_cosine_ops)")
    workplace.execute("ALTER TABLE docs ATTACH PARTITION docs_4 FOR VALUES IN (4)")
    build(workplace, made())
    assert lacking(workplace, made()) == []
    assert invalid(workplace) == []


def test_parts_of_an_incomplete_index_stand_for_themselves(workplace: Workplace) -> None:
    """A frame without all of its parts is nothing INVALID; those parts of it that
    queries use are wanted.
    """
    partitioned(workplace)
    workplace.execute("CREATE INDEX whole ON ONLY docs USING hnsw (embedding vector_cosine_ops)")
    workplace.execute(
        f"CREATE INDEX part ON docs_1 USING {COSINE}; ALTER INDEX whole ATTACH PARTITION part"
    )
    standing = twins.standing(workplace.session, made())
    assert standing.invalid == ()
    assert [index.name for index in standing.lacking] == ["part"]
    assert build(workplace, made()) == ["part_v2"]


def test_of_a_killed_build_the_part_alone_is_invalid(workplace: Workplace) -> None:
    """The frames of table and partition are only unfinished: `status` and `doctor` name
    what must be fixed.
    """
    partitioned(workplace)
    workplace.execute(f"CREATE INDEX whole ON docs USING {COSINE}")
    for step in twin_steps.plan(workplace.session, made())[:3]:
        workplace.execute(step.sql)
    killed = next(
        name
        for name in twins.read(workplace.session, oid(workplace), ["embedding_v2"])
        if not name.framed
    )
    workplace.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = %s", (killed.oid,))
    assert len(invalid(workplace)) == 3
    assert [index.name for index in twins.standing(workplace.session, made()).invalid] == [
        killed.name
    ]
    table = TableSettings(name="public.docs", text="tenant", column="embedding_v2")
    found = [
        one
        for one in checkup_columns.look(workplace.session, table, ("b", 12))
        if "index" in one.check
    ]
    assert [one.level for one in found] == [Level.WARNING]
    assert f"{killed.name} is INVALID" in found[0].sentence
    workplace.execute(f"DROP INDEX {killed.sql_name}")
    found = [
        one
        for one in checkup_columns.look(workplace.session, table, ("b", 12))
        if "index" in one.check
    ]
    assert [one.sentence for one in found] == [
        "whole_v2 is unfinished: not every partition has its part of it"
    ]
    build(workplace, made())
    assert [*checkup_columns.look(workplace.session, table, ("b", 12))][
        -1
    ].sentence == "whole_v2 is valid"


def test_the_script_says_how_much_is_left(workplace: Workplace) -> None:
    """A column without an index has none to build, and one statement is one."""
    docs(workplace)
    script = migrate_index.script(workplace.session, [made()])
    assert "-- public.docs.embedding: no index to build" in script
    workplace.execute(f"CREATE INDEX served ON docs USING {COSINE}")
    assert "embedding: 1 statement\n" in migrate_index.script(workplace.session, [made()])
    workplace.execute("CREATE INDEX other ON docs USING hnsw (embedding vector_l2_ops)")
    assert "embedding: 2 statements\n" in migrate_index.script(workplace.session, [made()])


def test_the_script_is_taken_as_typed(workplace: Workplace) -> None:
    """Statement by statement, each in a transaction of its own, as psql sends it."""
    partitioned(workplace)
    workplace.execute(f'CREATE INDEX "whole, of ""all""" ON docs USING {COSINE}')
    typed = migrate_index.script(workplace.session, [made()])
    workplace.execute("SET search_path = ''")
    for line in typed.splitlines():
        if not line.startswith("--"):
            workplace.execute(line)
    workplace.execute("RESET search_path")
    assert lacking(workplace, made()) == []
    assert invalid(workplace) == []
    assert "every index is built" in migrate_index.script(workplace.session, [made()])


def test_other_schemas_and_quoted_names(workplace: Workplace) -> None:
    """Table and index in a quoted schema, pgvector in a schema of its own that no
    search path has.
    """
    workplace.execute(
        "DROP EXTENSION vector CASCADE; CREATE SCHEMA ext; CREATE EXTENSION vector SCHEMA ext"
    )
    columns = f"{VECTORS.replace('vector(', 'ext.vector(')}, {COLUMNS}"
    workplace.execute(f"""
        CREATE SCHEMA "My App";
        CREATE TABLE "My App"."Docs" (id bigint PRIMARY KEY, {columns});
        CREATE INDEX "Near est" ON "My App"."Docs"
            USING hnsw ((embedding::ext.halfvec(8)) ext.halfvec_l2_ops)
    """)
    migration = made("My App.Docs")
    assert build(workplace, migration) == ["Near est_v2"]
    workplace.execute(
        "UPDATE pg_index SET indisvalid = false"
        """ WHERE indexrelid = '"My App"."Near est_v2"'::regclass"""
    )
    assert build(workplace, migration) == ["Near est_v2"]
    assert lacking(workplace, migration) == []


def test_a_constraint_is_named_and_not_built(workplace: Workplace) -> None:
    """An index that serves a constraint is not carried over: it is named with the
    statement that drops it.
    """
    docs(workplace)
    workplace.execute('ALTER TABLE docs ADD CONSTRAINT "No Twice" UNIQUE (tenant, embedding)')
    workplace.execute(f"CREATE INDEX served ON docs USING {COSINE}")
    with pytest.raises(VectrueError, match='DROP CONSTRAINT "No Twice"'):
        build(workplace, made())
    assert lacking(workplace, made()) == ["No Twice"]
