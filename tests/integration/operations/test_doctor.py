"""`vectrue doctor` on real parts: quiet when all is well, one line with its command for
each thing that is not.
"""

import json
from collections.abc import Sequence

import numpy as np
import pytest

from connectors.clock import SystemClock
from connectors.debezium.client import KafkaConnect
from connectors.postgres.rows.store import PostgresStore
from connectors.postgres.session import Session
from schemas.errors import WrongLength
from schemas.health.check_result import CheckResult, Level, settle
from schemas.rows.document import Update
from streams.common import targets
from streams.operations import doctor
from tests.conftest import MakeWorkplace
from tests.support.init import as_role, setup
from tests.support.vectors import embed_all
from tests.support.waiting import until
from tests.support.workplace import CREATE_QUESTIONS, Workplace

pytestmark = pytest.mark.stack


TRIGGER = """
    CREATE FUNCTION touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER touches BEFORE UPDATE ON questions FOR EACH ROW EXECUTE FUNCTION touch()
"""
BROKEN_INDEX = """
    CREATE INDEX broken ON questions USING hnsw (embedding vector_cosine_ops);
    UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'broken'::regclass
"""


def troubles(place: Workplace) -> list[CheckResult]:
    """What is a problem, a warning or unknown; workers apart, and the canary, which one
    of them writes.
    """
    return without_workers(doctor.examine(place.settings, SystemClock()))


def counted(place: Workplace) -> list[CheckResult]:
    """The same as a person is told: what follows from a problem does not count, and
    what is unknown is left out.
    """
    told = settle(doctor.examine(place.settings, SystemClock()))
    return [f for f in without_workers(told) if f.level is not Level.UNKNOWN]


def without_workers(found: Sequence[CheckResult]) -> list[CheckResult]:
    """What is not ok, but for workers and the canary."""
    return [
        f for f in found if f.level is not Level.OK and not f.check.endswith(("workers", "canary"))
    ]


def test_a_worker_role_finds_nothing_wrong(role: str, make_workplace: MakeWorkplace) -> None:
    """After `init`, with a worker running, the least-privileged role sees no problem,
    without admin_dsn: exit 0.
    """
    place = make_workplace()
    place.execute(CREATE_QUESTIONS.format(dimensions=64))
    setup(as_role(place, role))
    place.with_settings(postgres={"admin_dsn": None})
    assert troubles(place) == []
    said = place.vectrue("doctor", "-o", "json", check=False)
    report = json.loads(said.stdout)
    assert said.returncode == 1
    assert [line["check"] for line in report["findings"] if line["status"] == "problem"] == [
        "live workers"
    ]
    place.start_worker("live")

    def well() -> bool:
        return place.vectrue("doctor", check=False).returncode == 0

    until(well, what="doctor to find no problem")


def test_what_is_missing_is_named_with_its_command(ready: Workplace) -> None:
    """Each thing that is taken away brings its own line, which names the command, and
    no other.
    """
    place = ready
    assert troubles(place) == []
    breaks = [
        (
            "ALTER TABLE questions REPLICA IDENTITY NOTHING",
            "ALTER TABLE questions REPLICA IDENTITY DEFAULT",
            "table public.questions",
            Level.PROBLEM,
            "has REPLICA IDENTITY NOTHING",
            "REPLICA IDENTITY DEFAULT",
        ),
        (
            "ALTER TABLE questions RENAME embedded_at TO x",
            "ALTER TABLE questions RENAME x TO embedded_at",
            "table public.questions",
            Level.PROBLEM,
            "lacks columns",
            "vectrue init",
        ),
        (
            TRIGGER,
            "DROP FUNCTION touch CASCADE",
            "table public.questions",
            Level.WARNING,
            "touches",
            None,
        ),
        (
            "ALTER PUBLICATION vectrue SET TABLE vectrue.heartbeat, vectrue.canary",
            "ALTER PUBLICATION vectrue SET TABLE vectrue.heartbeat, vectrue.canary, questions",
            "publication vectrue",
            Level.PROBLEM,
            "change the publication",
            "vectrue init",
        ),
        (
            "DELETE FROM vectrue.migrations WHERE version = 1",
            "INSERT INTO vectrue.migrations (version, name) VALUES (1, 'schema')",
            "schema vectrue",
            Level.PROBLEM,
            "apply migration 001",
            "vectrue init",
        ),
        (
            BROKEN_INDEX,
            "DROP INDEX broken",
            "index on public.questions.embedding",
            Level.WARNING,
            "broken is INVALID",
            "DROP INDEX CONCURRENTLY broken",
        ),
    ]
    for broken, mended, check, level, words, fix in breaks:
        place.execute(broken)
        found = counted(place)
        place.execute(mended)
        assert [(f.check, f.level) for f in found] == [(check, level)], broken
        assert words in found[0].sentence
        assert (fix or "") in (found[0].fix or ""), found[0]
    assert troubles(place) == []


