"""What `migrate plan` says to type: each table by its own state, the hands' part where
it belongs.
"""

from dataclasses import replace

from connectors.postgres.migrations.twins import Index, IndexTwins
from schemas.reports.migration import ColumnMigration, MigrationState
from schemas.rows.index_definition import Definition, Vectors
from schemas.rows.table import TableName
from streams.migration.column_status import ColumnStatus
from streams.migration.next_step import Next
from streams.migration.planning import command_list as migrate_list
from streams.migration.planning.command_list import TableCommands
from streams.migration.planning.todo import Todo

A, B, C = (TableName("public", name) for name in "abc")
START = "vectrue migrate start --model new --dimensions 96"
VIEW = Todo(
    "finish",
    True,
    "view v",
    "DROP VIEW v",
    "alice",
    keep="SELECT pg_get_viewdef(1)",
    recreate="view v, on embedding",
)


def standing(*, lacking: bool) -> IndexTwins:
    """Indexes of a column: one, which has a twin or not."""
    definition = Definition("CREATE INDEX i ON public.a USING hnsw (embedding vector_cosine_ops)")
    index = Index(1, "i", A, 1, 0, False, None, definition, True, 0)
    vectors = Vectors("embedding", 64, "old"), Vectors("embedding_v2", 96, "new")
    return IndexTwins(*vectors, (index,), (None if lacking else index,), (), (index,), ())


def line(
    table: TableName,
    state: MigrationState = MigrationState.STARTED,
    *,
    staying: int | None = 0,
    lacking: bool = False,
) -> ColumnStatus:
    """A table under way."""
    made = ColumnMigration(table, "embedding", state, False, False, "old", 64, "new", 96)
    return ColumnStatus(made, 20, staying, standing(lacking=lacking), staying)


def entry(
    table: TableName, seen: ColumnStatus | None = None, *todo: Todo, offline: bool = False
) -> TableCommands:
    """A table of the list."""
    return TableCommands(table, seen, offline, False, todo)


def typed(
    *entries: TableCommands,
    flags: str = "",
    naming: str | None = None,
    every: tuple[Todo, ...] = (),
) -> list[str]:
    """The list."""
    return migrate_list.lines(
        entries, every, named=" --model new --dimensions 96", flags=flags, naming=naming
    )


def test_tables_that_are_alike_need_no_flags() -> None:
    """One command for all of them, with the scope as it was typed."""
    whole = [
        START,
        "vectrue replay run",
        "vectrue migrate index",
        "vectrue migrate swap",
        "vectrue migrate finish",
    ]
    assert typed(entry(A), entry(B)) == whole
    assert typed(entry(A), entry(B), flags=" -t public.a -t public.b") == [
        f"{one} -t public.a -t public.b" for one in whole
    ]
    assert typed(entry(A, offline=True)) == [
        f"{START} --offline",
        "vectrue replay run",
        "vectrue migrate index",
        "vectrue migrate finish",
    ]


def test_each_table_goes_its_own_way_to_the_end() -> None:
    """One to be started, one whose rows are filled, one that is swapped: each command
    for those that it is for.
    """
    filled = entry(A, line(A, lacking=True))
    assert typed(entry(C), filled, entry(B, line(B, MigrationState.SWAPPED))) == [
        f"{START} -t public.c",
        "vectrue replay run -t public.c",
        "vectrue migrate index -t public.c -t public.a",
        "vectrue migrate swap -t public.c -t public.a",
        "vectrue migrate finish",
    ]
    assert typed(entry(A, line(A))) == ["vectrue migrate swap", "vectrue migrate finish"]
    assert typed(entry(A, line(A, staying=3)))[0] == "vectrue replay run"
    assert typed(entry(A, line(A, staying=None)))[0] == START
    assert typed(replace(entry(A), is_left=True)) == []


def test_what_somebody_did_to_a_table_is_mended_first() -> None:
    """And a replay run that is under way is waited for."""
    amiss = replace(line(A), problem=Next("vectrue migrate start", remark="or rollback"))
    assert typed(entry(A, amiss), entry(B))[:3] == [
        f"{START} -t public.b",
        "# you: vectrue migrate start -t public.a (or rollback)",
        "vectrue replay run",
    ]
    paused = replace(
        line(A, staying=3), run=Next("vectrue replay resume", "17", takes_tables=False)
    )
    assert typed(entry(A, paused))[:2] == ["# you: vectrue replay resume 17", "vectrue replay run"]


def test_what_blocks_a_step_stands_before_it() -> None:
    """With its statement, and the sentence where there is none; the same of two tables
    once.
    """
    index = Todo("start", True, "index i is too long", "DROP INDEX CONCURRENTLY i", "you")
    look = Todo("swap", False, "look at function f()", "\\sf f()", "bob")
    pull = Todo("replay", False, "not here", "vectrue model pull new", "you")
    found = typed(
        entry(A, None, index, look), entry(B, None, look), every=(pull,), naming="set model.name"
    )
    assert found == [
        "# you: DROP INDEX CONCURRENTLY i;",
        START,
        "# you: vectrue model pull new",
        "vectrue replay run",
        "vectrue migrate index",
        "# bob: \\sf f()",
        "vectrue migrate swap",
        "# you: set model.name",
        "vectrue migrate finish",
    ]


def test_what_a_drop_takes_along_is_kept_before_the_swap_and_made_anew_after_it() -> None:
    """What reads another one is dropped before it, and made after it; nothing is made
    before it is dropped.
    """
    above = replace(
        VIEW,
        what="view w",
        statement="DROP VIEW w",
        keep="SELECT pg_get_viewdef(2)",
        recreate="view w",
    )
    assert typed(entry(A, line(A), above, VIEW)) == [
        (
            "# alice: keep what this prints, which the DROP below takes along: SELECT "
            "pg_get_viewdef(2);"
        ),
        (
            "# alice: keep what this prints, which the DROP below takes along: SELECT "
            "pg_get_viewdef(1);"
        ),
        "vectrue migrate swap",
        "# alice: DROP VIEW w;",
        "# alice: DROP VIEW v;",
        "# alice: recreate view v, on embedding",
        "# alice: recreate view w",
        "vectrue migrate finish",
    ]
    swapped = typed(entry(A, line(A, MigrationState.SWAPPED), VIEW))
    assert [one.split(":")[1].split()[0] for one in swapped[:3]] == ["keep", "DROP", "recreate"]
    offline = typed(entry(A, None, replace(VIEW, step="start"), offline=True))
    assert [one.split()[2] for one in offline[:4]] == ["keep", "DROP", "start", "recreate"]
