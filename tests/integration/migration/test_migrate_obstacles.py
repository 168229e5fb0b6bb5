"""Nothing irreversible begins before all of it is known to succeed; what stands in the
way is named.
"""

import re

import pytest

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
    table,
)
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

A, B = "public.a", "app.b"
EACH = "FOR EACH ROW EXECUTE FUNCTION app.noted()"
RARE = "FOR EACH ROW WHEN (old.embedding IS NULL AND new.id < 0) EXECUTE FUNCTION app.noted()"
STANDING = {
    "view app.v": "CREATE VIEW app.v AS SELECT id, embedding FROM app.b",
    "view app.w": "CREATE VIEW app.w AS SELECT id FROM app.v WHERE embedding IS NOT NULL",
    "materialized view app.m": "CREATE MATERIALIZED VIEW app.m AS SELECT id, embedding FROM app.b",
    "function app.f()": (
        "CREATE FUNCTION app.f() RETURNS bigint"
        " BEGIN ATOMIC SELECT count(embedding) FROM app.b; END"
    ),
    "trigger t of app.b": f"CREATE TRIGGER t BEFORE UPDATE OF embedding ON app.b {EACH}",
    "trigger u of app.b": f"CREATE TRIGGER u BEFORE UPDATE ON app.b {RARE}",
    "policy p of app.b": "CREATE POLICY p ON app.b USING (embedding IS NULL OR id > 0)",
    "rule r of app.b": (
        "CREATE RULE r AS ON DELETE TO app.b WHERE old.embedding IS NULL DO ALSO SELECT 1"
    ),
    "generated column app.b.size": (
        "ALTER TABLE app.b ADD size int GENERATED ALWAYS AS (vector_dims(embedding)) STORED"
    ),
    "publication other": "CREATE PUBLICATION other FOR TABLE app.b (id, embedding)",
    "publication further": (
        "CREATE PUBLICATION further FOR TABLE app.b WHERE (embedding_model IS NOT NULL)"
    ),
}
NOTED = "CREATE FUNCTION app.noted() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN new; END'"
KEPT = "ALTER TABLE app.b ADD CONSTRAINT small CHECK (embedding IS NULL OR id < 1000)"


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables, one in a schema of its own, with true vectors."""
    made = make_workplace(tables=[{"name": name, "text": "question"} for name in (A, B)])
    made.execute("CREATE SCHEMA app")
    made.execute(NOTED)
    for name in (A, B):
        table(made, name)
    set_up(made)
    fill(made)
    return made


def obey(place: Workplace, sentence: str) -> None:
    """Type every statement that a refusal names, in its order."""
    typed = re.findall(r"(?:DROP|ALTER) [^;]+", sentence)
    assert typed
    for statement in typed:
        place.execute(statement.strip())


def test_a_finish_is_refused_before_the_first_table_loses_its_old_vectors(place: Workplace) -> None:
    """A view on the second table: the first keeps its old column, the view is named,
    and a step back is still there.
    """
    place.execute(STANDING["view app.v"])
    place.execute(STANDING["view app.w"])
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap")
    place.with_settings(model={"dimensions": 96})
    said = refused(place, "finish", "--yes")
    assert "view app.v depends on app.b.embedding_old" in said
    assert said.index("DROP VIEW app.w") < said.index("DROP VIEW app.v")
    assert "pg_get_viewdef" in said
    assert "vectrue init" not in said
    assert states(place) == {A: "swapped", B: "swapped"}
    assert columns(place, "a") == columns(place, "app.b") == {"embedding", "embedding_old"}
    migrate(place, "rollback")
    migrate(place, "swap")
    place.execute("DROP VIEW app.w; DROP VIEW app.v")
    migrate(place, "finish", "--yes")
    assert columns(place, "a") == columns(place, "app.b") == {"embedding"}
    assert place.coverage(B)["current"] == 20


def test_everything_that_postgres_would_refuse_is_named_at_once(place: Workplace) -> None:
    """One refusal lists all that stands on a column; its statements, typed in their
    order, clear the way.
    """
    place.execute(KEPT)
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap", "-t", A)
    migrate(place, "rollback", "-t", A)
    for statement in STANDING.values():
        place.execute(statement.replace("embedding", "embedding_v2"))
    said = refused(place, "rollback", "--yes")
    for name in STANDING:
        assert name in said
    assert columns(place, "a") == {"embedding", "embedding_v2"}
    obey(place, said)
    migrate(place, "rollback", "--yes")
    assert columns(place, "a") == columns(place, "app.b") == {"embedding"}


def test_an_offline_start_empties_nothing_while_a_column_cannot_be_changed(
    place: Workplace,
) -> None:
    """What stands on the second table keeps the vectors of the first; afterwards the
    start is as ever.
    """
    for statement in STANDING.values():
        place.execute(statement)
    place.execute("CREATE TABLE app.held (whole app.b)")
    said = refused(place, "start", *TO, "--offline", "--yes")
    for name in (*STANDING, "column of its row type app.held.whole"):
        assert name in said
    assert states(place) == {}
    assert place.coverage(A)["current"] == 20
    assert length(place, "a") == 64
    obey(place, said)
    migrate(place, "start", *TO, "--offline", "--yes")
    assert length(place, "a") == length(place, "app.b") == 96


def test_what_goes_along_with_a_column_is_said_before(place: Workplace) -> None:
    """Postgres drops a CHECK constraint over the vector silently with its column, so
    `finish` says it before.
    """
    place.execute(KEPT)
    migrate(place, "start", *TO, "-t", B)
    fill(place)
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap")
    place.with_settings(model={"dimensions": 96})
    assert "along with it goes check constraint small of app.b" in refused(place, "finish")


def test_a_surprise_takes_all_of_it_back(place: Workplace) -> None:
    """If Postgres refuses for a reason that cannot be foreseen, here an event trigger,
    nothing is changed, and the message says so and names the command.
    """
    migrate(place, "start", *TO)
    place.execute(
        "CREATE FUNCTION app.never() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN IF "
        "EXISTS (SELECT FROM "
        "pg_event_trigger_dropped_objects() WHERE object_identity LIKE 'app.b.%') THEN RAISE "
        "'not in this house'; "
        "END IF; END$$"
    )
    place.execute("CREATE EVENT TRIGGER never ON sql_drop EXECUTE FUNCTION app.never()")
    said = refused(place, "rollback", "--yes")
    assert "nothing was changed" in said
    assert "vectrue migrate rollback" in said
    assert states(place) == {A: "started", B: "started"}
    assert columns(place, "a") == columns(place, "app.b") == {"embedding", "embedding_v2"}
    place.execute("DROP EVENT TRIGGER never")
    migrate(place, "rollback", "--yes")


def test_columns_that_somebody_else_made_are_never_taken_for_ours(place: Workplace) -> None:
    """A column by the name that the migration needs is refused at the start, and not
    dropped by a rollback.
    """
    place.execute("ALTER TABLE app.b ADD COLUMN embedding_v2 vector(96)")
    said = refused(place, "start", *TO)
    assert "app.b has a column embedding_v2" in said
    assert "RENAME COLUMN" in said
    assert states(place) == {}
    place.execute("ALTER TABLE app.b RENAME COLUMN embedding_v2 TO mine")
    migrate(place, "start", *TO)
    place.execute("ALTER TABLE app.b ADD COLUMN embedding_old text")
    fill(place)
    assert "app.b has a column embedding_old" in refused(place, "swap")
    assert states(place) == {A: "started", B: "started"}


def test_what_somebody_does_to_a_table_under_way_is_a_named_state(place: Workplace) -> None:
    """A column or a table that is gone, or renamed: `status` says so, with a command
    that makes progress.
    """
    migrate(place, "start", *TO)
    place.execute("ALTER TABLE app.b DROP COLUMN embedding_v2")
    found = status(place)
    assert "embedding_v2 is missing" in next(
        line["problem"] for line in found["columns"] if line["table"] == B
    )
    assert "embedding_v2 is missing" in refused(place, "swap")
    assert found["next"].startswith(f"vectrue migrate start --model lexical --dimensions 96 -t {B}")
    migrate(place, "start", *TO, "-t", B)
    fill(place)
    migrate(place, "swap", "-t", B)
    place.execute("ALTER TABLE a RENAME TO c")
    assert "table public.a no longer exists" in refused(place, "swap")
    assert f"vectrue migrate rollback -t {A}" in status(place)["next"]
    place.with_settings(tables=[{"name": B, "text": "question"}])
    assert f"vectrue migrate rollback -t {A}" in place.vectrue("migrate", "status").stdout
    migrate(place, "rollback", "--yes", "-t", A)
    assert states(place) == {A: "rolled_back", B: "swapped"}
    place.execute("ALTER TABLE app.b DROP COLUMN embedding_old")
    assert "vectrue migrate finish" in refused(place, "rollback", "--yes")
    place.with_settings(model={"dimensions": 96})
    migrate(place, "finish", "--yes")
    assert status(place)["columns"] == []
