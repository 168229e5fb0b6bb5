"""What `vectrue serve` answers: a real process on loopback over a real database."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import openai
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.core.result import Ok

from connectors.models import open_model
from schemas.reports.search import BY_COMMAND
from tests.support.server import ROWS, Server, questions, running_server
from tests.support.waiting import until
from tests.support.workplace import Endpoints, Workplace

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
def place(stack: Endpoints, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workplace]:
    """Three questions with true vectors; no worker runs."""
    with questions(stack, tmp_path_factory.mktemp("serve")) as made:
        yield made


@pytest.fixture(scope="module")
def server(place: Workplace) -> Iterator[Server]:
    """A server without a token, which looks at the coverage as often as it is asked,
    and logs hashes of its queries.
    """
    with running_server(place, coverage_seconds=0.001, query_log="hashed") as running:
        yield running


@pytest.fixture
def client(server: Server) -> Iterator[openai.OpenAI]:
    """OpenAI's own client."""
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0) as made:
        yield made


def stored(
    place: Workplace, texts: list[str]
) -> "np.ndarray[tuple[int, int], np.dtype[np.float32]]":
    """What the model's `encode_documents` makes of texts."""
    return np.asarray(open_model(place.settings.model).encode_documents(texts))


def test_openais_client_gets_the_vectors_of_encode(server: Server, client: openai.OpenAI) -> None:
    """Base64 (its default) and floats, a text and a list, equal the model's own vectors
    to the last bit.
    """
    expected = stored(server.place, list(ROWS))
    answer = client.embeddings.create(model="lexical", input=list(ROWS))
    np.testing.assert_array_equal(
        np.array([one.embedding for one in answer.data], np.float32), expected
    )
    assert [one.index for one in answer.data] == [0, 1, 2]
    assert answer.model == open_model(server.place.settings.model).model_id
    assert (
        answer.usage.prompt_tokens
        == answer.usage.total_tokens
        == sum(len(text.split()) for text in ROWS)
    )
    floats = client.embeddings.create(
        model=answer.model, input=ROWS[0], encoding_format="float", dimensions=64
    )
    np.testing.assert_array_equal(np.array(floats.data[0].embedding, np.float32), expected[0])
    raw = server.client.post(
        "/v1/embeddings", json={"model": "lexical", "input": ROWS[0], "encoding_format": "base64"}
    ).json()["data"][0]["embedding"]
    np.testing.assert_array_equal(np.frombuffer(base64.b64decode(raw), "<f4"), expected[0])


def test_openais_client_is_told_what_is_wrong(client: openai.OpenAI) -> None:
    """Tokens, another length, an unknown model, a blank text: OpenAI's error classes,
    one sentence, the parameter.
    """
    create = client.embeddings.create
    for tokens in ([1, 2, 3], [[1, 2], [3]]):
        with pytest.raises(
            openai.BadRequestError, match=r"token arrays are not supported.*send texts"
        ) as refused:
            create(model="lexical", input=tokens)
        assert refused.value.param == "input"
    with pytest.raises(openai.BadRequestError, match="vectors of 64 and no others"):
        create(model="lexical", input="a", dimensions=65)
    with pytest.raises(openai.NotFoundError, match="ask for one of: lexical") as unknown:
        create(model="text-embedding-3-small", input="a")
    assert unknown.value.code == "model_not_found"
    for texts, said in (
        ([], "empty list"),
        ("", "it is empty"),
        (["hi", ""], "item 1 is empty"),
        (["a", "  "], "item 1"),
    ):
        with pytest.raises(openai.BadRequestError, match=said) as empty:
            create(model="lexical", input=texts)
        assert empty.value.param == "input"


def test_openais_client_finds_the_models(server: Server, client: openai.OpenAI) -> None:
    """The list, each of it by its name and by its id; what the list calls a model is
    what `embeddings` takes.
    """
    (listed,) = client.models.list().data
    assert (listed.id, listed.object, listed.owned_by) == ("lexical", "model", "vectrue")
    identity = open_model(server.place.settings.model).model_id
    assert client.models.retrieve("lexical") == listed
    found = server.client.get(f"/v1/models/{identity}").json()
    assert (found["id"], found["model_id"], found["dimensions"]) == (identity, identity, 64)
    assert client.embeddings.create(model=listed.id, input="a").model == identity
    with pytest.raises(openai.NotFoundError, match="ask for one of: lexical") as unknown:
        client.models.retrieve("BAAI/bge-m3")
    assert unknown.value.code == "model_not_found"


