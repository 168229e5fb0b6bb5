"""Errors as JSON: one sentence, and how to fix it.

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
"""Seconds, for errors that may be over soon: a full queue, no answer from Postgres."""

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
    """JSON without control characters, which are harmful on the terminal of a curl."""

    def render(self, content: Any) -> bytes:
        """Render the body."""
        return json_text(content, allow_nan=False, separators=(",", ":")).encode()


class ProblemBody(BaseModel):
    """An error in the form of RFC 9457, with `fix`."""

    model_config = ConfigDict(json_schema_extra={"examples": [_PROBLEM]})

    type: str
    title: str
    status: int
    detail: str
    fix: str | None


class OpenAIErrorDetail(BaseModel):
    """What is wrong, in OpenAI's form."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenAIErrorBody(BaseModel):
    """An error of OpenAI's endpoints."""

    model_config = ConfigDict(json_schema_extra={"examples": [_OPENAI]})

    error: OpenAIErrorDetail


@dataclass(eq=False)
class Problem(Exception):
    """An error that answers a request; raised anywhere below a path."""

    status: int
    detail: str
    fix: str | None = None
    code: str | None = None
    """`code` in OpenAI's form."""
    param: str | None = None
    """The wrong field, in OpenAI's form."""


def of_error(error: VectrueError) -> Problem:
    """Return what an error of ours means for the client."""
    if isinstance(error, TransientError):
        status = 503
    elif isinstance(error, PoisonText | PoisonEvent):
        status = 422
    else:
        status = 500
    return Problem(status, error.message, error.fix)


def answer(path: str, problem: Problem, headers: dict[str, str] | None = None) -> JSONResponse:
    """Return the response to a request at this path."""
    more = dict(headers or {})
    if problem.status == 503:
        more["Retry-After"] = RETRY_AFTER
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
    """Return the errors of this path for the OpenAPI description."""
    if _is_openai(path):
        return {"default": {"description": "an error in OpenAI's form", "model": OpenAIErrorBody}}
    content = {"application/problem+json": {"schema": ProblemBody.model_json_schema()}}
    return {"default": {"description": "an error in the form of RFC 9457", "content": content}}


def _is_openai(path: str) -> bool:
    return path in (OPENAI_PATH, MODELS_PATH) or path.startswith(f"{MODELS_PATH}/")


def _openai(problem: Problem) -> dict[str, Any]:
    message = problem.detail if problem.fix is None else f"{problem.detail}: {problem.fix}"
    kind = "server_error" if problem.status >= 500 else "invalid_request_error"
    detail = OpenAIErrorDetail(message=message, type=kind, param=problem.param, code=problem.code)
    return OpenAIErrorBody(error=detail).model_dump()


def _openai_status(status: int) -> int:
    return 400 if status == 422 else status
