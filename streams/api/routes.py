"""The paths of the HTTP server and their description (`/openapi.json`, `/docs`)."""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Path, Request, Response, Security
from fastapi.exceptions import RequestValidationError
from fastapi.security import HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException

from schemas.errors import VectrueError
from schemas.settings.sections import ServeSettings
from streams.api import page, problems
from streams.api.answers import (
    EmbeddingsResponse,
    Health,
    ModelBody,
    ModelsAnswer,
    ScoreAnswer,
    SearchAnswer,
)
from streams.api.bodies import (
    NOT_BLANK,
    EmbeddingsRequest,
    FeedbackBody,
    ScoreByQuestion,
    ScoreByReference,
    SearchBody,
)
from streams.api.engine import Engine
from streams.api.problems import Problem

_WORDS = {
    "string_unicode": "it holds half a character",
    "string_too_short": "it is empty",
    "too_short": "it is an empty list",
    "extra_forbidden": "there is no such field",
    "missing": "it is missing",
}
_FORMS = (ScoreByReference.__name__, ScoreByQuestion.__name__)
_ABOUT = """\
Search by meaning over the tables whose vectors vectrue keeps true, and vectors of texts.

Errors are one sentence (`detail`) and how to fix it (`fix`), as
`application/problem+json`; at `/v1/embeddings` and `/v1/models` they have OpenAI's form.
503 comes with `Retry-After`."""


def build(engine: Engine, settings: ServeSettings) -> FastAPI:
    """Build the application, without its guard.

    Args:
        engine: handles the requests.
        settings: whether a token is required, for the description.
    """
    app = FastAPI(
        title="vectrue",
        version=version("vectrue"),
        description=_ABOUT,
        docs_url=None,
        redoc_url=None,
        default_response_class=problems.SafeResponse,
        redirect_slashes=False,
    )
    page.add(app)
    paths = Paths(engine)
    guarded = [Security(HTTPBearer(auto_error=False))] if settings.token is not None else []
    work = APIRouter(tags=["vectors"], dependencies=guarded)
    _add_work(work, paths)
    app.include_router(work)
    health = APIRouter(tags=["health"])
    _add_health(health, paths, guarded)
    app.include_router(health)
    _answer_errors(app)
    return app


def _add_health(health: APIRouter, paths: "Paths", guarded: Sequence[Any]) -> None:
    health.get("/livez", summary="Is the process alive?", response_model_exclude_none=True)(
        paths.livez
    )
    health.get("/readyz", summary="Can it answer?", responses=problems.documented("/readyz"))(
        paths.readyz
    )
    # Probes need no token; figures may tell what the tables are called.
    health.get("/metrics", summary="Prometheus", response_class=_Metrics, dependencies=guarded)(
        paths.metrics
    )


def _add_work(work: APIRouter, paths: "Paths") -> None:
    work.post(
        "/v1/search", summary="The nearest rows", responses=problems.documented("/v1/search")
    )(paths.search)
    work.post("/v1/score", summary="Score an answer", responses=problems.documented("/v1/score"))(
        paths.score
    )
    work.post(
        "/feedback",
        summary="Was a row useful?",
        status_code=204,
        responses=problems.documented("/feedback"),
    )(paths.feedback)
    work.post(
        problems.OPENAI_PATH,
        summary="Vectors of texts, in OpenAI's form",
        response_model=EmbeddingsResponse,
        responses=problems.documented(problems.OPENAI_PATH),
    )(paths.embeddings)
    of_models = problems.documented(problems.MODELS_PATH)
    work.get(
        problems.MODELS_PATH,
        summary="The served models, in OpenAI's form",
        responses=of_models,
    )(paths.models)
    work.get(
        f"{problems.MODELS_PATH}/{{model:path}}",
        summary="One of the served models",
        responses=of_models,
    )(paths.model)


_ModelName = Annotated[str, Path(examples=["BAAI/bge-m3"])]


class _Metrics(Response):
    media_type = CONTENT_TYPE_LATEST


