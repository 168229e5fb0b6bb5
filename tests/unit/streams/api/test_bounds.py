"""What a request may hold is counted before it is looked at, and no header brings the
server into trouble.
"""

import asyncio
import json
from functools import cache
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from schemas.settings.sections import ServeSettings
from streams.api.bodies import (
    EmbeddingsRequest,
    FeedbackBody,
    ScoreByQuestion,
    ScoreByReference,
    SearchBody,
)
from streams.api.guard import Guard
from streams.api.routes import build

MANY = 340_000
QUERY_ID = "7b0c4d0e-6d0f-4b55-9a53-0d0f2f1c8a11"
TOKEN = "a-token-of-this-test-0123456789"


@cache
def application(**settings: Any) -> Guard:
    """The whole application with an engine that must not be reached."""
    served = ServeSettings(max_body_bytes=10_000_000, **settings)
    engine: Any = SimpleNamespace()
    return Guard(build(engine, served), served)


def ask(
    method: str, path: str, *, settings: dict[str, Any] | None = None, **request: Any
) -> httpx.Response:
    """One request."""

    async def sent() -> httpx.Response:
        transport = httpx.ASGITransport(application(**settings or {}), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            return await client.request(method, path, **request)

    return asyncio.run(sent())


@pytest.mark.parametrize(
    ("model", "body"),
    [
        (EmbeddingsRequest, {"model": "m", "input": [""] * MANY}),
        (EmbeddingsRequest, {"model": "m", "input": ["a"] * MANY}),
        (EmbeddingsRequest, {"model": "m", "input": [""] * 5_000}),
        (EmbeddingsRequest, {"model": "m", "input": ["a", *[1] * 5_000]}),
        (EmbeddingsRequest, {"model": "m", "input": "a", **{str(i): 1 for i in range(MANY)}}),
        (SearchBody, {"query": "a", "tables": [""] * MANY}),
        (SearchBody, {"query": "a", **{str(i): 1 for i in range(MANY)}}),
        (FeedbackBody, {"query_id": QUERY_ID, "table": "a", "useful": True, "key": [1] * MANY}),
        (ScoreByReference, {"answer": "a", **{str(i): 1 for i in range(MANY)}}),
        (ScoreByQuestion, {"question": 1, **{str(i): 1 for i in range(MANY)}}),
    ],
    ids=lambda one: one.__name__ if isinstance(one, type) else "",
)
def test_many_wrong_items_are_one_error(model: type[Any], body: dict[str, Any]) -> None:
    """An error each would hold up every other request for seconds: lists and objects
    end at their first.

    One more may come from the other form that the same field may have.
    """
    with pytest.raises(ValidationError) as refused:
        model.model_validate(body)
    assert refused.value.error_count() <= 2


def test_every_list_of_a_request_is_bounded() -> None:
    """Also one that comes to be: `fail_fast` and a `max_length`."""
    for model in (EmbeddingsRequest, SearchBody, FeedbackBody, ScoreByReference, ScoreByQuestion):
        lists = list(_lists(model.__pydantic_core_schema__))
        assert all(one.get("fail_fast") and one.get("max_length", 0) > 0 for one in lists), model
        assert model not in (EmbeddingsRequest, SearchBody, FeedbackBody) or lists


def _lists(schema: Any) -> Any:
    if isinstance(schema, dict):
        if schema.get("type") == "list":
            yield schema
        for part in schema.values():
            yield from _lists(part)
    elif isinstance(schema, list | tuple):
        for part in schema:
            yield from _lists(part)


@pytest.mark.parametrize(
    ("path", "body", "says"),
    [
        (
            "/v1/embeddings",
            {"model": "m", "input": [""] * MANY},
            "there are 340000 texts, and 2048 at most",
        ),
        (
            "/v1/embeddings",
            {"model": "m", "input": ["hi", ""]},
            "input: item 1 is empty (items count from 0)",
        ),
        ("/v1/embeddings", {"model": "m", "input": ["hi", " \n"]}, "input: item 1 is blank"),
        ("/v1/embeddings", {"model": "m", "input": ["hi", None]}, "input: item 1 is not text"),
        ("/v1/embeddings", {"model": "m", "input": ["hi", ["a"]]}, "input: item 1 is not text"),
        (
            "/v1/embeddings",
            {"model": "m", "input": []},
            "input: it is an empty list; send at least one text",
        ),
        ("/v1/embeddings", {"model": "m", "input": ""}, "input: it is empty"),
        ("/v1/embeddings", {"model": "m", "input": "\u3000"}, "input: it is blank"),
        (
            "/v1/embeddings",
            {"model": "m", "input": {"text": "a"}},
            "input: it is neither a text nor a list of texts",
        ),
        (
            "/v1/embeddings",
            {"model": "m", "input": None},
            "input: it is neither a text nor a list of texts",
        ),
        ("/v1/embeddings", {"model": "m"}, "input: it is missing"),
        (
            "/v1/embeddings",
            {"model": "m", "input": "a", "encoding_format": "hex"},
            "should be 'float' or 'base64'",
        ),
        ("/v1/embeddings", {"model": "m", "input": "a", "dimensions": "64"}, "dimensions: "),
        ("/v1/search", {"query": ""}, "query: it is empty"),
        ("/v1/search", {"query": " "}, "query: it is blank"),
        ("/v1/search", {"query": "a", "top": 3}, "top: there is no such field"),
        ("/v1/score", {"answer": "a", "reference": ""}, '"reference: it is empty'),
        ("/v1/score", {"answer": "a"}, '"reference: it is missing'),
        ("/v1/score", {"answer": "", "question": 1}, '"answer: it is empty'),
        ("/v1/score", {"answer": "a", "question": True}, '"question: Input should be a valid'),
        (
            "/v1/score",
            {"answer": "a", "reference": "b", "question": 1},
            '"the body: there are 3 fields, and 2 at most',
        ),
        (
            "/feedback",
            {"query_id": QUERY_ID, "table": "a", "key": [], "useful": True},
            "key: it is an empty list",
        ),
        (
            "/v1/search",
            {"query": "a" * 40_000},
            "query: String should have at most 32768 characters",
        ),
        (
            "/v1/search",
            {"query": "a", "tables": ["a"] * MANY},
            "tables: List should have at most 1000 items",
        ),
        (
            "/v1/search",
            {"query": "a", "tables": ["a" * 301]},
            "tables.0: String should have at most 300",
        ),
        (
            "/v1/search",
            {f"f{i}": 1 for i in range(90_000)},
            "there are 90000 fields, and 6 at most",
        ),
        ("/v1/score", {"answer": "a", "question": "a" * 10_001}, "at most 10000 characters"),
        (
            "/feedback",
            {"query_id": QUERY_ID, "table": "a", "key": ["a" * 10_001], "useful": True},
            "at most 10000",
        ),
    ],
)
def test_what_is_too_much_is_refused_with_its_bound(
    path: str, body: dict[str, Any], says: str
) -> None:
    """4xx, and the sentence says which field and how much there may be; the engine is
    not reached.
    """
    answer = ask("POST", path, json=body)
    assert answer.status_code == (400 if path == "/v1/embeddings" else 422)
    assert says in answer.text


@pytest.mark.parametrize(
    "body", ["[" * 1_000_000, '{"query":' * 200_000, '{"query":"a","limit":' + "9" * 5_000 + "}"]
)
def test_json_that_no_parser_takes_is_refused(body: str) -> None:
    """Nesting and numbers without an end are the request's fault."""
    answer = ask("POST", "/v1/search", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded"])
def test_a_body_that_does_not_say_json_is_not_read(kind: str | None) -> None:
    """A web page may send such a body to this machine without asking; one without any
    type as well.
    """
    headers = {} if kind is None else {"content-type": kind}
    answer = ask("POST", "/feedback", content=json.dumps({"query_id": "x"}), headers=headers)
    assert answer.status_code == 422
    assert "query_id" not in answer.text


HOSTS = [
    "[",
    "]",
    "[::1",
    "[1.2.3.4",
    "a/b",
    "a?b",
    "a#b",
    "a@127.0.0.1",
    "a b",
    "127.0.0.1:x",
    "127.0.0.1:1:2",
    "[::1]:99999",
    "\xe9",
]


@pytest.mark.parametrize("token", [None, TOKEN])
@pytest.mark.parametrize("path", ["/livez", "/docs", "/v1/nowhere", "/v1/search"])
def test_a_host_that_is_none_is_a_bad_request(path: str, token: str | None) -> None:
    """400, in the form of every error, before anything makes an address of it."""
    for host in HOSTS:
        headers: dict[str, Any] = {
            "host": host.encode("latin-1"),
            "authorization": f"Bearer {TOKEN}",
        }
        answer = ask("GET", path, settings={"token": token}, headers=headers)
        assert (answer.status_code, answer.headers["content-type"]) == (
            400,
            "application/problem+json",
        ), host
        assert "Host header" in answer.json()["detail"]


@pytest.mark.parametrize("length", ["9" * 5_000, "000000010000001", "\xb2"])
def test_a_length_without_an_end(length: str) -> None:
    """An announced length of thousands of digits, or of digits that are none, is not
    made a number of.
    """
    answer = ask("GET", "/livez", headers=[(b"content-length", length.encode("latin-1"))])
    assert answer.status_code == (200 if length == "\xb2" else 413)


@pytest.mark.parametrize("path", ["[", "//[", "*", "http://[", "/%ff%00"])
def test_a_strange_target_is_not_found(path: str) -> None:
    """Whatever stands in the request's line: no address is made of it and of the Host
    header.
    """
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "root_path": "",
        "scheme": "http",
        "headers": [(b"host", b"127.0.0.1:8000")],
        "server": ("127.0.0.1", 8000),
    }
    sent: list[Any] = []

    async def receive() -> Any:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(application()(scope, receive, send))
    assert sent[0]["status"] == 404