def test_a_mismatch_of_dimensions_is_diagnosed(ready: Workplace) -> None:
    """Declared length, what rows hold, what the model makes, and the next command: with
    and without vectors.
    """
    place = ready
    place.with_settings(model={"dimensions": 128})
    line = next(f for f in troubles(place) if f.check.startswith("dimensions"))
    assert line.sentence == (
        "declared vector(64), rows hold no vector yet, the database wants 64 (lexical), lexical "
        "makes 128"
    )
    assert line.fix == (
        "set [model] to lexical with 64 dimensions again, then vectrue migrate start --model "
        "lexical --dimensions 128"
    )
    place.execute(
        "INSERT INTO questions (question, embedding) VALUES ('a', array_fill(0, ARRAY[64])::vector)"
    )
    line = next(f for f in troubles(place) if f.check.startswith("dimensions"))
    assert "rows hold 64," in line.sentence
    wanted = next(f for f in troubles(place) if f.check == "model")
    # Not that `init` would take it, with the vectors stale but readable: the column
    # does not take its vectors.
    assert (
        wanted.sentence
        == "the settings name another one than the database wants, of another length"
    )
    assert "init" not in (wanted.fix or "")


def test_capture_that_does_not_work_is_named(ready: Workplace) -> None:
    """A connector that is stopped, configured differently, failed or gone, and a slot
    that is gone.
    """
    place, name, slot = ready, ready.settings.connector, f"slot {ready.settings.slot}"
    connect = KafkaConnect(place.settings.connect.url, SystemClock())
    config = connect.config(name)
    assert config is not None
    connect.stop(name)
    found = {f.check: f for f in troubles(place)}
    assert found[f"connector {name}"].sentence == "is STOPPED, tasks []"
    assert "is not read, and holds" in found[slot].sentence
    connect.register(name, {**config, "poll.interval.ms": "77"})
    connect.wait_running(name)
    differs = next(f for f in troubles(place) if f.check == f"configuration of {name}")
    assert (differs.sentence, differs.fix) == (
        "differs from the settings in poll.interval.ms",
        "vectrue init",
    )
    until(lambda: connect.offset(name), what="the connector to note its position")
    connect.stop(name)
    place.execute("SELECT pg_drop_replication_slot(%s)", (place.settings.slot,))
    found = {f.check: f for f in troubles(place)}
    assert found[slot] == CheckResult(
        slot, Level.PROBLEM, "is not there: nothing is captured", "vectrue init"
    )
    place.execute("UPDATE vectrue.heartbeat SET at = now() - interval '1 hour'")
    place.execute(
        "SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (place.settings.slot,)
    )
    said = [f.sentence for f in troubles(place)]
    assert any(
        "starts after the place where the connector stopped" in sentence for sentence in said
    )
    assert any("last one is 3,6" in sentence for sentence in said)
    connect.delete(name)
    until(
        lambda: any("is not known to Kafka Connect" in f.sentence for f in troubles(place)),
        what="Connect to forget the connector",
    )
    connect.close()


