"""A migration table by table: each column is decided by its own state, and no command
does more than it was asked.
"""

import json
from collections import Counter
from contextlib import closing
from typing import Any

import pytest

from connectors.postgres.session import Session
from schemas.reports.search import SearchRequest
from streams.common import embedders, targets
from streams.search.search import Search
from tests.conftest import MakeWorkplace
from tests.support.migrations import (
    TO,
    columns,
    fill,
    length,
    migrate,
    refused,
    set_up,
    states,
    status,
    true_tables,
)
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

A, B = "public.a", "public.b"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables of 20 rows with true vectors of 64 numbers."""
    return true_tables(make_workplace, A, B)


def doctors(place: Workplace) -> list[dict[str, Any]]:
    """The lines of `doctor`."""
    found: list[dict[str, Any]] = json.loads(
        place.vectrue("doctor", "-o", "json", check=False).stdout
    )["findings"]
    return found


def only(place: Workplace, *names: str) -> None:
    """Settings that list some of the tables."""
    place.with_settings(tables=[{"name": name, "text": "question"} for name in names])


def test_mixed_states_are_gone_back_from_one_by_one(place: Workplace) -> None:
    """One table started and one swapped: a rollback drops the new vectors of one, and
    serves the old of the other.
    """
    migrate(place, "start", *TO, "-t", A)
    assert states(place) == {A: "started"}
    migrate(place, "start", *TO)  # takes the other
    fill(place)
    migrate(place, "swap", "-t", B)
    assert states(place) == {A: "started", B: "swapped"}
    found = status(place)
    assert found["next"] == f"vectrue migrate swap -t {A}"
    assert [line["next"].split(" (")[0] for line in found["columns"]] == [
        f"vectrue migrate swap -t {A}",
        f"vectrue migrate finish -t {B}",
    ]
    place.with_settings(model={"dimensions": 96})
    said = refused(place, "finish", "--yes")
    assert f"{A}.embedding is not swapped yet" in said
    assert f"vectrue migrate finish -t {B}" in said
    assert length(place, B, "embedding_old") == 64
    said = refused(place, "rollback")
    assert "embedding_v2" in said
    assert "the old vectors" in said
    place.with_settings(model={"dimensions": 64})
    assert migrate(place, "rollback", "--yes").count("next:") == 1
    assert states(place) == {A: "rolled_back", B: "started"}
    assert (columns(place, "a"), columns(place, "b")) == (
        {"embedding"},
        {"embedding", "embedding_v2"},
    )
    assert (length(place, "b"), length(place, "b", "embedding_v2")) == (64, 96)
    assert place.coverage(A)["current"] == place.coverage(B)["current"] == 20
    migrate(place, "rollback", "--yes", "-t", B)
    assert columns(place, "b") == {"embedding"}


def test_settings_of_a_part_and_of_all_mean_the_same(place: Workplace) -> None:
    """Started and swapped with files of one table each: the file of both takes back
    each by its own state.
    """
    only(place, A)
    migrate(place, "start", *TO)
    only(place, B)
    assert f"under way in the database, not in these settings: {A}.embedding" in (
        place.vectrue("migrate", "status").stdout
    )
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap")
    only(place, A, B)
    migrate(place, "rollback", "--yes")
    assert states(place) == {A: "rolled_back", B: "started"}
    assert columns(place, "b") == {"embedding", "embedding_v2"}


def test_a_typing_error_never_widens_the_scope(place: Workplace) -> None:
    """A table that is not configured is refused by name, by every verb, and nothing is
    done.
    """
    for verb in (
        ["start", *TO],
        ["status"],
        ["index"],
        ["swap"],
        ["rollback", "--yes"],
        ["finish", "--yes"],
    ):
        assert "table public.c is not among [[tables]]" in refused(place, *verb, "-t", "c")
    assert states(place) == {}
    for command in ("adopt --model lexical", "verify", "replay run", "search x"):
        said = place.vectrue(*command.split(), "-t", "c", check=False).stderr
        assert "table public.c is not among [[tables]]: correct --table: public.a, public.b" in said


def finds(place: Workplace) -> dict[str, int]:
    """What a search of each table finds, by the vectors' length."""
    session = Session(
        place.settings.postgres.dsn, role="test", prefix=place.settings.kafka.topic_prefix
    )
    with closing(session):
        found = targets.resolve(place.settings, session)
        models = embedders.for_targets(
            place.settings, session, targets.served(place.settings, session)
        )
        assert {target.model for target in found} >= set(models.ids)
        hits = Search(place.settings, session).find(SearchRequest("question 7", limit=40)).hits
    return dict(Counter(str(hit.table) for hit in hits))


def test_tables_that_go_one_by_one_are_finished_together(place: Workplace) -> None:
    """Settings name one model; whichever of the two they name, search goes on and every
    next step works.
    """
    migrate(place, "start", *TO, "-t", A)
    fill(place)
    migrate(place, "swap")
    start = f"vectrue migrate start --model lexical --dimensions 96 -t {B}"
    for length_named in (64, 96):
        place.with_settings(model={"dimensions": length_named})
        assert status(place)["next"] == f"{start} (then all are finished together)"
        said = refused(place, "finish")
        assert f"{B} is still to follow" in said
        assert start in said
        assert finds(place) == {A: 20, B: 20}
        assert [
            f for f in doctors(place) if f["status"] == "problem" and "dimensions" in f["check"]
        ] == []
    assert any(start in f"{f['fix']}" for f in doctors(place) if f["status"] == "warning")
    set_up(place)  # wants nothing else of the table that is yet to follow
    assert (length(place, B), place.coverage(B)["current"]) == (64, 20)
    migrate(place, "start", *TO, "-t", B)
    fill(place)
    migrate(place, "swap")
    migrate(place, "finish", "--yes", "-t", A)
    migrate(place, "finish", "--yes")
    assert states(place) == {A: "finished", B: "finished"}
    assert place.coverage(A)["current"] == place.coverage(B)["current"] == 20


def test_a_table_that_goes_back_after_the_others_have_arrived_is_served_on(
    place: Workplace,
) -> None:
    """Settings and database name two models for it, and how its own is opened is known
    from those that went.
    """
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap", "-t", B)
    place.with_settings(model={"dimensions": 96})
    migrate(place, "finish", "--yes", "-t", B)
    migrate(place, "rollback", "--yes", "-t", A)
    assert finds(place) == {A: 20, B: 20}
    assert status(place)["next"] == f"vectrue migrate start --model lexical --dimensions 96 -t {A}"
    place.with_settings(model={"dimensions": 64})  # as who follows an older advice
    (line,) = (f for f in doctors(place) if f["check"] == f"dimensions of {B}.embedding")
    assert (line["status"], line["fix"]) == (
        "warning",
        "set [model] to lexical with 96 dimensions in vectrue.toml",
    )
    place.with_settings(model={"dimensions": 96})
    migrate(place, "start", *TO, "-t", A)
    fill(place)
    migrate(place, "swap")
    migrate(place, "finish", "--yes")
    assert finds(place) == {A: 20, B: 20}


def test_offline_goes_back_as_well(place: Workplace) -> None:
    """A column emptied for a model that cannot be had any more is emptied once more,
    and has its index again.
    """
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
