"""Rules of a migration: which step may follow which, the names it makes, and how an
index is carried over.
"""

import pytest

from schemas.errors import VectrueError
from schemas.reports.migration import (
    ColumnMigration,
    MigrationState,
    MigrationStep,
    growing,
    index_names,
    require,
    retired,
)
from schemas.rows.table import TableName


def made(
    state: MigrationState = MigrationState.STARTED,
    *,
    offline: bool = False,
    column: str = "embedding",
    to: int = 1024,
) -> ColumnMigration:
    """A migration from 768 numbers."""
    return ColumnMigration(
        TableName.parse("public.questions"), column, state, offline, False, "a@1", 768, "b@1", to
    )


@pytest.mark.parametrize(
    ("state", "offline", "step", "fix"),
    [
        (MigrationState.STARTED, False, MigrationStep.FINISH, "vectrue migrate swap"),
        (MigrationState.SWAPPED, False, MigrationStep.INDEX, "vectrue migrate finish"),
        (MigrationState.STARTED, True, MigrationStep.SWAP, "vectrue migrate finish"),
    ],
)
def test_a_step_out_of_order_names_the_next_one(
    state: MigrationState, offline: bool, step: MigrationStep, fix: str
) -> None:
    """What may not be done now is refused with the command that may."""
    with pytest.raises(VectrueError, match=fix):
        require(step, [made(state, offline=offline)])


def test_no_step_without_a_migration() -> None:
    """Without `start` there is nothing to swap."""
    with pytest.raises(VectrueError, match="migrate start"):
        require(MigrationStep.SWAP, [])


@pytest.mark.parametrize(
    ("state", "beside"),
    [(MigrationState.STARTED, "embedding_v2"), (MigrationState.SWAPPED, "embedding_old")],
)
def test_the_column_beside_changes_its_name_with_the_swap(
    state: MigrationState, beside: str
) -> None:
    """Before the swap the new vectors stand beside, afterwards the old ones."""
    assert made(state).beside == beside
    assert made(state, offline=True).beside is None


def test_names_fit_into_what_postgres_keeps() -> None:
    """Every derived name, its provenance columns' too, has at most 63 bytes, and no
    character is cut in two.
    """
    for name in ("x" * 63, "벡터" * 10 + "abc"):
        for column in (growing(name), retired(name)):
            assert len(f"{column}_model".encode()) <= 63
        names = index_names(name, "")
        assert max(len(n.encode()) for n in (names.growing, names.retired)) <= 63
        assert len({names.served, names.growing, names.retired}) == 3
