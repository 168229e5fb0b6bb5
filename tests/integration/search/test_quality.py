"""Judged queries on a schedule, the query log and feedback, on a real server over a
real database.
"""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg2
import pytest

from connectors.clock import SystemClock
from connectors.postgres.search import quality as store
from connectors.postgres.search import search
from connectors.postgres.session import Session
from schemas.reports.quality import QualityRun
from schemas.reports.search import SearchRequest, SearchResult
from streams.api.database import SessionPool
from streams.api.judging import Judging
from streams.common import targets
from streams.evaluation.judged import read_queries
from streams.search.search import Search
from tests.support import workplace as workplaces
from tests.support.server import Server, fill_vectors, running_server
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace

pytestmark = pytest.mark.stack

ROWS = (
    "파이썬의 GIL은 무엇인가요?",
    "트랜잭션 격리 수준을 설명해 주세요.",
    "좋은 단위 테스트의 조건은 무엇인가요?",
)
SECRET = "은밀한질문"
TABLE = "public.questions"
KEEP_EVERYTHING = {"query_log": "off", "query_log_days": 30.0, "request_seconds": 30.0}


@pytest.fixture(scope="module")
def place(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Three questions with true vectors, and a file that judges four queries; one of
    its rows is not there.
    """
    with workplaces.workplace(stack, tmp_path_factory.mktemp("quality")) as made:
        made.execute(workplaces.CREATE_QUESTIONS.format(dimensions=64))
        made.execute("INSERT INTO questions (question) SELECT unnest(%s)", (list(ROWS),))
        made.vectrue("init")
        fill_vectors(made)
        judge(made)
        yield made


def judge(place: Workplace) -> Path:
    """Write the file of judged queries and name it in the settings: two are found
    first, one is not found first.
    """
    file = place.directory / "judged.jsonl"
    lines = [(ROWS[0], [1]), (ROWS[1], [2, 99]), (ROWS[2], ["1"]), ("사라진 행", [98])]
    file.write_text(
        "".join(json.dumps({"query": text, "relevant": keys}) + "\n" for text, keys in lines)
    )
    place.with_settings(quality={"queries": {TABLE: str(file)}, "every_seconds": 3600.0})
    return file


def samples(server: Server, name: str) -> dict[str, float]:
    """A metric's samples by their labels, as text."""
    shown = [
        line for line in server.client.get("/metrics").text.splitlines() if line.startswith(name)
    ]
    return {line[len(name) :].rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in shown}


def clear(place: Workplace) -> None:
    place.execute("TRUNCATE vectrue.queries, vectrue.feedback, vectrue.quality_runs")


def test_a_server_asks_judged_queries_again_and_again(place: Workplace) -> None:
    """Its figures are in metrics and status, and equal those of `vectrue quality`;
    never asked is no figure.

    They count as no one's search. When the file is gone, that is counted and logged,
    and the server goes on; when it is back, so are the figures.
    """
    clear(place)
    file = judge(place)
    assert json.loads(place.vectrue("status", "-o", "json").stdout)["quality"] is None
    assert "judged" not in place.vectrue("status").stdout
    place.with_settings(quality={"every_seconds": 0.2})
    with running_server(
        place, log="judging", **{**KEEP_EVERYTHING, "query_log": "hashed"}
    ) as server:
        until(lambda: samples(server, "vectrue_judged_quality"), what="the first figures")
        shown = samples(server, "vectrue_judged_quality")
        assert len(shown) == 3
        assert samples(server, "vectrue_last_judged_timestamp_seconds")
        file.rename(file.with_suffix(".away"))
        until(
            lambda: "judged queries could not be asked" in server.log(),
            what="the missing file to be said",
        )
        assert samples(server, "vectrue_judged_failures_total")[f'{{table="{TABLE}"}}'] >= 1
        assert server.client.get("/readyz").status_code == 200
        runs = place.value("SELECT max(id) FROM vectrue.quality_runs")
        file.with_suffix(".away").rename(file)
        until(
            lambda: place.value("SELECT max(id) FROM vectrue.quality_runs") > runs,
            what="figures again",
        )
        assert samples(server, "vectrue_search_duration_seconds_count") == {}
        assert samples(server, "vectrue_search_empty_total") == {"": 0.0}
    assert place.value("SELECT count(*) FROM vectrue.queries") == 0

    place.with_settings(quality={"every_seconds": 3600.0})
    asked = json.loads(place.vectrue("quality", "-o", "json").stdout)["tables"][0]
    assert shown[
        f'{{measure="nDCG@10",model="{asked["model"]}",table="{TABLE}"}}'
    ] == pytest.approx(asked["ndcg"])
    assert (asked["queries"], asked["gone"], asked["way"]) == (3, 2, "exact")
    assert asked["mrr"] > 0.5
    last = json.loads(place.vectrue("status", "-o", "json").stdout)["quality"][0]
    assert (last["ndcg"], last["model"], last["before"]) == (asked["ndcg"], asked["model"], None)
    assert (
        f"judged queries of {TABLE}: nDCG@10 {asked['ndcg']:.3f}" in place.vectrue("status").stdout
    )


def test_the_command_judges_now(place: Workplace) -> None:
    """Exit 1 below --min-ndcg, with one sentence; another file, or --exact, is not
    kept; gone rows are counted.
    """
    clear(place)
    file = judge(place)
    done = place.vectrue("quality", "--min-ndcg", "0.999", check=False)
    assert done.returncode == 1
    assert f"nDCG@10 of {TABLE} is 0." in done.stderr
    assert "2 judged rows are not in public.questions any more" in done.stderr
    assert place.value("SELECT count(*) FROM vectrue.quality_runs") == 1
    other = file.with_name("other.jsonl")
    other.write_text(json.dumps({"query": ROWS[0], "relevant": [1]}) + "\n")
    shown = json.loads(
        place.vectrue("quality", "-q", str(other), "--min-ndcg", "1", "-o", "json").stdout
    )
    assert (shown["tables"][0]["ndcg"], shown["feedback"]) == (1.0, [])
    place.vectrue("quality", "--exact")
    assert place.value("SELECT count(*) FROM vectrue.quality_runs") == 1
    for lines, words in (
        ({"query": "a", "relevant": [99]}, "none of the rows"),
        ({"query": "a", "relevant": ["x"]}, "not a key of public.questions"),
        ({"query": "a", "relevant": [["1", "2"]]}, "not a key of public.questions"),
    ):
        other.write_text(json.dumps(lines) + "\n")
        refused = place.vectrue("quality", "-q", str(other), check=False)
        assert (refused.returncode, words in refused.stderr, "Traceback" in refused.stderr) == (
            1,
            True,
            False,
        )


def test_figures_are_kept_in_bounds_and_compared_with_the_model_before(
    place: Workplace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a table the newest ones stay; beside the last ones stand those of the model
    before, and no others.
    """
    clear(place)
    monkeypatch.setattr(store, "KEPT", 3)
    now = place.value("SELECT now()")

    def run(table: str, model: str, ndcg: float) -> QualityRun:
        return QualityRun(table, model, now, 5, 0, "index", ndcg, 0.5, 0.5, 0.1, 0.2)

    with closing(Session(place.settings.postgres.dsn, role="test")) as session:
        assert store.last(session) == {}
        for one in (
            run(TABLE, "old", 0.1),
            run(TABLE, "old", 0.2),
            run("t", "x", 0.3),
            run(TABLE, "new", 0.4),
        ):
            store.keep(session, one)
        store.keep(session, run(TABLE, "new", 0.5))
        found = store.last(session)
    assert place.execute(
        "SELECT ndcg FROM vectrue.quality_runs WHERE table_name = %s ORDER BY id", (TABLE,)
    ) == [
        (0.2,),
        (0.4,),
        (0.5,),
    ]
    assert set(found) == {TABLE, "t"}
    assert (found[TABLE].last.ndcg, found["t"].before) == (0.5, None)
    before = found[TABLE].before
    assert before is not None
    assert (before.model, before.ndcg) == ("old", 0.2)
    assert "; 0.200 with old" in place.vectrue("status").stdout


def test_judged_queries_are_asked_when_they_are_old_or_of_another_model(place: Workplace) -> None:
    """Not while the last figures hold, no matter who asked; but at once where those are of
    the model before a migration.
    """
    clear(place)
    judge(place)
    asked: list[str] = []
    with closing(Session(place.settings.postgres.dsn, role="test")) as session:
        searching = Search(place.settings, session)
        database = SessionPool(place.settings.postgres.dsn, role="test", threads=1, seconds=30)

        async def find(request: SearchRequest) -> SearchResult:
            asked.append(request.text)
            return searching.find(request)

        def rounds(**quality: Any) -> int:
            before = len(asked)
            settings = place.with_settings(quality=quality)
            asyncio.run(Judging(settings, find, database, SystemClock()).round())
            return len(asked) - before

        assert (rounds(), rounds()) == (3, 0)
        place.execute("UPDATE vectrue.quality_runs SET model = 'before'")
        assert (rounds(), rounds()) == (3, 0)
        place.execute("UPDATE vectrue.quality_runs SET at = at - interval '2 hours'")
        assert (rounds(every_seconds=7300.0), rounds(every_seconds=7100.0)) == (0, 3)
        database.close()


def test_it_is_known_whether_an_index_was_used(place: Workplace) -> None:
    """The planner's own word: an index that it takes, and none where it compares every
    row.
    """
    target = targets.served(place.settings, place.session)[0]
    assert not search.uses_index(place.session, target, 10)
    place.execute("CREATE INDEX nearest ON questions USING hnsw (embedding vector_cosine_ops)")
    # three rows are sorted sooner than an index is read
    place.execute("SET enable_sort = off")
    try:
        # Over updated rows it is left out while a transaction is older (indcheckxmin).
        until(lambda: search.uses_index(place.session, target, 10), what="the planner to take it")
    finally:
        place.execute("RESET enable_sort")
        place.execute("DROP INDEX nearest")


def ask(server: Server, text: str = ROWS[0]) -> Any:
    answer = server.client.post("/v1/search", json={"query": text, "limit": 2})
    assert answer.status_code == 200, answer.text
    return answer.json()


def opine(
    server: Server, found: Any, *, useful: bool, hit: int = 0, **instead: Any
) -> tuple[int, str]:
    """Feedback on a row of an answer; status and sentence of the reply."""
    about = {
        "query_id": found["query_id"],
        "table": found["hits"][hit]["table"],
        "key": found["hits"][hit]["key"],
    }
    answer = server.client.post("/feedback", json={**about, "useful": useful, **instead})
    return answer.status_code, answer.json()["detail"] if answer.content else ""


def test_feedback_on_logged_texts_becomes_judged_queries(place: Workplace) -> None:
    """An id can be used at once; the last word counts; what is not known is 404; useful
    rows can be judged by.
    """
    clear(place)
    judge(place)
    with running_server(place, log="text", **{**KEEP_EVERYTHING, "query_log": "text"}) as server:
        first, second, third = ask(server), ask(server, "NUL \x00 " + ROWS[1]), ask(server, ROWS[2])
        # of the same text, and said again below
        assert opine(server, ask(server, ROWS[2]), useful=True)[0] == 204
        assert opine(server, first, useful=False) == (204, "")
        assert opine(server, first, useful=True) == opine(server, first, useful=True) == (204, "")
        assert opine(server, second, useful=True)[0] == opine(server, third, useful=False)[0] == 204
        assert opine(server, first, useful=False, hit=1, table="questions")[0] == 204
        said = place.value("SELECT array_agg(useful ORDER BY at) FROM vectrue.feedback")
        assert said == [True, True, True, False, False]
        for status, words, instead in (
            (404, "no search", {"query_id": str(uuid4())}),
            (404, "did not find this row", {"key": ["3", "4"]}),
            (404, "did not find this row", {"table": "public.nowhere"}),
            (404, "a.b.c", {"table": "a.b.c"}),
            (422, "query_id", {"query_id": first["query_id"] + "\n"}),
            (422, "useful", {"useful": "yes"}),
        ):
            answered = opine(server, first, **{"useful": True, **instead})
            assert (answered[0], words in answered[1]) == (status, True), answered
        shown = samples(server, "vectrue_feedback_total")
        assert shown == {'{useful="true"}': 3.0, '{useful="false"}': 3.0}, (
            "each change, no repetition"
        )
        assert samples(server, "vectrue_query_log_total")['{outcome="written"}'] == 4
        assert ROWS[0] not in server.log()
    line = place.execute(
        """SELECT query_text, query_hmac, tables, jsonb_array_length(hits), hits -> 0 ->> 'key',
               total_seconds > 0
           FROM vectrue.queries WHERE id = %s""",
        (first["query_id"],),
    )
    assert line == [(ROWS[0], None, [TABLE], 2, '["1"]', True)]

    file = place.directory / "exported.jsonl"
    place.vectrue("quality", "export", str(file))
    judged = read_queries(file).queries
    assert {query.text: query.relevant for query in judged} == {
        ROWS[0]: (("1",),),
        f"NUL \ufffd {ROWS[1]}": (tuple(second["hits"][0]["key"]),),
    }
    assert place.vectrue("quality", "export", "-").stdout == file.read_text(encoding="utf-8")
    again = place.vectrue("quality", "export", str(file), check=False)
    assert (again.returncode, "--force" in again.stderr) == (1, True)
    shown = json.loads(place.vectrue("quality", "-q", str(file), "-o", "json").stdout)
    assert shown["feedback"] == [{"table": TABLE, "useful": 3, "given": 5, "share": 0.6}]
    assert "60 % of 5 rows were useful" in place.vectrue("quality", "-q", str(file)).stdout


def test_a_hashed_log_keeps_no_text_and_stands_in_nobodys_way(place: Workplace) -> None:
    """No text in table or log; what is old goes, with its feedback; while its table is
    locked searches are answered.
    """
    clear(place)
    judge(place)
    place.execute(
        """INSERT INTO vectrue.queries
           SELECT gen_random_uuid(),
               now() - interval '1 day' * CASE WHEN n = 0 THEN 1.9 ELSE 2.1 END, NULL, 'x', '{m}',
               '{t}', '[]', 0, 0, 0 FROM generate_series(0, 2100) AS n"""
    )
    place.execute("INSERT INTO vectrue.feedback SELECT id, 't', '{1}', true FROM vectrue.queries")
    log = {"query_log": "hashed", "query_log_days": 2.0, "request_seconds": 2.0}
    with running_server(place, log="hashed", **{**KEEP_EVERYTHING, **log}) as server:
        until(
            lambda: place.value("SELECT count(*) FROM vectrue.queries") == 1,
            what="old searches to be gone",
        )
        assert place.value("SELECT count(*) FROM vectrue.feedback") == 1
        found = ask(server, f"{ROWS[0]} {SECRET}")
        assert opine(server, found, useful=True) == (204, "")
        kept = place.execute("SELECT * FROM vectrue.queries WHERE id = %s", (found["query_id"],))
        assert SECRET not in repr(kept)
        assert (
            place.value(
                "SELECT octet_length(query_hmac) FROM vectrue.queries WHERE query_hmac <> 'x'"
            )
            == 32
        )

        other = psycopg2.connect(place.settings.postgres.dsn)
        try:
            other.cursor().execute("LOCK TABLE vectrue.queries")
            assert ask(server)["query_id"]
            until(
                lambda: samples(server, "vectrue_query_log_total").get('{outcome="database"}'),
                what="the search to be dropped",
            )
        finally:
            other.close()
        assert opine(server, ask(server), useful=True)[0] == 204
        assert SECRET not in server.log()
    refused = place.vectrue("quality", "export", "-", check=False)
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "HMACs, from which no text can be read: serve.query_log = text" in " ".join(
        refused.stderr.split()
    )


def test_what_cannot_be_kept_is_said_at_the_start(place: Workplace) -> None:
    """A bad file, and a database that `init` has to bring up to date: exit 78 and the
    command. Off: 409 and no id.
    """
    clear(place)
    file = judge(place)
    file.write_text("{")
    refused = place.vectrue("serve", check=False)
    assert (refused.returncode, "quality.queries: line 1 of" in refused.stderr) == (78, True)
    judge(place)
    place.with_settings(serve={**KEEP_EVERYTHING, "query_log": "hashed"})
    place.execute("ALTER TABLE vectrue.feedback RENAME TO hidden")
    try:
        refused = place.vectrue("serve", check=False)
        assert (refused.returncode, "vectrue.feedback" in refused.stderr) == (78, True)
        assert "vectrue init" in refused.stderr
    finally:
        place.execute("ALTER TABLE vectrue.hidden RENAME TO feedback")
    with running_server(place, log="off", **KEEP_EVERYTHING) as server:
        found = ask(server)
        assert found["query_id"] is None
        status, sentence = opine(server, found, useful=True, query_id=str(uuid4()))
        assert (status, "serve.query_log is off" in sentence) == (409, True)
    assert place.value("SELECT count(*) FROM vectrue.queries") == 0
