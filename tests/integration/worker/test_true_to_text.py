"""A vector is that of its text, whatever the application, another expression or a
trigger does.
"""

import json
from hashlib import sha256
from typing import Any

import numpy as np
import psycopg2
import pytest

from connectors.models import open_model
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from schemas.errors import TransientError
from schemas.reports.audit_report import FINDINGS
from schemas.rows.document import Update, Written
from schemas.rows.target import Target
from tests.conftest import MakeWorkplace
from tests.support.init import planned
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack
CREATE = (
    "CREATE TABLE posts (id bigint PRIMARY KEY, title text, body text, views int DEFAULT 0, "
    "embedding vector(64))"
)


def posts(make_workplace: MakeWorkplace, text: str = "title") -> Workplace:
    """A table of posts whose text is this expression; `init` was not run."""
    place = make_workplace(
        tables=[{"name": "public.posts", "text": text}], keeper={"stale_seconds": 3600}
    )
    place.execute(CREATE)
    return place


def is_of(place: Workplace, key: int, text: str) -> bool:
    """Whether the stored vector is what the model makes of this text."""
    made = open_model(place.settings.model).encode_documents([text])[0]
    stored = place.value("SELECT embedding::text FROM posts WHERE id = %s", (key,))
    return stored is not None and float(made @ json.loads(stored)) > 0.9999


def is_verified(place: Workplace, *findings: str) -> bool:
    """Whether `vectrue verify` finds nothing untrue; otherwise exactly these findings,
    each in one row.
    """
    done = place.vectrue("verify", "-o", "json", check=False)
    (column,) = json.loads(done.stdout)["tables"]
    assert [name for name in FINDINGS if column[name]] == list(findings)
    return done.returncode == 0


@pytest.mark.parametrize(
    "saved",
    [
        "embedding = was.embedding",
        "embedding = was.embedding, embedding_model = was.embedding_model, embedded_at = now()",
    ],
    ids=["the vector", "the vector and some of its provenance"],
)
def test_an_old_vector_written_back_is_found_and_healed(
    make_workplace: MakeWorkplace, saved: str
) -> None:
    """As by an ORM that saves whole rows: `status` and `verify` tell, `search` says so,
    the live lane fixes it.
    """
    place = posts(make_workplace)
    place.vectrue("init")
    worker = place.start_worker("live")
    place.execute(
        "INSERT INTO posts (id, title) VALUES (1, 'apple orchard in autumn'), (2, 'a pear')"
    )
    place.wait_current("public.posts")
    place.execute(
        "CREATE TABLE was AS SELECT * FROM posts; UPDATE posts SET title = 'submarine' WHERE id = 1"
    )
    place.wait_current("public.posts")
    worker.terminate()
    worker.wait()
    place.execute(f"UPDATE posts SET views = 1, {saved} FROM was WHERE posts.id = 1 AND was.id = 1")
    assert place.coverage("public.posts")["stale_text"] == 1
    assert not is_verified(place, "foreign_vector")
    hits = json.loads(place.vectrue("search", "apple orchard in autumn", "-o", "json").stdout)[
        "hits"
    ]
    assert [hit["is_current"] for hit in hits if hit["key"] == ["1"]] == [False]
    place.start_worker("live", log="again")
    place.wait_current("public.posts")
    assert is_of(place, 1, "submarine")
    assert is_verified(place)


def test_a_vector_of_before_the_digest_was_kept_is_judged_by_hash_and_model(
    make_workplace: MakeWorkplace,
) -> None:
    """An upgrade makes no row stale: where no digest stands, none is compared; a replay
    of all rows writes them.
    """
    place = posts(make_workplace)
    place.vectrue("init")
    place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (1, 'apple'), (2, 'pear')")
    place.wait_current("public.posts")
    place.execute("UPDATE posts SET embedding_digest = NULL")
    assert place.coverage("public.posts")["current"] == 2
    assert is_verified(place)


