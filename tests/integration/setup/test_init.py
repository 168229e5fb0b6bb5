"""`vectrue init` on a real Postgres, Kafka and Connect: what it makes, once and again."""

import json
from typing import Any

import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.kafka import topics
from connectors.models import open_model
from schemas.errors import TransientError
from schemas.rows.table import TableName
from streams.setup import init
from tests.conftest import MakeWorkplace
from tests.support.init import planned, setup
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

VECTOR = "embedding vector(64)"


def catalogue(place: Workplace) -> list[Any]:
    """Everything that `init` makes in a database, as the catalogue describes it."""
    queries = (
        """SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns
           WHERE table_schema IN ('public', 'vectrue') ORDER BY 1, 2, 3""",
        "SELECT schemaname, tablename, attnames::text FROM pg_publication_tables ORDER BY 1, 2",
        "SELECT pubinsert, pubupdate, pubdelete, pubtruncate, pubviaroot FROM pg_publication",
        "SELECT plugin FROM pg_replication_slots WHERE database = current_database()",
        (
            "SELECT pg_get_viewdef('vectrue.coverage'), prosrc FROM pg_proc WHERE proname = "
            "'count_rows'"
        ),
        "SELECT table_name, column_name, model, dimensions FROM vectrue.targets ORDER BY 1, 2",
        "SELECT model, name, dimensions FROM vectrue.models",
        "SELECT version, name FROM vectrue.migrations",
        "SELECT id FROM vectrue.heartbeat",
    )
    return [place.execute(query) for query in queries]


def test_a_second_run_changes_nothing(workplace: Workplace) -> None:
    """`init` may be run at any time: what is in place is left alone, and said to be in
    place.
    """
    first = setup(workplace.settings)
    assert workplace.value(
        "SELECT active FROM pg_replication_slots WHERE slot_name = %s", (workplace.settings.slot,)
    )
    before = catalogue(workplace)
    assert first.changed
    second = setup(workplace.settings)
    assert second.changed == ()
    assert catalogue(workplace) == before
    assert planned(workplace.settings).statements == ()
    done = workplace.vectrue("init")
    assert "already in place" in done.stderr
    assert "nothing to do" in workplace.vectrue("init", "--print-sql").stdout


def test_the_printed_script_does_the_same(make_workplace: MakeWorkplace) -> None:
    """A DBA who runs the script leaves the database as `init` would, and `init` then
    only does the rest.
    """
    by_hand, by_init = make_workplace(), make_workplace()
    for place in (by_hand, by_init):
        place.execute(CREATE_QUESTIONS.format(dimensions=64))
    setup(by_init.settings)
    printed = by_hand.vectrue("init", "--print-sql").stdout
    assert by_hand.value("SELECT to_regnamespace('vectrue') IS NULL")
    with by_hand.session.cursor() as cursor:
        cursor.execute(printed)
    assert catalogue(by_hand) == catalogue(by_init)
    left = (
        "create the topic",
        "start the connector",
        "record the installation",
        "record the locale",
    )
    assert all(line.startswith(left) for line in setup(by_hand.settings).changed)


def test_drift_is_mended(workplace: Workplace) -> None:
    """What someone changed since is put right, piece by piece."""
    setup(workplace.settings)
    before = catalogue(workplace)
    workplace.execute("ALTER PUBLICATION vectrue DROP TABLE public.questions")
    workplace.execute("ALTER PUBLICATION vectrue SET (publish = 'delete')")
    workplace.execute("DROP VIEW vectrue.coverage")
    workplace.execute("DELETE FROM vectrue.targets")
    changed = setup(workplace.settings).changed
    assert [line.split(" ", 2)[0] for line in changed] == ["want", "create", "have", "change"]
    assert catalogue(workplace) == before


def test_the_application_can_change_its_tables(workplace: Workplace) -> None:
    """Nothing that `init` makes keeps the application from changing, renaming or
    dropping its columns and tables.
    """
    setup(workplace.settings)
    workplace.execute("ALTER TABLE questions ALTER question TYPE varchar(500)")
    workplace.execute("ALTER TABLE questions ALTER embedding TYPE vector")
    workplace.execute("ALTER TABLE questions RENAME embedding TO embedding_old")
    workplace.execute(f"ALTER TABLE questions ADD {VECTOR}")
    assert setup(workplace.settings).changed == ()
    workplace.execute("ALTER TABLE questions DROP question")
    workplace.execute("DROP TABLE questions")


def test_the_view_follows_the_settings(workplace: Workplace) -> None:
    """Another text is counted from the next run on."""
    workplace.execute("INSERT INTO questions (question) VALUES (NULL)")
    assert setup(workplace.settings).tables[0].blank == 1
    report = setup(
        workplace.with_settings(tables=[{"name": "public.questions", "text": "'no. ' || id"}])
    )
    model = open_model(workplace.settings.model).model_id
    assert report.changed == (
        "create the function that tries the text of public.questions",
        "drop the function of a text that no column has any more",
        f"want vectors of {model} in public.questions.embedding",
        "renew the view vectrue.coverage",
    )
    assert (report.tables[0].blank, report.tables[0].missing) == (0, 1)


