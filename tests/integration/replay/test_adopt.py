"""`vectrue adopt` on real parts: what the application made is believed once, what it
did not make never.
"""

import json
import socket
import struct
from collections.abc import Sequence
from typing import Any

import pytest

from connectors.clock import SystemClock
from connectors.kafka.offsets import KafkaOffsets
from connectors.models import open_model
from connectors.postgres.audit.adoption import Adoption
from connectors.postgres.session import Session
from streams.audit.adopt import Adopt
from streams.common import embedders
from tests.conftest import MakeWorkplace
from tests.integration.replay.test_verify import counts, verify
from tests.integration.worker.test_live import metric
from tests.support.init import as_role, setup
from tests.support.locks import transaction, unseen
from tests.support.waiting import until
from tests.support.workplace import Workplace

pytestmark = pytest.mark.stack

MODEL = ("--model", "lexical")
QUESTIONS = ("-t", "public.questions")


def make_vectors(place: Workplace, texts: Sequence[str], *, first: int = 1) -> None:
    """What the application does: rows with vectors that it made itself."""
    vectors = open_model(place.settings.model).encode_documents(list(texts))
    place.execute(
        "INSERT INTO questions (id, question, embedding)"
        " SELECT id, question, embedding::vector FROM unnest(%s, %s, %s) AS made (id, question, "
        "embedding)",
        (
            list(range(first, first + len(texts))),
            list(texts),
            [str(vector.tolist()) for vector in vectors],
        ),
    )


def settle(place: Workplace) -> None:
    """Wait until nothing in the server is older than the rows: tests beside this one
    hold the horizon back.
    """
    written = place.value("SELECT pg_current_xact_id()::text::bigint")

    def over() -> bool:
        return bool(
            place.value(
                "SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint > %s", (written,)
            )
        )

    until(over, what="older transactions in the server to end")


def adopt(place: Workplace, *arguments: str, code: int = 0) -> dict[str, Any]:
    """The report; the command must end with this code."""
    settle(place)
    done = place.vectrue(
        "adopt", *QUESTIONS, *MODEL, "--yes", "-o", "json", *arguments, check=False
    )
    assert done.returncode == code, done.stdout + done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    assert report["ok"] is (code == 0)
    return report


def owned(place: Workplace) -> int:
    """Rows that say what their vector was made from."""
    return int(place.value("SELECT count(*) FROM questions WHERE embedding_hash IS NOT NULL"))