def test_a_count_reads_vectors_of_rows_that_others_wrote_and_verify_all(
    make_workplace: MakeWorkplace,
) -> None:
    """The digest is followed by the transaction that wrote it: `status` trusts a row of
    that transaction, `verify` trusts none.
    """
    place = posts(make_workplace)
    place.vectrue("init")
    worker = place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (1, 'apple'), (2, 'pear')")
    place.wait_current("public.posts")
    worker.terminate()
    worker.wait()
    assert place.value(
        "SELECT bool_and(substring(embedding_digest FROM 9) = xidsend(xmin)) FROM posts"
    )
    assert is_verified(place), "the digest that the worker computes is the one of the database"
    trusted = "substring(embedding_digest FROM 1 FOR 8) || xidsend(pg_current_xact_id()::xid)"
    other = "SELECT embedding FROM posts WHERE id = 2"
    place.execute(
        f"UPDATE posts SET embedding = ({other}), embedding_digest = {trusted} WHERE id = 1"
    )
    assert place.coverage("public.posts")["current"] == 2
    assert not is_verified(place, "foreign_vector")
    place.start_worker("replay")
    place.vectrue("verify", "--repair")
    assert is_of(place, 1, "apple")
    place.execute(
        f"UPDATE posts SET embedding = ({other}), embedding_digest = {trusted} WHERE id = 1"
    )
    place.execute("UPDATE posts SET views = views + 1")
    assert place.coverage("public.posts")["stale_text"] == 1


def test_a_worker_with_another_expression_leaves(make_workplace: MakeWorkplace) -> None:
    """`init` with another text and a new worker: the old one goes, and puts no vector
    over the new ones.
    """
    place = posts(make_workplace)
    place.vectrue("init")
    old = place.start_worker("live", log="old")
    place.execute("INSERT INTO posts (id, title, body) VALUES (1, 'apple', 'of the orchard')")
    place.wait_current("public.posts")
    place.with_settings(tables=[{"name": "public.posts", "text": "title || ' ' || body"}])
    said = place.vectrue("init").stderr
    assert (
        "the text of public.posts.embedding is another expression: workers with the old one stop"
        in said
    )
    place.start_worker("live", log="new")
    place.execute("UPDATE posts SET title = 'apples'")
    until(lambda: is_of(place, 1, "apples of the orchard"), what="the vector of the new expression")
    assert old.wait(120) in (70, 78)
    assert "wants vectors of another text" in place.log("old")
    place.execute("UPDATE posts SET views = views + 1")
    place.wait_current("public.posts")
    assert is_of(place, 1, "apples of the orchard")


UNSTEADY = {
    "title || now()::text": "now()",
    "title || random()": "random()",
    "title || current_date": "the time or the session",
    "title || current_setting('application_name')": "current_setting",
    "title || clock_timestamp()": "clock_timestamp()",
    "title || drawn(id)": "drawn(bigint)",
    "title || (SELECT max(drawn(other.id)) FROM posts AS other)": "drawn(bigint)",
    "title || 'now'::timestamptz": "a word for the time",
    "title || ' Today '::date": "a word for the time",
    "title || ctid::text": "a system column",
    "title || xmin::text": "a system column",
    "title || embedded_at": 'column "embedded_at" does not exist',
    "title || embedding::text": "reads embedding",
    "to_jsonb(posts)::text": "reads embedding",
    "(to_jsonb(posts) - 'embedding')::text": "reads embedding_hash",
    "(regexp_matches(title, '#(.+)'))[1]": "set-returning functions are not allowed in WHERE",
    "string_agg(title, ' ')": "aggregate functions are not allowed in WHERE",
    "lag(title) OVER ()": "window functions are not allowed in WHERE",
}
"""Texts that are not a function of their row, and what is named of each."""
STEADY = (
    "title || 'now' || 'today: ' || body",
    (
        "(to_jsonb(posts) - "
        "'{embedding,embedding_hash,embedding_model,embedded_at,embedding_digest}'::text[])::text"
    ),
    "title || tableoid::regclass::text || '2026-01-01'::date",
)


