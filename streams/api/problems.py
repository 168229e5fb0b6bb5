"""Errors as JSON: one sentence and what mends it.

RFC 9457 (`application/problem+json`) everywhere but at `/v1/embeddings` and
`/v1/models`, whose clients expect OpenAI's form.
"""

from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, JsonValue
from starlette.responses import JSONResponse

from schemas.errors import PoisonEvent, PoisonText, TransientError, VectrueError
from schemas.printable import json_text

OPENAI_PATH = "/v1/embeddings"
MODELS_PATH = "/v1/models"
RETRY_AFTER = "1"
"""Seconds, for what may be over soon: a full queue, a database that is away."""

_TITLES = {
    400: "Bad Request",
    401: "Unauthorized",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    413: "Content Too Large",
    415: "Unsupported Media Type",
    421: "Misdirected Request",
    422: "Unprocessable Content",
    500: "Internal Server Error",
    503: "Service Unavailable",
    504: "Gateway Timeout",
}


_PROBLEM: JsonValue = {
    "type": "about:blank",
    "title": "Not Found",
    "status": 404,
    "detail": "table public.answers is not served",
    "fix": "ask for one of: public.answer_bank, public.questions",
}
_OPENAI: JsonValue = {
    "error": {
        "message": "the model is not served here: ask for one of: BAAI/bge-m3",
        "type": "invalid_request_error",
        "param": "model",
        "code": "model_not_found",
    }
}


class SafeResponse(JSONResponse):
    """JSON that is harmless on the terminal of whoever asks with curl, whatever a row
    holds.
    """

    def render(self, content: Any) -> bytes:
        """The body."""
        return json_text(content, allow_nan=False, separators=(",", ":")).encode()


class ProblemBody(BaseModel):
    """An error as RFC 9457 has it, and `fix`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROBLEM]})

    type: str
    title: str
    status: int
    detail: str
    fix: str | None


class OpenAIErrorDetail(BaseModel):
    """What is wrong, in OpenAI's words."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorBody(BaseModel):
    """An error as OpenAI's endpoints answer it."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPENAI]})

    error: OpenAIErrorDetail


@dataclass(eq=False)
class Problem(Exception):
    """A request that is not answered as wished; raised anywhere below a path."""

    status: int
    detail: str
    fix: str | None = None
    code: str | None = None
    """For programs, in OpenAI's form."""
    param: str | None = None
    """The field that is wrong, in OpenAI's form."""


def of_error(error: VectrueError) -> Problem:
    """What an error of ours is for whoever made the request."""
    if isinstance(error, TransientError):
        status = 503
    elif isinstance(error, PoisonText | PoisonEvent):
        status = 422
    else:
        status = 500
    return Problem(status, error.message, error.fix)


def answer(path: str, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """The response to a request at this path."""
    more = {**(headers or {}), **({"Retry-After": RETRY_AFTER} if problem.status == 503 else {})}
    if problem.status == 401:
        more["WWW-Authenticate"] = "Bearer"
    if _is_openai(path):
        return SafeResponse(_openai(problem), _openai_status(problem.status), more)
    body = ProblemBody(
        type="about:blank",
        title=_TITLES.get(problem.status, "Error"),
        status=problem.status,
        detail=problem.detail,
        fix=problem.fix,
    )
    return SafeResponse(
        body.model_dump(), problem.status, more, media_type="application/problem+json"
    )


def documented(path: str) -> dict[int | str, dict[str, Any]]:
    """How errors at this path stand in the OpenAPI description."""
    if _is_openai(path):
        return {"default": {"description": "an error in OpenAI's form", "model": OpenAIErrorBody}}
    content = {"application/problem+json": {"schema": ProblemBody.model_json_schema()}}
    return {"default": {"description": "an error as RFC 9457 has it", "content": content}}


def _is_openai(path: str) -> bool:
    return path in (OPENAI_PATH, MODELS_PATH) or path.startswith(f"{MODELS_PATH}/")


def _openai(problem: Problem) -> dict[str, Any]:
    message = problem.detail if problem.fix is None else f"{problem.detail}: {problem.fix}"
    kind = "server_error" if problem.status >= 500 else "invalid_request_error"
    detail = OpenAIErrorDetail(message=message, type=kind, param=problem.param, code=problem.code)
    return OpenAIErrorBody(error=detail).model_dump()


def _openai_status(status: int) -> int:
    return 400 if status == 422 else status