def test_search_finds_the_row_and_says_where_the_time_went(server: Server) -> None:
    """The nearest row first, with key, text and age; filters and limits hold; no text
    of a query is in the log.
    """
    answer = server.client.post(
        "/v1/search", json={"query": "파이썬 GIL 은밀한질문", "limit": 2}
    ).json()
    assert answer["hits"][0]["text"] == ROWS[0]
    assert len(answer["hits"]) == 2
    assert answer["hits"][0]["key"] == ["1"]
    assert answer["hits"][0]["is_current"] is True
    times = {name: round(seconds * 1e6) for name, seconds in answer["timings"].items()}
    parts = times["embed_seconds"], times["database_seconds"]
    assert min(parts) > 0
    assert times["total_seconds"] >= sum(parts) - 2, "each is rounded to a microsecond by itself"
    none = server.client.post(
        "/v1/search", json={"query": "zzz", "tables": ["questions"], "min_similarity": 1}
    ).json()
    assert none["hits"] == []
    assert "은밀한질문" not in server.log()
    assert "Uvicorn" not in server.log()


def test_search_says_how_much_could_be_found(server: Server) -> None:
    """The command's `coverage` and `warnings`: nothing to warn of while all rows are
    current, and what is missing.
    """
    place = server.place

    def told() -> tuple[Any, list[str]]:
        answer = server.client.post("/v1/search", json={"query": ROWS[0]}).json()
        return answer["coverage"], answer["warnings"]

    def becomes(warnings: list[str]) -> None:
        until(
            lambda: told()[0] is not None and told()[1] == warnings, what=f"the warnings {warnings}"
        )

    becomes([])
    ((seen,), _) = told()
    command = json.loads(place.vectrue("search", ROWS[0], "-o", "json").stdout)
    assert {**seen, "age_seconds": None} == {**command["coverage"][0], "age_seconds": None}
    assert (seen["rows"], seen["current"], seen["coverage"]) == (3, 3, 1.0)
    place.execute("INSERT INTO questions (id, question) VALUES (99, 'not embedded')")
    try:
        becomes(
            [f"75.0 % of 4 rows of public.questions are covered: 1 are not searched; {BY_COMMAND}"]
        )
    finally:
        place.execute("DELETE FROM questions WHERE id = 99")
    becomes([])


def test_an_answer_is_scored_by_a_reference_or_by_what_is_stored(server: Server) -> None:
    """The similarity is that of the two texts' vectors; a question's answers are found
    by its key, and only they.
    """
    answer, reference = "GIL은 파이썬의 락입니다", ROWS[0]
    first, second = stored(server.place, [answer, reference])
    expected = pytest.approx(float(first @ second), abs=1e-5)
    given = server.client.post("/v1/score", json={"answer": answer, "reference": reference}).json()
    assert given["similarity"] == expected
    assert given["score"] == pytest.approx(100 * given["similarity"])
    assert given["reference"] is None
    for question in (1, "1"):
        found = server.client.post(
            "/v1/score", json={"answer": answer, "question": question}
        ).json()
        assert found["similarity"] == expected
        assert (found["grade"], found["message"]) == (given["grade"], given["message"])
        assert found["reference"]["text"] == reference
    assert (
        server.client.post("/v1/score", json={"answer": ROWS[0], "question": 2}).json()["score"]
        < 90
    )
    for status, wrong in (
        (404, {"question": 99}),
        (404, {"question": "x"}),
        (404, {"question": 10**30}),
        (422, {}),
    ):
        refused = server.client.post("/v1/score", json={"answer": answer, **wrong})
        assert (refused.status_code, refused.headers["content-type"]) == (
            status,
            "application/problem+json",
        )
        assert answer not in refused.text


def test_metrics_tell_time_by_stage_similarity_empty_and_stale(server: Server) -> None:
    """After a search that found a stale row and one that found nothing, the figures of
    both are there.
    """
    place = server.place
    place.execute("UPDATE questions SET question = question || ' ' WHERE id = 2")
    server.client.post("/v1/search", json={"query": ROWS[1], "limit": 1})
    server.client.post("/v1/search", json={"query": "zzz", "min_similarity": 1})
    place.execute("UPDATE questions SET question = trim(question) WHERE id = 2")
    shown = server.client.get("/metrics").text
    for line in (
        'vectrue_search_duration_seconds_count{stage="embed"}',
        'vectrue_search_duration_seconds_count{stage="database"}',
        'vectrue_search_duration_seconds_count{stage="total"}',
        f'vectrue_search_top_similarity_count{{model="{open_model(place.settings.model).model_id}"}}',
        "vectrue_search_empty_total",
        'vectrue_search_rows_total{state="stale",table="public.questions"}',
        'vectrue_api_requests_total{path="/v1/search",status="200"}',
        'vectrue_api_batch_texts_count{kind="query"}',
    ):
        found = [float(one.rsplit(" ", 1)[1]) for one in shown.splitlines() if one.startswith(line)]
        assert found, line
        assert found[0] >= 1, line