def test_a_text_that_is_no_function_of_its_row_is_refused(make_workplace: MakeWorkplace) -> None:
    """Time, chance, session and volatile functions: `init` refuses with the call's
    name, and changes nothing.
    """
    place = posts(make_workplace)
    place.execute(
        "CREATE FUNCTION drawn(bigint) RETURNS text LANGUAGE sql VOLATILE AS 'SELECT "
        "random()::text'"
    )
    for text, named in UNSTEADY.items():
        place.with_settings(tables=[{"name": "public.posts", "text": text}])
        refused = place.vectrue("init", check=False)
        assert refused.returncode == 78, text
        assert named in refused.stderr
    assert not place.value("SELECT to_regnamespace('vectrue') IS NOT NULL")
    for text in STEADY:
        place.with_settings(tables=[{"name": "public.posts", "text": text}])
        place.vectrue("init")


def test_a_stable_function_is_named(make_workplace: MakeWorkplace) -> None:
    """One over another table may change without the row: `init` says so, and what stays
    stale is not called true.
    """
    place = posts(make_workplace, "title || topic(id)")
    place.execute(
        "CREATE TABLE topics (id bigint PRIMARY KEY, name text); INSERT INTO topics VALUES (1, "
        "' of one');"
        "CREATE FUNCTION topic(bigint) RETURNS text LANGUAGE sql STABLE"
        " AS 'SELECT name FROM public.topics WHERE id = $1'"
    )
    assert "topic(bigint)" in place.vectrue("init").stderr


BEFORE = """
    CREATE FUNCTION meddle() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {}; RETURN NEW; END $$;
    CREATE TRIGGER meddle BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION meddle()
"""
AFTER = BEFORE.replace("BEFORE", "AFTER")


@pytest.mark.parametrize("title", ["  apple  ", "pear "])
@pytest.mark.parametrize(
    "trigger",
    [
        BEFORE.format("NEW.title := btrim(NEW.title)"),
        AFTER.format(
            "UPDATE posts SET title = btrim(title) WHERE id = NEW.id AND title <> btrim(title)"
        ),
    ],
    ids=["before", "after"],
)
def test_a_trigger_that_changes_the_text_in_our_update_is_followed(
    make_workplace: MakeWorkplace, trigger: str, title: str
) -> None:
    """The change is part of our own write, which capture leaves out: the row is done
    again at once.
    """
    place = posts(make_workplace)
    place.execute(trigger)
    place.vectrue("init")
    place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (1, %s), (2, 'a neighbour')", (title,))
    place.wait_current("public.posts")
    assert place.value("SELECT title FROM posts WHERE id = 1") == title.strip()
    assert is_of(place, 1, title.strip())


VECTOR = np.eye(1, 64, dtype=np.float32)[0]


def trimmed(make_workplace: MakeWorkplace, *titles: str) -> tuple[PostgresStore, Target]:
    """Posts with these titles, numbered from 1, under a trigger that trims them; and a
    store, to be closed.
    """
    place = posts(make_workplace)
    place.execute(BEFORE.format("NEW.title := NULLIF(btrim(NEW.title), '')"))
    place.vectrue("init")
    for number, title in enumerate(titles, 1):
        place.execute("INSERT INTO posts (id, title) VALUES (%s, %s)", (number, title))
    return PostgresStore(place.settings.postgres, role="test"), planned(place.settings).tables[
        0
    ].target


def test_a_write_tells_which_text_a_trigger_gave(make_workplace: MakeWorkplace) -> None:
    """The write returns the hash of the trigger's text, so that it differs from a text that
    the application writes afterwards.
    """
    store, target = trimmed(make_workplace, " apple ", "pear", " ⠀ ", " ")
    read = {
        document.key: document
        for document in store.read(target, [("1",), ("2",), ("3",), ("4",)]).documents
    }
    outcome = store.write(
        target, [Update(key, d.hash, None if d.blank else VECTOR) for key, d in read.items()]
    )
    store.close()
    assert outcome == {("1",): "again", ("2",): "written", ("3",): "written", ("4",): "written"}
    assert outcome.given == {("1",): sha256(b"apple").digest()}


