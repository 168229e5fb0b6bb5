"""What `vectrue init` refuses before it changes anything, and what it only notices."""

import pytest

from connectors.kafka import topics
from schemas.errors import ConfigurationError, TransientError
from tests.conftest import MakeWorkplace
from tests.support.init import planned, setup
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack

VECTOR = "embedding vector(64)"


REFUSED: list[tuple[str, str, str, str]] = [
    ("CREATE VIEW t AS SELECT 1 AS id", "t is a view, and only tables", "holds the rows", "id"),
    (
        "CREATE MATERIALIZED VIEW t AS SELECT 1 AS id",
        "t is a materialized view",
        "holds the rows",
        "id",
    ),
    (
        f"CREATE UNLOGGED TABLE t (id int PRIMARY KEY, {VECTOR})",
        "t is unlogged",
        "SET LOGGED",
        "id",
    ),
    (f"CREATE TABLE t (id int, {VECTOR})", "t has no primary key", "ADD PRIMARY KEY", "id"),
    (
        f"CREATE TABLE t (id int PRIMARY KEY, {VECTOR}); ALTER TABLE t REPLICA IDENTITY NOTHING",
        "t has REPLICA IDENTITY NOTHING",
        "REPLICA IDENTITY DEFAULT",
        "id",
    ),
    (
        f"""CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL, {VECTOR});
            CREATE UNIQUE INDEX i ON t (a);
            ALTER TABLE t REPLICA IDENTITY USING INDEX i; DROP INDEX i""",
        "t has REPLICA IDENTITY NOTHING",
        "REPLICA IDENTITY DEFAULT",
        "id",
    ),
    (
        f"CREATE TABLE t (id int PRIMARY KEY DEFERRABLE, {VECTOR})",
        "t is deferrable",
        "NOT DEFERRABLE",
        "id",
    ),
    (
        (
            f"CREATE TABLE r (id int PRIMARY KEY, {VECTOR}) PARTITION BY RANGE (id); CREATE "
            "TABLE t "
            "PARTITION OF r DEFAULT"
        ),
        "t is a partition",
        "name public.r in",
        "id",
    ),
    (
        f"""CREATE TABLE t (id int PRIMARY KEY, {VECTOR}) PARTITION BY RANGE (id);
            CREATE TABLE p PARTITION OF t DEFAULT; ALTER TABLE p REPLICA IDENTITY NOTHING""",
        "partition public.p of table public.t has REPLICA IDENTITY NOTHING",
        "ALTER TABLE public.p",
        "id",
    ),
    (
        f"CREATE TABLE t (id int PRIMARY KEY, {VECTOR}); CREATE TABLE c () INHERITS (t)",
        "inherit from it",
        "partitioning",
        "id",
    ),
    (
        f"CREATE TABLE t (id bytea PRIMARY KEY, {VECTOR})",
        "key column 'id' of table public.t is of type bytea",
        "",
        "''",
    ),
    (f"CREATE TABLE t (id name PRIMARY KEY, {VECTOR})", "is of type name", "", "id"),
    (f"CREATE TABLE t (id real PRIMARY KEY, {VECTOR})", "is of type real", "", "id"),
    (f"CREATE TABLE t (id int[] PRIMARY KEY, {VECTOR})", "is of type integer[]", "", "''"),
    (
        f"CREATE TABLE t (a int, id int GENERATED ALWAYS AS (a) STORED PRIMARY KEY, {VECTOR})",
        "is generated",
        "ordinary",
        "id",
    ),
    (
        f'CREATE TABLE t (id int PRIMARY KEY, a text, "A" text, {VECTOR})',
        "differ from 'a' by case alone",
        "RENAME",
        "id",
    ),
    ("CREATE TABLE t (id int PRIMARY KEY)", "t has no column 'embedding'", "ADD COLUMN", "id"),
    (
        "CREATE TABLE t (id int PRIMARY KEY, embedding text)",
        "is of type text, not vector",
        "name the vector",
        "id",
    ),
    (
        "CREATE TABLE t (id int PRIMARY KEY, embedding vector(3))",
        "vector(3)",
        "model.dimensions",
        "id",
    ),
    (
        f"CREATE TABLE t (id int PRIMARY KEY, {VECTOR} NOT NULL)",
        "is NOT NULL",
        "DROP NOT NULL",
        "id",
    ),
    (
        f"CREATE TABLE t (id int PRIMARY KEY, embedding_model int, {VECTOR})",
        "column public.t.embedding_model is of type integer",
        "rename",
        "id",
    ),
    (
        f"CREATE TABLE t (id int PRIMARY KEY, {VECTOR})",
        "is not a valid expression",
        "[[tables]] text",
        "nosuch",
    ),
    (
        f"CREATE TABLE t (id int PRIMARY KEY, {VECTOR})",
        'integer: "-"',
        "[[tables]] text",
        "coalesce(id, '-')",
    ),
    ("SELECT 1", "there is no table public.t", "[[tables]] name", "id"),
]