def test_errors_are_problems_with_a_fix(server: Server) -> None:
    """RFC 9457, one sentence each, and never the text that was sent."""
    secret = "은밀한질문"
    asked: list[tuple[int, httpx.Response]] = [
        (
            404,
            server.client.post("/v1/search", json={"query": secret, "tables": ["public.nowhere"]}),
        ),
        (422, server.client.post("/v1/search", json={"query": secret, "limit": 0})),
        (422, server.client.post("/v1/search", json={"query": [secret]})),
        (422, server.client.post("/v1/search", json={"query": "  "})),
        (400, server.client.post("/v1/search", content=f'{{"query": "{secret}"', headers=JSON)),
        (422, server.client.post("/v1/search", content='{"query": "\\ud800"}', headers=JSON)),
        (413, server.client.post("/v1/search", json={"query": secret * 200_000})),
        (404, server.client.get("/nowhere")),
        (405, server.client.get("/v1/search")),
        (421, server.client.get("/livez", headers={"Host": "rebound.example"})),
    ]
    for status, answer in asked:
        assert (answer.status_code, answer.headers["content-type"]) == (
            status,
            "application/problem+json",
        )
        body = answer.json()
        assert body["status"] == status
        assert body["detail"]
        assert body["fix"]
        assert secret not in answer.text
    assert secret not in server.log()


def test_hundreds_of_thousands_of_texts_hold_up_nobody(server: Server) -> None:
    """The texts are counted and not examined one by one: the answer is 400, and probes are
    answered before and after it.
    """
    body = '{"model":"lexical","input":[""' + ',""' * 339_999 + "]}"
    answer = server.client.post("/v1/embeddings", content=body, headers=JSON)
    assert answer.status_code == 400
    assert "there are 340000 texts, and 2048 at most" in answer.text
    assert server.client.get("/livez").status_code == 200


JSON = {"content-type": "application/json"}


def test_the_openapi_page_is_there(server: Server) -> None:
    """`/docs` and `/openapi.json` describe every path; the page may load nothing; curl
    lines name the server.
    """
    shown = server.client.get("/docs")
    assert shown.status_code == 200
    assert shown.headers["content-security-policy"].startswith("default-src 'none';")
    paths = server.client.get("/openapi.json").json()["paths"]
    work = {
        "/v1/search",
        "/v1/score",
        "/v1/embeddings",
        "/v1/models",
        "/v1/models/{model}",
        "/feedback",
    }
    assert work | {"/livez", "/readyz", "/metrics"} <= set(paths)
    assert all(
        f"{server.url}{path.replace('{model}', 'BAAI/bge-m3')}" in shown.text for path in paths
    )


@pytest.mark.parametrize("mode", list(GenerationMode))
def test_the_server_is_as_it_describes_itself(server: Server, mode: GenerationMode) -> None:
    """Requests made from its OpenAPI description: every answer is one that it
    describes, and none is 500.

    Right ones are taken, wrong ones are refused, and errors have their form.
    """
    description = schemathesis.openapi.from_url(f"{server.url}/openapi.json")
    rejection = description.config.checks.negative_data_rejection
    # too large is refused unread
    rejection.expected_statuses = [*rejection.expected_statuses, "413"]
    asked = []
    for result in description.get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        strategy = operation.as_strategy(generation_mode=mode)
        if mode is GenerationMode.NEGATIVE and operation.method == "get":
            continue  # nothing in these requests could be wrong

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(case=strategy)
        def ask(case: Case[Any]) -> None:
            if (
                isinstance(case.body, dict)
                and case.path == "/v1/embeddings"
                and mode is GenerationMode.POSITIVE
            ):
                # the description cannot say which ones are served
                case.body["model"] = "lexical"
                case.body.pop("dimensions", None)
            case.call_and_validate()

        ask()
        asked.append(operation.path)
    assert {"/v1/search", "/v1/score", "/v1/embeddings", "/feedback"} <= set(asked)
