"""The effect of a vector's write on an application that locks optimistically or reads in a
snapshot; see docs/neighbour.md.
"""

from contextlib import closing

import psycopg2
import pytest
from psycopg2 import errors

from tests.support.server import fill_vectors
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack


def test_xmin_as_a_version_moves_with_a_vector_and_a_column_of_their_own_does_not(
    ready: Workplace,
) -> None:
    """An UPDATE by `xmin` finds no row once the vector is there; read again it does. By
    a version column it does.
    """
    ready.execute("ALTER TABLE questions ADD version integer NOT NULL DEFAULT 1")
    ready.execute("INSERT INTO questions (id, question) VALUES (1, 'one')")
    read = "SELECT xmin::text, version FROM questions WHERE id = 1"
    by_xmin = "UPDATE questions SET views = 1 WHERE id = 1 AND xmin = %s::xid RETURNING id"
    by_column = (
        "UPDATE questions SET views = 2, version = version + 1 WHERE id = 1 AND version = %s "
        "RETURNING id"
    )
    ((xmin, version),) = ready.execute(read)
    fill_vectors(ready)
    assert ready.execute(by_xmin, (xmin,)) == []
    ((xmin, _),) = ready.execute(read)
    assert ready.execute(by_xmin, (xmin,)) == [(1,)]
    assert ready.execute(by_column, (version,)) == [(1,)]
    assert ready.coverage()["current"] == 1


def test_a_snapshot_of_before_the_vector_cannot_change_its_row_and_the_next_one_can(
    ready: Workplace,
) -> None:
    """REPEATABLE READ: error 40001 where the vector came in between, and the
    transaction run again succeeds.
    """
    ready.execute("INSERT INTO questions (id, question) VALUES (1, 'one'), (2, 'two')")
    with (
        closing(psycopg2.connect(ready.settings.postgres.dsn)) as application,
        application.cursor() as cursor,
    ):
        application.set_session(isolation_level="REPEATABLE READ")
        cursor.execute("SELECT count(*) FROM questions")
        fill_vectors(ready)
        with pytest.raises(errors.SerializationFailure):
            cursor.execute("UPDATE questions SET views = 1 WHERE id = 1")
        application.rollback()
        cursor.execute("UPDATE questions SET views = 1 WHERE id = 1")
        application.commit()
    assert ready.value("SELECT views FROM questions WHERE id = 1") == 1
    assert ready.coverage()["current"] == 2
