"""The server's `/docs`: what it describes, and that it needs nothing from the network."""

import json
import re
import shlex
from html.parser import HTMLParser
from types import SimpleNamespace
from typing import Any

import pytest
from fastapi import FastAPI
from pydantic import TypeAdapter

from schemas.settings.sections import ServeSettings
from streams.api import page
from streams.api.answers import (
    ScoreAnswer,
    SearchAnswer,
)
from streams.api.bodies import (
    EmbeddingsRequest,
    FeedbackBody,
    ScoreByQuestion,
    ScoreByReference,
    SearchBody,
)
from streams.api.problems import OpenAIErrorBody, ProblemBody
from streams.api.routes import build

BASE = "http://127.0.0.1:8000"


class Reader(HTMLParser):
    """Text blocks, ids and every attribute of a page; an unclosed or misplaced tag is
    an error.
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self.attributes: list[tuple[str, str, str]] = []
        self.blocks: dict[str, list[str]] = {}
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += [(tag, name, value or "") for name, value in attrs]
        if tag not in ("meta",):
            self._open.append(tag)
            self.blocks.setdefault(tag, []).append("")

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open:
            self.blocks[self._open[-1]][-1] += data

    def ids(self) -> list[str]:
        return [value for _, name, value in self.attributes if name == "id"]


def served(*, token: str | None = None) -> FastAPI:
    engine: Any = SimpleNamespace()
    return build(engine, ServeSettings.model_validate({"token": token}))


@pytest.fixture(scope="module")
def text() -> str:
    """The page of a server without a token."""
    return page.render(served().openapi(), BASE)


def test_the_page_asks_for_nothing(text: str) -> None:
    """No script, no image, no style sheet; links lead within the page and to the
    description beside it.
    """
    reader = Reader(text)
    assert not {"script", "link", "img", "iframe", "object"} & {
        tag for tag, _, _ in reader.attributes
    }
    assert "script" not in reader.blocks
    targets = {
        value
        for _, name, value in reader.attributes
        if name in ("src", "href", "action", "srcset", "data")
    }
    assert targets - {"openapi.json"} == {f"#{one}" for one in reader.ids()} & targets
    assert not [value for _, _, value in reader.attributes if re.search(r"(?:https?:)?//", value)]
    (style,) = reader.blocks["style"]
    assert not re.search(r"url\(|@import|//", style)


def test_the_page_describes_every_path_and_field(text: str) -> None:
    """Each path and method, and each field of each shape, by name; an id is there once."""
    description = served().openapi()
    reader = Reader(text)
    assert len(reader.ids()) == len(set(reader.ids()))
    for path, methods in description["paths"].items():
        assert {f"{method.upper()} {path}" for method in methods} <= set(reader.blocks["code"])
    for shape in (*description["components"]["schemas"].values(), ProblemBody.model_json_schema()):
        assert shape["title"] in reader.blocks["h3"]
        assert set(shape["properties"]) <= set(reader.blocks["code"])


def test_curl_lines_are_requests_that_fit(text: str) -> None:
    """Each body in a line is one that the path takes; both ways to score are there;
    with a token a header is sent.
    """
    kinds: dict[str, TypeAdapter[Any]] = {
        "/v1/search": TypeAdapter(SearchBody),
        "/v1/score": TypeAdapter(ScoreByReference | ScoreByQuestion),
        "/v1/embeddings": TypeAdapter(EmbeddingsRequest),
        "/feedback": TypeAdapter(FeedbackBody),
    }
    lines = [shlex.split(line) for line in Reader(text).blocks["pre"] if line.startswith("curl ")]
    bodies = [
        (line[2].removeprefix(BASE), line[line.index("-d") + 1]) for line in lines if "-d" in line
    ]
    taken = [type(kinds[path].validate_json(body)) for path, body in bodies]
    assert taken == [SearchBody, ScoreByReference, ScoreByQuestion, FeedbackBody, EmbeddingsRequest]
    assert [line[2] for line in lines if "models" in line[2]] == [
        f"{BASE}/v1/models",
        f"{BASE}/v1/models/BAAI/bge-m3",
    ]
    assert "Bearer" not in text
    guarded = page.render(served(token="a-token-of-this-test-0123456789").openapi(), BASE)
    # /v1/models, one of them, /metrics
    assert guarded.count("Authorization: Bearer $TOKEN") == len(bodies) + 3
    assert "a-token" not in guarded


def test_examples_are_answers_that_fit(text: str) -> None:
    """What the page shows as an answer is one: of each path, and of each form of error."""
    shown = [json.loads(block) for block in Reader(text).blocks["pre"] if block.startswith("{")]
    for kind in (SearchAnswer, ScoreAnswer, ProblemBody, OpenAIErrorBody):
        (example,) = kind.model_json_schema()["examples"]
        assert kind.model_validate_json(json.dumps(example)).model_dump(mode="json") == example
        assert example in shown


def test_an_odd_address_stays_text() -> None:
    """The address is the client's own word (the Host header): it neither leaves its
    line nor becomes a tag.
    """
    odd = "http://a';<script>alert(1)</script>"
    text = page.render(served().openapi(), odd)
    assert "<script" not in text
    line = next(line for line in Reader(text).blocks["pre"] if "/v1/search" in line)
    assert shlex.split(line)[2] == f"{odd}/v1/search"