class Paths:
    """One method per path; the docstrings are shown in `/docs`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    async def livez(self) -> Health:
        """Answers while the process works. It does not check Postgres, which a restart
        of this process cannot fix.
        """
        return Health(status="live")

    async def readyz(self) -> Health:
        """Answers 200 while Postgres answers and the models of its columns are on this
        machine; otherwise 503 with the reason.

        `changes` says whether changes of the rows arrive; the server answers even if
        they do not.
        """
        await self._engine.ready()
        return Health(status="ready", changes=await self._engine.changes())

    async def metrics(self) -> Response:
        """Requests, batches, time by stage and similarity, in Prometheus's text format."""
        return _Metrics(generate_latest())

    async def search(self, body: SearchBody) -> SearchAnswer:
        """Rows whose text is nearest in meaning, by cosine similarity, among those that
        the current model embedded.
        """
        return await self._engine.search(body)

    async def score(self, body: ScoreByReference | ScoreByQuestion) -> ScoreAnswer:
        """Scores an answer by a reference answer, or by the nearest stored answer of a
        question (settings `[score]`).
        """
        return ScoreAnswer.model_validate((await self._engine.score(body)).to_json())

    async def feedback(self, body: FeedbackBody) -> None:
        """Stores whether a row that a search found was useful. The last feedback on a row
        counts.

        Answers 409 if no query log is kept (`serve.query_log`), 404 if the search or its
        row is not known.
        """
        await self._engine.feedback(body)

    async def embeddings(self, request: EmbeddingsRequest) -> Response:
        """Texts that arrive together share a pass through the model.

        A text longer than the model takes is cut there. Vectors have unit length.
        """
        return Response(await self._engine.embeddings(request), media_type="application/json")

    async def models(self) -> ModelsAnswer:
        """Their `id` is what `/v1/embeddings` takes as `model`."""
        return ModelsAnswer(object="list", data=await self._engine.models())

    async def model(self, model: _ModelName) -> ModelBody:
        """By its name or its id, which may contain slashes."""
        return await self._engine.model(model)


def _answer_errors(app: FastAPI) -> None:
    """Answer every error of a path as JSON of one form."""

    async def told(request: Request, problem: Problem) -> Response:
        return problems.answer(request.scope["path"], problem)

    async def ours(request: Request, error: VectrueError) -> Response:
        return problems.answer(request.scope["path"], problems.of_error(error))

    async def invalid(request: Request, error: RequestValidationError) -> Response:
        return problems.answer(request.scope["path"], _invalid(error))

    async def plain(request: Request, error: HTTPException) -> Response:
        headers = dict(error.headers or {})
        return problems.answer(request.scope["path"], _plain(error), headers)

    async def bug(request: Request, _: Exception) -> Response:
        return problems.answer(
            request.scope["path"], Problem(500, "the server failed; its log says why")
        )

    handlers: dict[type[Exception], Any] = {
        Problem: told,
        VectrueError: ours,
        RequestValidationError: invalid,
        HTTPException: plain,
        Exception: bug,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _plain(error: HTTPException) -> Problem:
    # Starlette raises these for a path or a method that does not exist.
    fix = "see /docs" if error.status_code in (404, 405) else None
    return Problem(error.status_code, str(error.detail).lower(), fix)


def _invalid(error: RequestValidationError) -> Problem:
    """Return the most exact error of a request, without the value (a client's text)."""
    errors = error.errors()
    forms = Counter(_form(one) for one in errors)

    def rank(one: Mapping[str, Any]) -> tuple[int, int]:
        # A body of several forms has errors of each: the form with the fewest is meant.
        # Of a wrong text or list of texts, the longer place may name the item.
        return forms[_form(one)], -len(one["loc"])

    first = min(errors, key=rank)
    if first["type"] == "json_invalid":
        return Problem(400, "the body is not JSON", "correct it")
    place, param = _place(first)
    return Problem(422, f"{place}: {_words(first)}", "see /docs", param=param)


def _place(error: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the place of an error in the body as words, and the field's name."""
    place: list[str] = []
    param: str | None = None
    for part in error["loc"]:
        if part in ("body", *_FORMS):
            continue
        name = str(part)
        if param is None and not name.isdigit():
            param = name
        # Other parts are names of pydantic's own, such as `list[constrained-str]`.
        if name.isidentifier() or name.isdigit():
            place.append(name)
    return ".".join(place) or "the body", param


def _form(error: Mapping[str, Any]) -> str | None:
    """Return which of several forms of a body an error belongs to."""
    for part in error["loc"]:
        if part in _FORMS:
            return str(part)
    return None


def _words(error: Mapping[str, Any]) -> str:
    """Say what is wrong; pydantic's own words are about raw data and patterns."""
    if error["type"] != "string_pattern_mismatch":
        return _WORDS.get(error["type"]) or str(error["msg"])
    if error["ctx"]["pattern"] == NOT_BLANK:
        return "it is blank"
    return "it is not of the form that /docs says"
