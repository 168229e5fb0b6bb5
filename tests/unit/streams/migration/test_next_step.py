"""Rules of a migration whose columns are at different steps: who takes a step, and what
is typed next.
"""

import pytest

from schemas.errors import VectrueError
from schemas.reports.migration import ColumnMigration, MigrationState, MigrationStep, require
from schemas.rows.table import TableName
from streams.migration.next_step import Next, following, following_all

TABLES = {name: TableName("public", name) for name in "abc"}


def made(
    name: str, state: MigrationState = MigrationState.STARTED, *, offline: bool = False
) -> ColumnMigration:
    """A migration of one table."""
    to = {"name": "new model", "revision": None}
    return ColumnMigration(
        TABLES[name],
        "embedding",
        state,
        offline,
        False,
        "old@1",
        768,
        "new@1",
        1024,
        to_settings=to,
    )


STARTED, SWAPPED, OFFLINE = made("a"), made("b", MigrationState.SWAPPED), made("c", offline=True)


@pytest.mark.parametrize(
    ("step", "takes"),
    [
        (MigrationStep.INDEX, [STARTED, OFFLINE]),
        (MigrationStep.SWAP, [STARTED, SWAPPED]),
        (MigrationStep.ROLLBACK, [STARTED, SWAPPED, OFFLINE]),
    ],
)
def test_a_step_takes_the_columns_that_it_is_for(
    step: MigrationStep, takes: list[ColumnMigration]
) -> None:
    """Of columns at different steps those that may take it, whatever the first one's
    state is.
    """
    for found in ([STARTED, SWAPPED, OFFLINE], [OFFLINE, SWAPPED, STARTED]):
        assert sorted(require(step, found), key=lambda m: m.name) == takes


def test_an_end_takes_all_or_names_those_that_are_too_early() -> None:
    """What drops something is refused while it is too early for one of them, with what
    can be typed for the others.
    """
    with pytest.raises(VectrueError) as refused:
        require(MigrationStep.FINISH, [SWAPPED, STARTED, OFFLINE])
    assert "public.a.embedding is not swapped yet" in refused.value.message
    assert refused.value.fix == (
        "vectrue migrate swap -t public.a; or, for those that are ready, vectrue migrate finish "
        "-t public.b -t public.c"
    )


@pytest.mark.parametrize(
    ("column", "staying", "unbuilt", "typed"),
    [
        (STARTED, None, 0, "vectrue migrate start --model 'new model' --dimensions 1024"),
        (STARTED, 3, 1, "vectrue replay run"),
        (STARTED, 0, 1, "vectrue migrate index"),
        (STARTED, 0, 0, "vectrue migrate swap"),
        (SWAPPED, 5, 0, "vectrue migrate finish (or rollback)"),
        (OFFLINE, 0, 0, "vectrue migrate finish"),
        (OFFLINE, None, 0, "vectrue migrate start --model 'new model' --dimensions 1024 --offline"),
    ],
)
def test_what_comes_next_for_a_column(
    column: ColumnMigration, staying: int | None, unbuilt: int, typed: str
) -> None:
    """By its own state, and by the rows that stay without a vector: those on their way
    count for nothing.
    """
    assert following(column, staying=staying, unbuilt=unbuilt).typed() == typed


def test_the_model_is_named_before_the_end() -> None:
    """`finish` wants the settings to name the new model, so what comes next says so."""
    step = following(SWAPPED, staying=0, unbuilt=0, named=False)
    assert 'model.name = "new model" and model.dimensions = 1024' in step.typed()


def test_a_command_names_its_tables_unless_it_is_for_all() -> None:
    """Commands of columns at different steps are listed with -t, each once, the most
    urgent first.
    """
    swap, replay = Next("vectrue migrate swap"), Next("vectrue replay run")
    assert following_all([(TABLES["a"], swap), (TABLES["b"], swap)], is_part=False) == [
        "vectrue migrate swap"
    ]
    assert following_all([(TABLES["a"], swap)], is_part=True) == [
        "vectrue migrate swap -t public.a"
    ]
    assert following_all(
        [(TABLES["a"], swap), (TABLES["b"], replay), (TABLES["c"], swap)], is_part=False
    ) == [
        "vectrue replay run -t public.b",
        "vectrue migrate swap -t public.a -t public.c",
    ]