@pytest.mark.parametrize(("ddl", "sentence", "fix", "text"), REFUSED)
def test_what_cannot_work_is_refused(
    make_workplace: MakeWorkplace, ddl: str, sentence: str, fix: str, text: str
) -> None:
    """Each table that would break the application or hide rows is refused in one
    sentence, before any change.
    """
    place = make_workplace(tables=[{"name": "public.t", "text": text}])
    place.execute(ddl)
    with pytest.raises(ConfigurationError) as caught:
        setup(place.settings)
    assert sentence in caught.value.message
    assert fix in (caught.value.fix or "")
    assert place.value("SELECT to_regnamespace('vectrue') IS NULL")


def test_no_tables_is_a_sentence(make_workplace: MakeWorkplace) -> None:
    """Without [[tables]] there is nothing to set up."""
    with pytest.raises(ConfigurationError, match=r"no \[\[tables\]\] configured"):
        setup(make_workplace(tables=[]).settings)


def test_a_foreign_publication_is_left_alone(workplace: Workplace) -> None:
    """A publication that someone else made and may read is neither changed nor used."""
    workplace.execute("CREATE PUBLICATION vectrue FOR TABLE questions")
    with pytest.raises(
        ConfigurationError,
        match=r"publication vectrue was not made by vectrue.*postgres\.publication",
    ):
        setup(workplace.settings)


def test_a_slot_of_another_database_is_refused(make_workplace: MakeWorkplace) -> None:
    """A slot's name is unique in the server; one that reads another database cannot be
    used.
    """
    one, two = make_workplace(), make_workplace()
    two.execute(CREATE_QUESTIONS.format(dimensions=64))
    one.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (two.settings.slot,))
    with pytest.raises(
        ConfigurationError, match=r"belongs to database .*a kafka\.topic_prefix of its own"
    ):
        setup(two.settings)


def test_absent_services_are_named_before_anything_is_changed(
    workplace: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A Kafka or Connect that does not answer is named by its setting, and the database
    stays as it was.
    """
    monkeypatch.setattr(topics, "_ANSWER_SECONDS", 1.0)
    good = workplace.settings
    with pytest.raises(TransientError, match=r"connect\.url"):
        setup(workplace.with_settings(connect={"url": "http://127.0.0.1:1"}))
    workplace.settings = good
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:1.*kafka\.bootstrap_servers"):
        setup(workplace.with_settings(kafka={"bootstrap_servers": "127.0.0.1:1"}))
    workplace.settings = good
    assert workplace.value("SELECT to_regnamespace('vectrue') IS NULL")


def test_triggers_and_other_tables_are_noticed(workplace: Workplace) -> None:
    """The operator is told which triggers a vector write fires, and what capture cannot
    see.
    """
    workplace.execute("CREATE TABLE topics (id bigint PRIMARY KEY, name text)")
    workplace.execute(
        "CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'"
    )
    workplace.execute(
        "CREATE TRIGGER touched BEFORE UPDATE ON questions FOR EACH ROW EXECUTE FUNCTION touch()"
    )
    text = "question || (SELECT name FROM topics WHERE topics.id = questions.id)"
    settings = workplace.with_settings(tables=[{"name": "public.questions", "text": text}])
    notices = planned(settings).notices
    assert any("(touched)" in notice and "fire_triggers" in notice for notice in notices)
    assert any("reads public.topics too" in notice for notice in notices)