def test_a_text_changed_in_a_write_that_had_no_answer_is_read_again(
    make_workplace: MakeWorkplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The connection ends after COMMIT was sent: no event will show a trigger's change, so
    the row is read again without one.
    """
    store, target = trimmed(make_workplace, " apple ")
    commit = Session._commit

    def unanswered(session: Session, *arguments: Any) -> None:
        commit(session, *arguments)
        monkeypatch.undo()
        session.close()
        raise psycopg2.OperationalError("the connection ended")

    monkeypatch.setattr(Session, "_commit", unanswered)
    first = [Update(("1",), sha256(b" apple ").digest(), VECTOR)]
    with pytest.raises(TransientError):
        store.write(target, first)
    assert store.write(target, first) == {("1",): Written.LOCKED}
    assert store.write(target, first) == {("1",): Written.CHANGED}
    store.close()


def test_a_trigger_that_never_rests_ends_in_quarantine(make_workplace: MakeWorkplace) -> None:
    """A text that every UPDATE makes another one: the row is given up after two tries,
    its neighbour is current.
    """
    place = posts(make_workplace)
    place.execute(
        "CREATE FUNCTION longer() RETURNS trigger LANGUAGE plpgsql AS"
        " 'BEGIN IF NEW.id = 1 THEN NEW.title := NEW.title || ''.''; END IF; RETURN NEW; END';"
        "CREATE TRIGGER longer BEFORE UPDATE ON posts FOR EACH ROW EXECUTE FUNCTION longer()"
    )
    place.vectrue("init")
    place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (1, 'apple'), (2, 'a neighbour')")
    found = "SELECT quarantined, current FROM vectrue.coverage WHERE table_name = 'public.posts'"
    until(
        lambda: place.execute(found) == [(1, 1)],
        what="the row to be given up, and its neighbour to be current",
    )
    assert "trigger" in place.value("SELECT reason FROM vectrue.quarantine")


@pytest.mark.parametrize(
    "trigger",
    [
        BEFORE.format("IF NEW.id = 1 THEN NEW.embedding := NULL; END IF"),
        BEFORE.format(
            "IF NEW.id = 1 THEN NEW.embedding := (SELECT embedding FROM posts WHERE id = 2); END IF"
        ),
        AFTER.format(
            "UPDATE posts SET embedding = (SELECT embedding FROM posts WHERE id = 2)"
            " WHERE id = 1 AND NEW.id = 1 AND pg_trigger_depth() = 1"
        ),
    ],
    ids=["none", "another", "another, afterwards"],
)
def test_a_trigger_that_changes_the_vector_is_told(
    make_workplace: MakeWorkplace, trigger: str
) -> None:
    """The row goes to quarantine with a sentence about it and never counts as current; no
    search uses its vector.
    """
    place = posts(make_workplace)
    place.vectrue("init")
    place.start_worker("live")
    place.execute("INSERT INTO posts (id, title) VALUES (2, 'a neighbour')")
    place.wait_current("public.posts")
    place.execute(trigger)
    place.execute("INSERT INTO posts (id, title) VALUES (1, 'apple'), (3, 'another neighbour')")
    until(lambda: place.coverage("public.posts")["quarantined"] == 1, what="the row to be given up")
    until(lambda: place.coverage("public.posts")["current"] == 2, what="its neighbours")
    assert "trigger" in place.value("SELECT reason FROM vectrue.quarantine")
    hits = json.loads(place.vectrue("search", "a neighbour", "-o", "json").stdout)["hits"]
    assert ["1"] not in [hit["key"] for hit in hits]
    assert is_verified(place)
