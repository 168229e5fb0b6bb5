"""A migration table by table: each column is decided by its own state, and no command does more than it was asked."""

import pytest

from tests.conftest import MakeWorkplace
from tests.support.moving import TO, columns, fill, length, migrate, refused, states, status, true_tables
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

A, B = "public.a", "public.b"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables of 20 rows with true vectors of 64 numbers."""
    return true_tables(make_workplace, A, B)


def only(place: Workplace, *names: str) -> None:
    """Settings that list some of the tables."""
    place.with_settings(tables=[{"name": name, "text": "question"} for name in names])


def test_mixed_states_are_gone_back_from_one_by_one(place: Workplace) -> None:
    """One table started and one swapped: a rollback drops the new vectors of one, and serves the old of the other."""
    migrate(place, "start", *TO, "-t", A)
    assert states(place) == {A: "started"}
    migrate(place, "start", *TO)  # takes the other
    fill(place)
    migrate(place, "swap", "-t", B)
    assert states(place) == {A: "started", B: "swapped"}
    found = status(place)
    assert found["next"] == f"embedsync migrate swap -t {A}"
    assert [line["next"].split(" (")[0] for line in found["columns"]] == [
        f"embedsync migrate swap -t {A}",
        f"embedsync migrate finish -t {B}",
    ]
    place.with_settings(model={"dimensions": 96})
    said = refused(place, "finish", "--yes")
    assert f"{A}.embedding is not swapped yet" in said
    assert f"embedsync migrate finish -t {B}" in said
    assert length(place, B, "embedding_old") == 64
    said = refused(place, "rollback")
    assert "embedding_v2" in said
    assert "the old vectors" in said
    place.with_settings(model={"dimensions": 64})
    assert migrate(place, "rollback", "--yes").count("next:") == 1
    assert states(place) == {A: "rolled_back", B: "started"}
    assert (columns(place, "a"), columns(place, "b")) == ({"embedding"}, {"embedding", "embedding_v2"})
    assert (length(place, "b"), length(place, "b", "embedding_v2")) == (64, 96)
    assert place.coverage(A)["current"] == place.coverage(B)["current"] == 20
    migrate(place, "rollback", "--yes", "-t", B)
    assert columns(place, "b") == {"embedding"}


def test_settings_of_a_part_and_of_all_mean_the_same(place: Workplace) -> None:
    """Started and swapped with files of one table each: the file of both takes back each by its own state."""
    only(place, A)
    migrate(place, "start", *TO)
    only(place, B)
    assert f"under way in the database, not in these settings: {A}.embedding" in (
        place.embedsync("migrate", "status").stdout
    )
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap")
    only(place, A, B)
    migrate(place, "rollback", "--yes")
    assert states(place) == {A: "rolled_back", B: "started"}
    assert columns(place, "b") == {"embedding", "embedding_v2"}


def test_a_typing_error_never_widens_the_scope(place: Workplace) -> None:
    """A table that is not configured is refused by name, by every verb, and nothing is done."""
    for verb in (["start", *TO], ["status"], ["index"], ["swap"], ["rollback", "--yes"], ["finish", "--yes"]):
        assert "table public.c is not among [[tables]]" in refused(place, *verb, "-t", "c")
    assert states(place) == {}


def test_an_end_that_would_leave_a_table_without_a_model_is_refused(place: Workplace) -> None:
    """Settings name one model: while a table that is not under way has the old one, no other is finished."""
    migrate(place, "start", *TO, "-t", A)
    fill(place)
    migrate(place, "swap")
    assert "next: embedsync migrate finish (first set model.name" in place.embedsync("migrate", "status").stdout
    place.with_settings(model={"dimensions": 96})
    said = refused(place, "finish", "--yes")
    assert f"{B}.embedding holds vectors of" in said
    assert f"-t {B}" in said
    place.with_settings(model={"dimensions": 64})
    migrate(place, "start", *TO, "-t", B)
    fill(place)
    migrate(place, "swap")
    place.with_settings(model={"dimensions": 96})
    migrate(place, "finish", "--yes", "-t", A)
    migrate(place, "finish", "--yes")
    assert states(place) == {A: "finished", B: "finished"}
    assert place.coverage(A)["current"] == place.coverage(B)["current"] == 20


def test_offline_goes_back_as_well(place: Workplace) -> None:
    """A column emptied for a model that cannot be had any more is emptied once more, and has its index again."""
    place.execute("CREATE INDEX near ON a USING hnsw (embedding vector_cosine_ops)")
    migrate(place, "start", *TO, "--offline", "--yes", "-t", A)
    assert length(place, "a") == 96
    said = refused(place, "rollback")
    assert f"{A}.embedding: all vectors of" in said
    migrate(place, "rollback", "--yes")
    assert length(place, "a") == 64
    assert place.value("SELECT indisvalid FROM pg_index WHERE indexrelid = 'near'::regclass")
    fill(place)
    assert place.coverage(A)["current"] == 20
    assert status(place)["next"] is None
