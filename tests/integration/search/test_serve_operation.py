"""`vectrue serve` as its operator sees it: a full queue, a stop, a token, a server
that is away, a migration.
"""

import http.client
import json
import signal
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from typing import Any

import httpx
import openai
import psycopg2
import pytest

from connectors.models import open_model
from tests.support.proxy import Proxy
from tests.support.server import ROWS, Server, fill_vectors, questions, running_server
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace

pytestmark = pytest.mark.stack

TOKEN = "a-token-of-this-test-0123456789"


@pytest.fixture(scope="module")
def place(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Three questions with true vectors; no worker runs."""
    with questions(stack, tmp_path_factory.mktemp("serve")) as made:
        yield made


def half_sent(server: Server, body: bytes) -> http.client.HTTPConnection:
    """A request in hand: all of it has arrived but the last byte."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=60)
    connection.putrequest("POST", "/v1/embeddings")
    connection.putheader("content-type", "application/json")
    connection.putheader("content-length", str(len(body)))
    connection.endheaders()
    connection.send(body[:-1])
    in_hand = "vectrue_api_requests_in_hand 1.0"
    until(
        lambda: in_hand in server.client.get("/metrics").text,
        what="the server to have the request in hand",
    )
    return connection


def test_a_full_queue_says_come_again_and_a_stop_finishes_what_is_in_hand(place: Workplace) -> None:
    """With serve.queue of 1: the second request gets 503 with Retry-After in its
    endpoint's form, probes go on.

    Then SIGTERM while the first is in hand: new connections are refused, the first is
    answered, the exit code is 0.
    """
    body = json.dumps({"model": "lexical", "input": ROWS[0]}).encode()
    with (
        running_server(place, log="full", queue=1) as server,
        closing(half_sent(server, body)) as first,
    ):
        for path, request in (
            ("/v1/embeddings", {"model": "lexical", "input": "b"}),
            ("/v1/search", {"query": "b"}),
        ):
            refused = server.client.post(path, json=request)
            assert refused.status_code == 503
            assert refused.headers["retry-after"] == "1"
            assert "serve.queue" in refused.text
            assert ("error" in refused.json()) == (path == "/v1/embeddings")
        probed = server.client.get("/readyz")
        # No live worker has run here: what is found is true, and nothing says that
        # changes arrive.
        assert (probed.status_code, probed.json()["status"]) == (200, "ready")
        assert probed.json()["changes"].startswith("no live worker has run yet")

        server.client.close()
        server.process.send_signal(signal.SIGTERM)
        until(lambda: is_refused(server), what="new connections to be refused")
        assert server.process.poll() is None
        first.send(body[-1:])
        answer = first.getresponse()
        assert answer.status == 200
        assert len(json.loads(answer.read())["data"][0]["embedding"]) == 64
        assert server.process.wait(120) == 0
        assert "server stopped" in server.log()


def is_refused(server: Server) -> bool:
    try:
        httpx.get(f"{server.url}/livez", timeout=5)
    except httpx.ConnectError:
        return True
    return False


def test_the_token_and_readiness(place: Workplace, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a token: only probes and the description come in without it. Without
    Postgres: live, not ready, 503.

    Behind a proxy that is cut while the server starts, and repaired: it becomes ready by
    itself, and searches.
    """
    monkeypatch.setenv("VECTRUE_SERVE__TOKEN", TOKEN)
    before = place.settings
    address = psycopg2.extensions.parse_dsn(before.postgres.dsn)
    proxy = Proxy(int(address["port"]))
    proxy.start()
    proxy.cut()
    try:
        dsn = before.postgres.dsn.replace(f":{address['port']}/", f":{proxy.port}/")
        place.with_settings(postgres={"dsn": dsn})
        with running_server(place, log="token") as server:
            refused = server.client.get("/readyz")
            assert (refused.status_code, server.client.get("/livez").status_code) == (503, 200)
            assert str(proxy.port) not in refused.text
            ask = {"query": ROWS[0], "limit": 1}
            bearer = {"Authorization": f"Bearer {TOKEN}"}
            assert server.client.post("/v1/search", json=ask, headers=bearer).status_code == 503

            for headers in (
                {},
                {"Authorization": "Bearer wrong"},
                {"Authorization": f"Basic {TOKEN}"},
            ):
                for path in ("/v1/search", "/metrics"):
                    answer = server.client.request(
                        "POST" if "v1" in path else "GET", path, headers=headers
                    )
                    assert (answer.status_code, answer.headers["www-authenticate"]) == (
                        401,
                        "Bearer",
                    )
            assert server.client.get("/openapi.json").status_code == 200
            assert server.client.get("/metrics", headers=bearer).status_code == 200
            with openai.OpenAI(base_url=f"{server.url}/v1", api_key="wrong") as stranger:
                with pytest.raises(openai.AuthenticationError):
                    stranger.embeddings.create(model="lexical", input="a")
                mine = stranger.with_options(api_key=TOKEN)
                assert len(mine.embeddings.create(model="lexical", input="a").data) == 1

            proxy.mend()
            until(
                lambda: server.client.get("/readyz").status_code == 200,
                what="the server to be ready",
            )
            found = server.client.post("/v1/search", json=ask, headers=bearer).json()
            assert found["hits"][0]["text"] == ROWS[0]
            assert TOKEN not in server.log()
            assert TOKEN not in place.vectrue("config", "show").stdout
    finally:
        proxy.stop()
        place.settings = before


def test_no_search_fails_while_a_migration_swaps(workplace: Workplace) -> None:
    """Searches go on from start to finish, and back and forth: each is answered by one
    model, and finds its row.
    """
    place = workplace
    place.execute("INSERT INTO questions (question) SELECT unnest(%s)", (list(ROWS),))
    place.vectrue("init")
    fill_vectors(place)
    old = open_model(place.settings.model).model_id
    new = open_model(place.settings.model.model_copy(update={"dimensions": 96})).model_id
    with running_server(place) as server, searching(server) as seen:
        place.vectrue("migrate", "start", "--model", "lexical", "--dimensions", "96")
        fill_vectors(place)
        place.vectrue("migrate", "index")
        for step, model in (("swap", new), ("rollback", old), ("swap", new)):
            place.vectrue("migrate", step)
            until(partial(answered, seen, len(seen), model), what=f"searches after the {step}")
        # which the server, that runs on, has not read
        place.with_settings(model={"dimensions": 96})
        place.vectrue("migrate", "finish", "--yes")
        until(partial(answered, seen, len(seen), new), what="searches after the finish")
        assert server.client.get("/readyz").status_code == 200
        ((name, length),) = {
            (m["id"], m["dimensions"]) for m in server.client.get("/v1/models").json()["data"][1:]
        }
        assert (name, length) == ("lexical", 96)
    assert [one for one in seen if one not in ([old], [new])] == []


def answered(seen: list[Any], so_far: int, model: str) -> bool:
    return [model] in seen[so_far:]


@contextmanager
def searching(server: Server) -> Iterator[list[Any]]:
    """Someone who searches without a pause; yields the models of each answer, or what
    was wrong with it.
    """
    seen: list[Any] = []
    over = threading.Event()

    def search() -> None:
        with httpx.Client(base_url=server.url, timeout=60) as client:
            while not over.is_set():
                answer = client.post("/v1/search", json={"query": ROWS[1], "limit": 1})
                found = answer.json()
                is_right = answer.status_code == 200 and found["hits"][0]["similarity"] > 0.99
                seen.append(found["models"] if is_right else answer.text)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        over.set()
        for thread in threads:
            thread.join()