def test_rows_that_were_there_before_are_counted(workplace: Workplace) -> None:
    """The report says how many rows lack a vector and which command fills them; blank
    rows lack none.
    """
    workplace.execute(
        "INSERT INTO questions (question) SELECT 'q ' || i FROM generate_series(1, 1234) AS i"
    )
    workplace.execute("INSERT INTO questions (question) VALUES (''), (NULL)")
    way = "next: vectrue worker, and vectrue replay run"
    said = ["1,234 of 1,236 rows of public.questions lack a current vector", way]
    assert setup(workplace.settings).lacking == said
    assert workplace.vectrue("init").stdout.endswith("".join(f"{line}\n" for line in said))
    report = json.loads(workplace.vectrue("init", "-o", "json").stdout)
    assert report["changed"] == []
    assert [(t["rows"], t["missing"], t["lacking"]) for t in report["tables"]] == [
        (1236, 1234, 1234)
    ]


def test_vectors_that_were_there_before_need_not_be_made_again(workplace: Workplace) -> None:
    """Someone who brings vectors along hears of `adopt` before a replay embeds them again."""
    workplace.execute(
        "INSERT INTO questions (question, embedding) VALUES ('a', array_fill(0.125, "
        "ARRAY[64])::vector)"
    )
    (_, way) = setup(workplace.settings).lacking
    adopt = "vectrue adopt -t public.questions --model lexical first"
    assert way.endswith(f"if this model made the existing vectors, {adopt}")


def test_a_change_of_model_is_said(workplace: Workplace) -> None:
    """Who changes the model is told from which to which, and how many vectors become
    stale.
    """
    workplace.execute("INSERT INTO questions (question) VALUES ('a'), ('b')")
    setup(workplace.settings)
    model = open_model(workplace.settings.model).model_id
    workplace.execute(
        "UPDATE questions SET embedding = array_fill(1, ARRAY[64])::vector, embedding_model = %s,"
        " embedding_hash = sha256(convert_to(question, 'UTF8')) WHERE question = 'a'",
        (model,),
    )
    workplace.execute("ALTER TABLE questions ALTER embedding TYPE vector")
    report = setup(workplace.with_settings(model={"dimensions": 32}))
    assert any(
        f"changes from {model} to lexical" in n and "1 vectors become stale" in n
        for n in report.notices
    )
    assert (report.tables[0].stale_model, report.tables[0].missing) == (1, 1)


def test_topics_have_the_configured_partitions(make_workplace: MakeWorkplace) -> None:
    """Topics get explicit partitions; one that exists with others is kept and reported."""
    place = make_workplace(kafka={"partitions": 3})
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    setup(place.settings)
    prefix = place.settings.kafka.topic_prefix
    there = topics.existing(place.settings)
    assert {
        name: there[name]
        for name in topics.wanted(place.settings, [TableName("public", "questions")])
    } == {
        f"{prefix}.public.questions": 3,
        f"{prefix}.replay": 3,
        f"{prefix}.deferred": 3,
        f"{prefix}.dlq": 1,
        f"{prefix}.vectrue.canary": 1,
        f"__debezium-heartbeat.{prefix}": 1,
    }
    report = setup(place.with_settings(kafka={"partitions": 4}))
    assert [notice.split(" ")[1] for notice in report.notices if "partitions" in notice] == [
        f"{prefix}.public.questions",
        f"{prefix}.replay",
        f"{prefix}.deferred",
    ]
    assert topics.existing(place.settings)[f"{prefix}.replay"] == 3


def test_a_lock_is_waited_for_and_not_held_against_others(workplace: Workplace) -> None:
    """A table that a transaction holds costs pauses, never a queue behind the DDL, and
    ends with the holder named.
    """
    holder = psycopg2.connect(workplace.settings.postgres.dsn, application_name="a long report")
    holder.cursor().execute("INSERT INTO questions (question) VALUES ('open')")
    settings = workplace.with_settings(postgres={"lock_timeout_seconds": 0.05})
    clock = SystemClock()

    class Hurried(SystemClock):
        """Pauses of no length."""

        def wait(self, seconds: float) -> None:
            """Wait a hundredth of the time."""
            clock.wait(seconds / 100)

    try:
        with pytest.raises(
            TransientError, match=r"add the columns .* timed out waiting for a lock .*a long report"
        ):
            init.run(settings, open_model(settings.model), Hurried(), lambda _: None)
    finally:
        holder.close()
    assert setup(settings).changed