def test_a_service_that_is_away_hides_no_other(ready: Workplace) -> None:
    """What depends on an absent service is unknown, never ok; the others are looked at
    all the same.
    """
    place = ready
    place.with_settings(
        kafka={"bootstrap_servers": "127.0.0.1:1"}, connect={"url": "http://127.0.0.1:1"}
    )
    found = {f.check: f.level for f in troubles(place)}
    assert found == {
        "Kafka": Level.PROBLEM,
        "topics": Level.UNKNOWN,
        "Kafka Connect": Level.PROBLEM,
        "connector": Level.UNKNOWN,
    }
    place.with_settings(
        kafka=place.own.kafka.model_dump(),
        connect=place.own.connect.model_dump(),
        postgres={"dsn": "postgresql://nobody@127.0.0.1:1/x"},
    )
    found = {f.check: f.level for f in troubles(place)}
    assert found["Postgres"] is Level.PROBLEM
    assert found["table public.questions"] is found["slot"] is Level.UNKNOWN
    assert found[f"configuration of {place.settings.connector}"] is Level.UNKNOWN
    assert "Kafka" not in found


def test_indexes_are_shown_as_they_stand(ready: Workplace) -> None:
    """Valid, or for some rows only; not by cosine distance, with the command; being
    built, while CREATE INDEX runs.
    """
    place = ready
    check = "index on public.questions.embedding"

    def seen() -> CheckResult:
        return next(f for f in doctor.examine(place.settings, SystemClock()) if f.check == check)

    assert seen().sentence.startswith("missing, which does for so few rows")
    place.execute("CREATE INDEX far ON questions USING hnsw (embedding vector_l2_ops)")
    assert seen().sentence.startswith("far is not by cosine distance")
    assert seen().fix == (
        'CREATE INDEX CONCURRENTLY ON public.questions USING hnsw ("embedding" vector_cosine_ops)'
    )
    place.execute("DROP INDEX far")
    place.execute(
        "CREATE INDEX part ON questions USING hnsw (embedding vector_cosine_ops) WHERE id > 7"
    )
    assert (seen().level, seen().sentence) == (Level.OK, "part is valid, for searches of some rows")
    place.execute("DROP INDEX part")
    place.execute("CREATE INDEX near ON questions USING hnsw (embedding vector_cosine_ops)")
    assert (seen().level, seen().sentence) == (Level.OK, "near is valid")
    place.execute("UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'near'::regclass")
    session = Session(place.settings.postgres.dsn, role="builder")
    with session.transaction() as cursor:
        # as CREATE INDEX CONCURRENTLY does
        cursor.execute("LOCK TABLE questions IN SHARE UPDATE EXCLUSIVE MODE")
        assert seen().sentence == "near is being built: no search uses it yet"
    session.close()
    assert "near is INVALID" in seen().sentence


def test_every_error_about_lengths_is_that_sentence(ready: Workplace) -> None:
    """A search, a worker's write and a vector typed by hand, met in a column that
    someone altered.
    """
    place = ready
    place.execute("INSERT INTO questions (question) VALUES ('a'), ('b')")
    embed_all(place)
    place.execute("ALTER TABLE questions ALTER embedding TYPE vector")
    place.execute("UPDATE questions SET embedding = array_fill(1, ARRAY[32])::vector WHERE id = 1")
    said = place.vectrue("search", "a", "--exact", check=False)
    assert said.returncode == 78
    assert (
        "public.questions.embedding is declared vector, rows hold 32 and 64, the database wants 64"
        in said.stderr
    )
    assert "vectrue replay run --only stale, then vectrue verify --repair" in " ".join(
        said.stderr.split()
    )
    line = next(f for f in troubles(place) if f.check.startswith("dimensions"))
    assert line.sentence == "declared vector, rows hold 32 and 64, lexical makes 64"
    (target,) = targets.resolve(place.settings, place.session)
    place.execute("ALTER TABLE questions ALTER embedding TYPE vector(32) USING NULL")
    store = PostgresStore(place.settings.postgres, role="test")
    (document,) = store.read(target, [("1",)]).documents
    vector = np.full(64, 0.125, np.float32)
    with pytest.raises(
        WrongLength, match=r"declared vector\(32\), rows hold no vector yet, the database wants 64"
    ):
        store.write(target, [Update(document.key, document.hash, vector)])
    store.close()
    for statement in (
        "UPDATE questions SET embedding = '[1,2]'",
        "SELECT '[1,2]'::vector <=> '[1]'::vector",
    ):
        with pytest.raises(WrongLength, match="vectrue doctor`, which names the column"):
            place.execute(statement)
