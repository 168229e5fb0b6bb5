"""Steps of a migration over several tables are whole, and `status` judges by the rule
of the gate.
"""

import json
from typing import Any

import pytest

from tests.conftest import MakeWorkplace
from tests.support.migrations import TO, columns, fill, migrate, refused, states, true_tables
from tests.support.waiting import let_pass, until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

A, B = "public.a", "public.b"
GUARD = """
    CREATE FUNCTION public.never() RETURNS event_trigger LANGUAGE plpgsql AS $$BEGIN
        IF EXISTS (SELECT FROM {} WHERE object_identity LIKE 'public.b%') THEN
            RAISE 'not in this house';
        END IF;
    END$$;
    CREATE EVENT TRIGGER never ON {} EXECUTE FUNCTION public.never()
"""
"""A refusal that no look foresees, of what is done to the second table."""


@pytest.fixture
def place(make_workplace: MakeWorkplace) -> Workplace:
    """Two tables of 20 rows with true vectors of 64 numbers."""
    return true_tables(make_workplace, A, B)


def test_a_start_that_fails_at_the_second_table_has_not_begun(place: Workplace) -> None:
    """No column, no record and no wanted model of the first table either; afterwards it
    starts as ever.
    """
    place.execute(GUARD.format("pg_event_trigger_ddl_commands()", "ddl_command_end"))
    assert "nothing was changed" in refused(place, "start", *TO)
    assert states(place) == {}
    assert columns(place, "a") == columns(place, "b") == {"embedding"}
    assert place.value("SELECT count(*) FROM vectrue.targets") == 2
    place.execute("DROP EVENT TRIGGER never")
    migrate(place, "start", *TO)


def test_a_finish_that_fails_at_the_second_table_has_dropped_nothing(place: Workplace) -> None:
    """The first keeps its old vectors, so that a step back is still there."""
    migrate(place, "start", *TO)
    fill(place)
    migrate(place, "swap")
    place.with_settings(model={"dimensions": 96})
    place.execute(GUARD.format("pg_event_trigger_dropped_objects()", "sql_drop"))
    assert "nothing was changed" in refused(place, "finish", "--yes")
    assert states(place) == {A: "swapped", B: "swapped"}
    assert columns(place, "a") == columns(place, "b") == {"embedding", "embedding_old"}
    place.execute("DROP EVENT TRIGGER never")
    migrate(place, "finish", "--yes")


def test_rows_on_their_way_ask_for_no_replay(place: Workplace) -> None:
    """If a row lacks its vector when it is counted and has it a moment later, `status` asks
    for no replay.
    """
    migrate(place, "start", *TO)
    fill(place)
    text = place.value("SELECT question FROM a WHERE id = 1")
    patience = iter(range(1, 100))

    def looked() -> dict[str, Any]:
        """One look, in which the row lacks its vector at first; nothing where the look
        began too late.
        """
        place.execute("UPDATE a SET question = 'on its way' WHERE id = 1")
        log = f"look{next(patience)}"
        process = place.start("migrate", "status", "-o", "json", log=log)
        let_pass(0.5 * next(patience))
        place.execute("UPDATE a SET question = %s WHERE id = 1", (text,))
        assert process.wait(120) == 0
        found: dict[str, Any] = json.loads(place.log(log))
        return found if any(line["lacking"] for line in found["columns"]) else {}

    found = until(looked, what="a look that counts the row while it lacks its vector")
    assert found["next"] == "vectrue migrate swap"
