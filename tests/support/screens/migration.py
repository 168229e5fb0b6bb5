"""Pages of `vectrue migrate`."""

from connectors.postgres.migrations import dependents
from connectors.postgres.migrations.twins import Index, IndexTwins
from schemas.reports.migration import ColumnMigration, MigrationState
from schemas.rows.index_definition import Definition, Vectors
from schemas.rows.table import TableName
from schemas.rows.target import Target
from streams.cli.screen import (
    migrate_page,
)
from streams.migration.column_status import ColumnStatus, MigrationStatus
from streams.migration.planning import command_list as migrate_list
from streams.migration.planning import plan_report as migrate_plan
from streams.migration.planning import todo as migrate_todo
from tests.support.screens.names import COLUMN, LONG, MODEL, OLD


def _made(
    table: str, column: str, state: MigrationState, *, offline: bool = False
) -> ColumnMigration:
    to = {"name": "BAAI/bge-m3"}
    return ColumnMigration(
        TableName.parse(table), column, state, offline, False, OLD, 768, MODEL, 1024, to_settings=to
    )


def _standing(table: str, column: str, built: int) -> IndexTwins:
    vectors = Vectors(column, 768, OLD), Vectors(f"{column}_v2", 1024, MODEL)
    definition = Definition(f"CREATE INDEX near ON {table} USING hnsw ({column} vector_cosine_ops)")
    found = tuple(
        Index(i, name, TableName.parse(table), 1, 0, False, None, definition, True, 0)
        for i, name in enumerate(("가까운_질문", "near"))
    )
    broken = Index(9, "near_v2", TableName.parse(table), 1, 0, False, None, definition, False, 0)
    return IndexTwins(
        *vectors, found, tuple(found[:built]) + (None,) * (2 - built), (broken,), (), ()
    )


def _moving() -> list[ColumnStatus]:
    swapped = _made(LONG, COLUMN, MigrationState.SWAPPED)
    return [
        ColumnStatus(
            _made("public.questions", "embedding", MigrationState.STARTED),
            1_204_331,
            104_331,
            _standing("public.questions", "embedding", 1),
            104_331,
        ),
        ColumnStatus(
            swapped,
            237,
            0,
            _standing(LONG, COLUMN, 2),
            0,
            named=False,
            readers=("view 면접.가까운",),
        ),
    ]


def status_page(wide: bool) -> None:
    offline = ColumnStatus(
        _made("app.answers", "embedding", MigrationState.STARTED, offline=True),
        12,
        0,
        _standing("app.answers", "embedding", 0),
        0,
    )
    migrate_page.show_status(MigrationStatus([*_moving(), offline]), wide=wide)


def plan_page(_wide: bool) -> None:
    index = {
        "name": "near",
        "table": "public.questions",
        "bytes": 1_912_000_000,
        "method": "hnsw",
        "definition": "",
    }
    view = dependents.Dependent(
        "view",
        "면접.가까운",
        "DROP VIEW 면접.가까운",
        "SELECT pg_get_viewdef(oid) FROM pg_class",
        blocks=True,
    )
    target = Target(TableName.parse(LONG), COLUMN, OLD, (), "", 768)
    todo = migrate_todo.of_dependent(
        view, "김철수", target, _made(LONG, COLUMN, MigrationState.SWAPPED), offline=False
    )
    started, swapped = _moving()
    fresh = TableName.parse("app.answers")
    behind = migrate_todo.Todo(
        "start",
        True,
        "role 이영희 of postgres.admin_dsn does not own app.answers",
        'GRANT "김철수" TO "이영희"',
        "김철수",
    )
    tables = [
        migrate_plan.TablePlan(
            table,
            column,
            state,
            rows,
            OLD,
            768,
            1024,
            size,
            more,
            912_000_000_000,
            parts,
            ("near",),
            (index,) if state == "started" else (),
            2_549_000_000,
            ("near_v2",) if state == "started" else (),
            (),
            took,
            notes,
        )
        for table, column, state, rows, size, more, parts, took, notes in (
            (
                "public.questions",
                "embedding",
                "started",
                1_204_331,
                5_210_000_000,
                5_104_000_000,
                12,
                8_540.0,
                (),
            ),
            (LONG, COLUMN, "swapped", 237, 1_000_000, 1_000_000, 0, 2.0, (todo,)),
            (str(fresh), "embedding", None, None, None, None, 0, None, (behind,)),
        )
    ]
    entries = [
        migrate_list.TableCommands(started.migration.table, started, False, False, ()),
        migrate_list.TableCommands(swapped.migration.table, swapped, False, False, (todo,)),
        migrate_list.TableCommands(fresh, None, False, False, (behind,)),
    ]
    commands = migrate_list.lines(
        entries,
        (),
        named=" --model BAAI/bge-m3 --dimensions 1024",
        flags="",
        naming='set model.name = "BAAI/bge-m3" and model.dimensions = 1024 in vectrue.toml',
    )
    said = "public.questions.embedding is on its way to BAAI/bge-m3 (started)"
    made = migrate_plan.MigrationPlan(MODEL, tuple(tables), (), tuple(commands), said)
    migrate_page.show(made, migrate_plan.LOCKS)