def port() -> int:
    """A free one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def legacy(workplace: Workplace) -> Workplace:
    """40 rows with vectors of the application, from before `init`."""
    make_vectors(workplace, [f"question {i}" for i in range(1, 41)])
    setup(workplace.settings)
    return workplace


def test_adopted_rows_are_never_encoded(role: str, make_workplace: MakeWorkplace) -> None:
    """As the worker's role: only what the model can have made is adopted, and then
    neither lane embeds it (I7).

    The adopting session has no replication origin, so each of its writes comes back to
    the live worker as an event.
    """
    live, replay = port(), port()
    place = make_workplace(
        replay={"nice": 0},
        keeper={"reconcile_seconds": 0},
        metrics={"live_port": live, "replay_port": replay},
    )
    place.execute("CREATE TABLE questions (id bigint PRIMARY KEY, question text, embedding vector)")
    make_vectors(place, [f"question {i}" for i in range(1, 61)])
    make_vectors(place, ["poison", "of another model", "disowned"], first=61)
    nan = struct.pack("<HH64f", 64, 0, float("nan"), *[0.1] * 63).hex()
    place.execute("CREATE CAST (bytea AS vector) WITHOUT FUNCTION")
    place.execute(
        "INSERT INTO questions VALUES (64, 'no vector', NULL), (65, ' ', '[1]'), (66, 'short', "
        "'[0.6,0.8]'),"
        f" (67, 'not finite', decode('{nan}', 'hex')::vector), (68, 'long', array_fill(1, "
        "ARRAY[64])::vector)"
    )
    place.execute("DROP CAST (bytea AS vector)")
    setup(as_role(place, role))
    place.execute(
        "INSERT INTO vectrue.quarantine (table_name, column_name, key, hash, model, reason)"
        " SELECT table_name, column_name, '{61}', sha256('poison'), model, 'refused' FROM "
        "vectrue.targets"
    )
    unseen(
        place,
        "UPDATE questions SET embedding_model = 'other@1+0', embedding_hash = sha256('of "
        "another model') WHERE id = 62;"
        "UPDATE questions SET embedding_model = (SELECT model FROM vectrue.targets) WHERE id = 63",
    )
    place.start_worker("live")
    digest = "SELECT md5(string_agg(q::text, ',' ORDER BY id)) FROM questions AS q"
    before = place.value(digest)
    planned = adopt(place, "--dry-run", "--sample", "7")
    assert (planned["adopted"], planned["tables"][0]["sample"]["checked"]) == (None, 7)
    assert place.value(digest) == before

    origin = place.settings.postgres.origin
    place.with_settings(postgres={"origin": "nobody"})
    report = adopt(place)
    place.with_settings(postgres={"origin": origin})
    (table,) = report["tables"]
    assert (report["adopted"], table["adoptable"], table["sample"]["checked"]) == (60, 60, 60)
    assert table["sample"]["may_differ"] == 0
    assert table["not_adoptable"] == {
        "blank": 1,
        "quarantined": 1,
        "wrong_dimension": 1,
        "not_finite": 1,
        "not_unit_length": 1,
        "recent": 0,
    }
    until(
        lambda: metric(live, "vectrue_events_total", outcome="current") >= 60,
        what="the events of the writes",
    )
    stamped = (
        "SELECT count(*) FROM questions WHERE id <= 60 AND embedded_at > now() - interval '10 min'"
    )
    assert place.value(stamped) == 60
    assert adopt(place)["adopted"] == 0

    place.start_worker("replay")
    place.vectrue("replay", "run", "--only", "all", check=False)
    # Which lane has the others depends on the keeper: a test beside this one may give
    # it a reason to look at all rows.
    encoded = [metric(lane, "vectrue_texts_encoded_total") for lane in (live, replay)]
    assert sum(encoded) == 6, "rows 62, 63, 64, 66, 67 and 68"
    found = verify(place, "--deep", "all")
    assert counts(found) == {"rows": 68, "current": 66, "blank": 1, "quarantined": 1}
    assert found["tables"][0]["deep"]["checked"] == 66


def test_a_sample_that_differs_refuses(legacy: Workplace) -> None:
    """One vector of another text among them: nothing is written; the row and the way
    out are named.

    So it is with a model that the table does not want, and a table that is not
    configured.
    """
    unseen(
        legacy,
        (
            "UPDATE questions SET embedding = (SELECT embedding FROM questions WHERE id = 9) WHERE "
            "id = 8"
        ),
    )
    (table,) = adopt(legacy, code=1)["tables"]
    assert (table["adopted"], table["sample"]["checked"], table["sample"]["untrue"]) == (
        None,
        40,
        1,
    )
    assert table["sample"]["worst"] == [{"key": ["8"], "cosine": table["sample"]["lowest_cosine"]}]
    shown = legacy.vectrue("adopt", *QUESTIONS, *MODEL, check=False)
    said = " ".join(shown.stderr.split())
    assert shown.returncode == 1
    assert "row 8 has another vector than its text makes: cosine 0." in shown.stdout
    assert "1 of 40 sampled vectors of public.questions.embedding are not what lexical@" in said
    assert (
        "nothing was adopted: embed them instead: `vectrue replay run --only stale -t "
        "public.questions`" in said
    )
    other = legacy.vectrue("adopt", *QUESTIONS, "--model", "BAAI/bge-m3", check=False)
    assert (other.returncode, "not of BAAI/bge-m3" in " ".join(other.stderr.split())) == (78, True)
    assert legacy.vectrue("adopt", "-t", "public.nothing", *MODEL, check=False).returncode == 78
    assert (
        legacy.vectrue("adopt", *QUESTIONS, *MODEL, "--sample", "some", check=False).returncode == 2
    )
    assert owned(legacy) == 0


def test_an_edit_is_never_adopted(legacy: Workplace) -> None:
    """An edit since `init` is embedded first; one between sample and stamp, or a row
    that is held, is left alone.
    """
    legacy.execute("UPDATE questions SET question = 'edited before' WHERE id = 1")
    settle(legacy)
    refused = legacy.vectrue("adopt", *QUESTIONS, *MODEL, check=False)
    said = " ".join(refused.stderr.split())
    assert (refused.returncode, owned(legacy)) == (1, 0)
    assert (
        "1 changes wait for a live worker, and none runs, for 15 s: start `vectrue worker "
        "--role live`" in said
    )

    legacy.start_worker("live")
    clock, session = SystemClock(), Session(legacy.settings.postgres.dsn, role="test")
    adoption = Adoption(legacy.settings.postgres)
    work = Adopt(legacy.settings, adoption, session, clock, tables=["questions"], model="lexical")
    models = embedders.for_targets(legacy.settings, session, work.targets)
    settle(legacy)
    found = work.look(KafkaOffsets(legacy.settings, clock), lambda _: None)
    assert found[0].counts == {"adoptable": 39}
    found = work.sample(found, models, None, 0, lambda *_: None)
    unseen(legacy, "UPDATE questions SET question = 'edited after the sample' WHERE id = 2")
    with transaction(legacy, "UPDATE questions SET views = 1 WHERE id = 3"):
        (done,) = work.stamp(found, lambda *_: None)
    assert (done.adopted, done.locked, done.is_done) == (37, 1, False)
    lacking = legacy.execute("SELECT id FROM questions WHERE embedding_hash IS NULL ORDER BY id")
    assert lacking == [(2,), (3,)]
    adoption.close()
    session.close()

    # Only the sample still shows the unseen edit.
    (table,) = adopt(legacy, code=1)["tables"]
    assert (table["adoptable"], [row["key"] for row in table["sample"]["worst"]]) == (2, [["2"]])
    assert owned(legacy) == 38


def test_a_killed_adoption_is_called_again(make_workplace: MakeWorkplace) -> None:
    """SIGKILL between two pages: what was adopted stays so, and the same command adopts
    the rest, partitions too.
    """
    place = make_workplace()
    place.execute(
        "CREATE TABLE questions (id bigint PRIMARY KEY, question text, embedding vector(64)) "
        "PARTITION BY RANGE (id)"
    )
    place.execute("CREATE TABLE few PARTITION OF questions FOR VALUES FROM (0) TO (100)")
    place.execute("CREATE TABLE many PARTITION OF questions FOR VALUES FROM (100) TO (10000)")
    make_vectors(place, [f"question {i}" for i in range(1, 1201)])
    setup(place.settings)
    place.execute(
        "CREATE FUNCTION take_time() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM "
        "pg_sleep(1); RETURN NULL; END';"
        "CREATE TRIGGER slow AFTER UPDATE ON questions FOR EACH STATEMENT EXECUTE FUNCTION "
        "take_time()"
    )
    settle(place)
    killed = place.start("adopt", *QUESTIONS, *MODEL, "--yes", "--sample", "20", log="adopt")
    until(lambda: owned(place) > 0, what="the first page to be adopted")
    killed.kill()
    killed.wait()
    done = owned(place)
    assert 0 < done < 1200
    assert adopt(place, "--sample", "20")["adopted"] == 1200 - done
    assert counts(verify(place)) == {"rows": 1200, "current": 1200}
