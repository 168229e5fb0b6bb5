"""Bodies of requests that are no text: an answer that says so, and never a failure of
the server.
"""

from typing import Any

import pytest
from starlette.testclient import TestClient

from schemas.settings.sections import ServeSettings
from streams.api.engine import Engine
from streams.api.guard import Guard
from streams.api.problems import Problem
from streams.api.routes import build

UUID = '"7b0c4d0e-6d0f-4b55-9a53-0d0f2f1c8a11"'
BODIES = {
    "/v1/search": [
        '{"query": %s}',
        '{"query": "a", "tables": [%s]}',
        '{"query": "a", %s: 1}',
        "%s",
        '{"query": [%s]}',
    ],
    "/v1/score": [
        '{"answer": %s, "reference": "b"}',
        '{"answer": "a", "reference": %s}',
        '{"answer": "a", "question": %s}',
    ],
    "/v1/embeddings": [
        '{"input": %s, "model": "m"}',
        '{"input": ["a", %s], "model": "m"}',
        '{"input": "a", "model": %s}',
        '{"input": "a", "model": "m", "user": %s}',
        '{"input": "a", "model": "m", "encoding_format": %s}',
        '{"input": [[%s]], "model": "m"}',
    ],
    "/feedback": [
        '{"query_id": %s, "table": "t", "key": ["1"], "useful": true}',
        f'{{"query_id": {UUID}, "table": %s, "key": ["1"], "useful": true}}',
        f'{{"query_id": {UUID}, "table": "t", "key": [%s], "useful": true}}',
    ],
}


HOSTILE = "\x9b31m \u202e 한글"


class Unasked:
    """An engine that knows only what its health is."""

    async def ready(self) -> list[str]:
        """It is."""
        return []

    async def changes(self) -> str:
        """In words from elsewhere."""
        return HOSTILE

    def __getattr__(self, name: str) -> Any:
        async def refuse(*_: object) -> None:
            raise Problem(404, HOSTILE)

        return refuse


@pytest.fixture
def client() -> TestClient:
    """The application behind its door."""
    engine: Engine = Unasked()  # type: ignore[assignment]  # of which no method is wanted
    application = Guard(build(engine, ServeSettings()), ServeSettings())
    return TestClient(application, raise_server_exceptions=False, base_url="http://127.0.0.1")


@pytest.mark.parametrize(
    ("path", "body"), [(path, body) for path, bodies in BODIES.items() for body in bodies]
)
@pytest.mark.parametrize(
    "wrong", [rb'"\ud83d"', b'"\xff"', b'"\xed\xa0\xbd"', b'"\xef\xbb\xbf\\udc00"']
)
def test_a_body_that_is_no_text_is_refused(
    client: TestClient, path: str, body: str, wrong: bytes
) -> None:
    """In every place of every body: 4xx with a sentence, in the form of the path."""
    content = body.replace("%s", "\0").encode().replace(b"\0", wrong)
    answer = client.post(path, content=content, headers={"content-type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    said = answer.json()
    assert said.get("detail") or said["error"]["message"]


def test_the_sentence_says_what_is_wrong(client: TestClient) -> None:
    """Not in the words of a parser."""
    answer = client.post(
        "/v1/search", content=rb'{"query": "\ud83d"}', headers={"content-type": "application/json"}
    )
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "query: it holds half a character",
    )


@pytest.mark.parametrize("path", ["/readyz", "/v1/search", "/v1/embeddings"])
def test_an_answer_is_harmless_on_a_terminal(client: TestClient, path: str) -> None:
    """Also an error, in either form: C1 and the marks that turn the direction are
    escaped; the value is the same, and Korean is readable.
    """
    body = {"query": "a"} if path == "/v1/search" else {"input": "a", "model": "m"}
    answer = client.get(path) if path == "/readyz" else client.post(path, json=body)
    assert "\\u009b31m \\u202e 한글" in answer.text
    said = answer.json()
    assert HOSTILE in (said.get("changes") or said.get("detail") or said["error"]["message"])
